#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "answer.h"

enum { OUTPUT = $output, ROWS = $rows, CLASSES = $classes, TOP = $top };
static const float threshold = $threshold;

int answer_classes(const void *scores, int64_t row, answer_class *best) {
  float *values = malloc(CLASSES * sizeof *values);
  int told = 0;
  if (!values) return -1;
  for (int64_t n = 0; n < CLASSES; n++) {
    values[n] = (float)answer_number(scores, model_outputs[OUTPUT].dtype, row * CLASSES + n);
    if (isnan(values[n])) told = -1;
  }
  if (told == 0) answer_activate(values, CLASSES);
  while (told >= 0 && told < TOP) { /* of equal scores the first class comes first */
    int64_t highest = -1;
    for (int64_t n = 0; n < CLASSES; n++)
      if (!isnan(values[n]) && (highest < 0 || values[n] > values[highest])) highest = n;
    if (highest < 0 || !(values[highest] >= threshold)) break;
    best[told++] = (answer_class){highest, values[highest]};
    values[highest] = NAN;
  }
  free(values);
  return told;
}

int answer_print(void *const *outputs, const placement *place) {
  (void)place;
  for (int64_t row = 0; row < ROWS; row++) {
    answer_class best[TOP];
    int count = answer_classes(outputs[OUTPUT], row, best);
    if (count < 0) return -1;
    if (ROWS > 1) printf("row %d\n", (int)row);
    for (int n = 0; n < count; n++) {
      printf("%3d  %12.6g  %d", n + 1, best[n].probability, (int)best[n].number);
      answer_print_name(best[n].number, best[n].number);
      puts("");
    }
  }
  return 0;
}
