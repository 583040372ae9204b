/* Classifies pixels that are in memory already: of a camera, a decoder, a network. */
#include <stdio.h>
#include <stdlib.h>

#include "answer.h"
#include "model.h"
#include "picture.h"

int main(int count, char **words) {
  enum { HEIGHT = 48, WIDTH = 64 };
  static uint8_t pixels[HEIGHT * WIDTH * PICTURE_CHANNELS]; /* RGB, row by row */
  for (size_t n = 0; n < sizeof pixels; n++) pixels[n] = (uint8_t)(n * 37 % 251);

  char error[256] = "";
  model *network = model_open(count > 1 ? words[1] : "model", 0, error, sizeof error);
  if (!network) {
    fprintf(stderr, "%s\n", error);
    return 1;
  }
  placement place;
  picture_cell *input = malloc(model_inputs[0].bytes);
  void *output = malloc(model_outputs[0].bytes);
  const void *inputs[] = {input};
  void *outputs[] = {output};
  answer_class best[ANSWER_TOP];
  int failed = !input || !output || picture_prepare(pixels, HEIGHT, WIDTH, input, &place) ||
               model_run(network, inputs, outputs);
  int classes = failed ? -1 : answer_classes(output, 0, best);
  for (int n = 0; n < classes; n++)
    printf("%.4f %d\n", best[n].probability, (int)best[n].number);
  free(input);
  free(output);
  model_close(network);
  return classes < 0 ? 1 : 0;
}
