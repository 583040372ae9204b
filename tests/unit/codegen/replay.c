/* A model that writes its inputs into its folder, and reads its outputs there. */
#include <stdio.h>
#include <stdlib.h>

#include "model.h"

struct model {
  char folder[2048];
};

static int moved(const char *folder, const char *what, int n, void *values, size_t bytes, int writes) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s_%d.bin", folder, what, n);
  FILE *file = fopen(path, writes ? "wb" : "rb");
  size_t count = !file ? 0 : writes ? fwrite(values, 1, bytes, file) : fread(values, 1, bytes, file);
  return file && !fclose(file) && count == bytes ? 0 : -1;
}

model *model_open(const char *folder, int threads, char *error, size_t error_bytes) {
  model *one = malloc(sizeof *one);
  (void)threads;
  if (one) snprintf(one->folder, sizeof one->folder, "%s", folder);
  else snprintf(error, error_bytes, "no memory");
  return one;
}

int model_run(model *one, const void *const *inputs, void *const *outputs) {
  for (int n = 0; n < MODEL_INPUTS; n++)
    if (moved(one->folder, "in", n, (void *)inputs[n], model_inputs[n].bytes, 1)) return -1;
  for (int n = 0; n < MODEL_OUTPUTS; n++)
    if (moved(one->folder, "out", n, outputs[n], model_outputs[n].bytes, 0)) return -1;
  return 0;
}

const char *model_error(const model *one) {
  (void)one;
  return "a file is missing";
}

void model_close(model *one) { free(one); }
