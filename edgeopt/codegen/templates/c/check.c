/* Runs the model on the bundle's golden samples, and compares the outputs with what they should be. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "files.h"
#include "model.h"

typedef struct {
  double atol, rtol, outliers, cosine; /* cosine below -1: any */
} tolerance;

static const char *const samples[][MODEL_INPUTS + MODEL_OUTPUTS] = {
$samples};
static const tolerance tolerances[] = {
$tolerances};

static int is_alike(const void *a, const void *b, const model_tensor *tensor, const tolerance *at) {
  int64_t count = 1, outside = 0;
  double product = 0, left = 0, right = 0;
  for (int axis = 0; axis < tensor->rank; axis++) count *= tensor->shape[axis];
  for (int64_t n = 0; n < count; n++) {
    double x = answer_number(a, tensor->dtype, n), y = answer_number(b, tensor->dtype, n);
    int same = x == y || (isnan(x) && isnan(y));
    outside += !same && !(fabs(x - y) <= at->atol + at->rtol * fabs(y));
    product += x * y, left += x * x, right += y * y;
  }
  double cosine = left > 0 && right > 0 ? product / sqrt(left * right) : left == right;
  return (double)outside <= at->outliers * (double)count && (at->cosine < -1 || cosine >= at->cosine);
}

static void *golden(const char *folder, const char *name, size_t bytes) {
  char path[4096];
  int size = snprintf(path, sizeof path, "%s/%s", folder, name);
  return size > 0 && size < (int)sizeof path ? read_npy(path, bytes) : NULL;
}

static int check(model *one, const char *folder, const char *const *files) {
  void *inputs[MODEL_INPUTS + 1] = {0}, *outputs[MODEL_OUTPUTS + 1] = {0};
  int is_right = 1;
  for (int n = 0; n < MODEL_INPUTS; n++)
    is_right &= (inputs[n] = golden(folder, files[n], model_inputs[n].bytes)) != NULL;
  for (int n = 0; n < MODEL_OUTPUTS; n++)
    is_right &= (outputs[n] = malloc(model_outputs[n].bytes + 1)) != NULL;
  if (is_right && model_run(one, (const void *const *)inputs, outputs)) {
    fprintf(stderr, "%s\n", model_error(one));
    is_right = 0;
  }
  for (int n = 0; n < MODEL_OUTPUTS; n++) {
    const model_tensor *tensor = model_outputs + n;
    void *wanted = is_right ? golden(folder, files[MODEL_INPUTS + n], tensor->bytes) : NULL;
    is_right = is_right && wanted && is_alike(outputs[n], wanted, tensor, tolerances + n);
    free(wanted);
    free(outputs[n]);
  }
  for (int n = 0; n < MODEL_INPUTS; n++) free(inputs[n]);
  return is_right;
}

int main(int count, char **words) {
  char error[256] = "";
  int right = 0, all = (int)(sizeof samples / sizeof *samples);
  model *one = count == 3 ? model_open(words[1], 0, error, sizeof error) : NULL;
  if (!one) {
    fprintf(stderr, "%s\n", count == 3 ? error : "usage: check MODEL_FOLDER BUNDLE_FOLDER");
    return 2;
  }
  for (int n = 0; n < all; n++) right += check(one, words[2], samples[n]);
  printf("%d of %d golden samples\n", right, all);
  model_close(one);
  return right == all ? 0 : 1;
}
