/* Runs the model once: $usage */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "files.h"
#include "model.h"
$include
static void *inputs[MODEL_INPUTS + 1], *outputs[MODEL_OUTPUTS + 1];

/* Reads or prepares one input. Returns 0; -1, and says why. */
static int read_input(int index, const char *path, placement *place) {
  size_t bytes = model_inputs[index].bytes;
#if $is_picture
  if (index == PICTURE_INPUT && !strstr(path, ".npy")) {
    int64_t height, width;
    uint8_t *pixels = read_picture(path, PICTURE_CHANNELS, &height, &width);
    inputs[index] = pixels ? malloc(bytes + 1) : NULL;
    int failed = !inputs[index] || picture_prepare(pixels, height, width, inputs[index], place);
    free(pixels);
    return failed ? -1 : 0;
  }
#endif
  (void)place;
  inputs[index] = read_npy(path, bytes);
  return inputs[index] ? 0 : -1;
}

static int run(model *one, char **paths) {
  placement place = answer_whole();
  for (int n = 0; n < MODEL_INPUTS; n++)
    if (read_input(n, paths[n], &place)) return 1;
  for (int n = 0; n < MODEL_OUTPUTS; n++)
    if (!(outputs[n] = malloc(model_outputs[n].bytes + 1))) return 1;
  if (model_run(one, (const void *const *)inputs, outputs)) {
    fprintf(stderr, "%s\n", model_error(one));
    return 1;
  }
  return answer_print(outputs, &place) ? 1 : 0;
}

int main(int count, char **words) {
  char error[256] = "";
  if (count != MODEL_INPUTS + 2) {
    fprintf(stderr, "usage: %s MODEL_FOLDER $arguments\n", words[0]);
    return 2;
  }
  model *one = model_open(words[1], 0, error, sizeof error);
  if (!one) {
    fprintf(stderr, "%s\n", error);
    return 1;
  }
  int status = run(one, words + 2);
  model_close(one);
  for (int n = 0; n < MODEL_INPUTS; n++) free(inputs[n]);
  for (int n = 0; n < MODEL_OUTPUTS; n++) free(outputs[n]);
  return status;
}
