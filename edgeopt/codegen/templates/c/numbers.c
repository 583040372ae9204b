/* Numbers of any type, probabilities and names of classes. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "answer.h"

enum { IS_SOFTMAX = $softmax, IS_SIGMOID = $sigmoid };

static double half(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double value = exponent == 31 ? (fraction ? NAN : INFINITY)
                 : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                : ldexp(fraction, -24);
  return bits >> 15 ? -value : value;
}

double answer_number(const void *values, const char *dtype, int64_t index) {
  if (!strcmp(dtype, "float32")) return ((const float *)values)[index];
  if (!strcmp(dtype, "float64")) return ((const double *)values)[index];
  if (!strcmp(dtype, "float16")) return half(((const uint16_t *)values)[index]);
  if (!strcmp(dtype, "int8")) return ((const int8_t *)values)[index];
  if (!strcmp(dtype, "int16")) return ((const int16_t *)values)[index];
  if (!strcmp(dtype, "int32")) return ((const int32_t *)values)[index];
  if (!strcmp(dtype, "int64")) return (double)((const int64_t *)values)[index];
  if (!strcmp(dtype, "uint16")) return ((const uint16_t *)values)[index];
  if (!strcmp(dtype, "uint32")) return ((const uint32_t *)values)[index];
  if (!strcmp(dtype, "uint64")) return (double)((const uint64_t *)values)[index];
  return ((const uint8_t *)values)[index]; /* uint8 and bool */
}

void answer_activate(float *scores, int64_t count) {
  float highest = -INFINITY, sum = 0;
  for (int64_t n = 0; n < count; n++) highest = fmaxf(highest, scores[n]);
  for (int64_t n = 0; n < count; n++) {
    if (IS_SIGMOID) scores[n] = 1 / (1 + expf(-scores[n]));
    if (IS_SOFTMAX) sum += scores[n] = expf(scores[n] - highest);
  }
  for (int64_t n = 0; IS_SOFTMAX && n < count; n++) scores[n] /= sum;
}

void answer_print_name(int64_t number, int64_t label) {
  if (*answer_label(label)) printf("  %s", answer_label(label));
  else if (ANSWER_LABELS) printf("  %d", (int)number);
}

const char *answer_label(int64_t number) {
  return number >= 0 && number < ANSWER_LABELS ? answer_labels[number] : "";
}

placement answer_whole(void) {
  return (placement){{$height, $width}, {$height, $width}, {0, 0}, {1.0, 1.0}};
}
