#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "answer.h"

enum { OUTPUT = $output, OUTER = $outer, TOKENS = $tokens, INNER = $inner, SIZE = $size };
enum { IS_MEAN = $mean, IS_UNIT = $unit };

void answer_vectors(const void *values, const float *mask, float *vectors) {
  for (int64_t o = 0; o < OUTER; o++)
    for (int64_t i = 0; i < INNER; i++) {
      float sum = 0, weights = 0;
      for (int64_t t = 0; t < (IS_MEAN ? TOKENS : 1); t++) {
        float weight = IS_MEAN && mask ? mask[t] : 1;
        sum += weight * (float)answer_number(values, model_outputs[OUTPUT].dtype, (o * TOKENS + t) * INNER + i);
        weights += weight;
      }
      vectors[o * INNER + i] = sum / fmaxf(weights, 1e-9f);
    }
  for (int64_t row = 0; IS_UNIT && row < (int64_t)OUTER * INNER / SIZE; row++) {
    float *vector = vectors + row * SIZE, squares = 0;
    for (int64_t n = 0; n < SIZE; n++) squares += vector[n] * vector[n];
    for (int64_t n = 0; n < SIZE; n++) vector[n] /= fmaxf(sqrtf(squares), 1e-12f);
  }
}

int answer_print(void *const *outputs, const placement *place) {
  (void)place;
  float *vectors = malloc((size_t)OUTER * INNER * sizeof *vectors);
  if (!vectors) return -1;
  answer_vectors(outputs[OUTPUT], NULL, vectors);
  for (int64_t row = 0; row < (int64_t)OUTER * INNER / SIZE; row++) {
    for (int64_t n = 0; n < SIZE; n++) printf("%s%.7g", n ? " " : "", vectors[row * SIZE + n]);
    puts("");
  }
  free(vectors);
  return 0;
}
