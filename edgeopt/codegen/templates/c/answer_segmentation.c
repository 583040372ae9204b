#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "answer.h"

enum { OUTPUT = $output, CLASSES = $classes, ROWS = $rows, COLUMNS = $columns };
enum { CLASS_STEP = $class_step, ROW_STEP = $row_step, COLUMN_STEP = $column_step };
enum { ARE_NUMBERS = $numbers, IS_BINARY = $binary, IS_NEAREST = $nearest };
static const float threshold = $threshold;

/* Two cells around a place, and the share of the second. */
typedef struct {
  int64_t before, after, nearest;
  float share;
  int is_seen;
} around;

static around around_of(int64_t at, const placement *place, int axis, int64_t cells) {
  double middle = (double)at + 0.5, in_input = middle * place->gain[axis] + (double)place->offset[axis];
  double cell = in_input * ((double)cells / (double)place->input[axis]) - 0.5;
  float bounded = (float)fmin(fmax(cell, 0), (double)(cells - 1));
  int64_t before = (int64_t)floorf(bounded);
  return (around){before, before + 1 < cells ? before + 1 : before,
                  (int64_t)fmin(fmax(floor(cell + 0.5), 0), (double)(cells - 1)), bounded - (float)before,
                  in_input >= 0 && in_input <= (double)place->input[axis]};
}

static float cell_at(const void *scores, int64_t number, int64_t row, int64_t column) {
  int64_t index = number * CLASS_STEP + row * ROW_STEP + column * COLUMN_STEP;
  return (float)answer_number(scores, model_outputs[OUTPUT].dtype, index);
}

static float score_at(const void *scores, int64_t number, around y, around x) {
  if (IS_NEAREST || ARE_NUMBERS) return cell_at(scores, number, y.nearest, x.nearest);
  float above = cell_at(scores, number, y.before, x.before) * (1 - x.share) +
                cell_at(scores, number, y.before, x.after) * x.share;
  float below = cell_at(scores, number, y.after, x.before) * (1 - x.share) +
                cell_at(scores, number, y.after, x.after) * x.share;
  return above * (1 - y.share) + below * y.share;
}

static int32_t class_at(const void *scores, around y, around x) {
  float best = score_at(scores, 0, y, x);
  int32_t chosen = 0;
  if (!y.is_seen || !x.is_seen) return -1;
  if (ARE_NUMBERS) return (int32_t)best;
  if (IS_BINARY) {
    answer_activate(&best, 1);
    return best > threshold;
  }
  for (int32_t n = 1; n < CLASSES; n++) {
    float score = score_at(scores, n, y, x);
    if (score > best) best = score, chosen = n;
  }
  return chosen;
}

int answer_areas(const void *scores, const placement *place, int32_t *classes) {
  for (int64_t n = 0; n < (int64_t)CLASSES * ROWS * COLUMNS; n++)
    if (isnan(answer_number(scores, model_outputs[OUTPUT].dtype, n))) return -1;
  for (int64_t y = 0; y < place->picture[0]; y++) {
    around down = around_of(y, place, 0, ROWS);
    for (int64_t x = 0; x < place->picture[1]; x++)
      *classes++ = class_at(scores, down, around_of(x, place, 1, COLUMNS));
  }
  return 0;
}

static int by_number(const void *a, const void *b) {
  int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  return x < y ? -1 : x > y;
}

int answer_print(void *const *outputs, const placement *place) {
  int64_t count = place->picture[0] * place->picture[1], seen = 0, from = 0;
  int32_t *classes = malloc((size_t)count * sizeof *classes);
  int failed = !classes || answer_areas(outputs[OUTPUT], place, classes);
  if (!failed) qsort(classes, (size_t)count, sizeof *classes, by_number);
  for (int64_t n = 0; !failed && n < count; n++) seen += classes[n] >= 0;
  for (int64_t n = 1; !failed && n <= count; n++) {
    if (n < count && classes[n] == classes[from]) continue;
    if (classes[from] >= 0) {
      printf("%7.2f%%  %d", 100.0 * (double)(n - from) / (double)seen, (int)classes[from]);
      answer_print_name(classes[from], classes[from] - (ANSWER_LABELS == 1)); /* of one class 1 is it */
      puts("");
    }
    from = n;
  }
  free(classes);
  return failed ? -1 : 0;
}
