/* What outputs mean: classes, boxes, areas or vectors. */
#include "answer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"

#pragma STDC FP_CONTRACT OFF

/* The highest first; of equal ones, the first class. */
int by_value(const void *a, const void *b) {
  const struct score *x = a, *y = b;
  if (x->value != y->value) return x->value > y->value ? -1 : 1;
  return (x->number > y->number) - (x->number < y->number);
}

/* Tells the classes of the highest probabilities of each row. */
static void classify(struct answer *answer, const struct array *output, enum activation activation,
                     double threshold, long top) {
  int64_t size = output->ndim ? output->shape[output->ndim - 1] : 1;
  const float *values = floats_of(output);
  answer->rows = size ? (int64_t)(output->bytes / item_bytes(output->dtype)) / size : 0;
  answer->scores = room(sizeof *answer->scores * (size_t)(answer->rows * size + 1));
  answer->score_counts = room(sizeof *answer->score_counts * (size_t)(answer->rows + 1));
  float *row = room(sizeof *row * (size_t)(size + 1));
  struct score *to = answer->scores;
  for (int64_t r = 0; r < answer->rows; r++) {
    struct score *first = to;
    memcpy(row, values + r * size, sizeof *row * (size_t)size);
    for (int64_t i = 0; i < size; i++)
      if (row[i] != row[i]) stop(WRONG, "scores are NaN: they name no class");
    activate(row, size, activation);
    for (int64_t i = 0; i < size; i++) first[i] = (struct score){i, (double)row[i]};
    qsort(first, (size_t)size, sizeof *first, by_value);
    while (to - first < size && to - first < top && (float)to->value >= (float)threshold) to++;
    answer->score_counts[r] = to - first;
  }
  answer->score_count = to - answer->scores;
  free(row);
}

/* Writes one vector for each place before and behind the axis of tokens. */
static struct array pooled(const struct array *output, const float *values) {
  const struct after *after = &bundle.after;
  int64_t shape[MOST_AXES], outer = 1, inner = 1, tokens;
  int32_t ndim = 0, axis = after->axis < 0 ? after->axis + output->ndim : after->axis;
  if (axis < 0 || axis >= output->ndim || output->ndim < 2)
    stop(WRONG, "output %s has no axis of tokens", after->output);
  tokens = output->shape[axis];
  for (int32_t i = 0; i < output->ndim; i++) {
    if (i < axis) outer *= output->shape[i];
    if (i > axis) inner *= output->shape[i];
    if (i != axis) shape[ndim++] = output->shape[i];
  }
  struct array array = array_zeros("float32", shape, ndim);
  float *to = array.data;
  if (!tokens) stop(WRONG, "output %s has no tokens", after->output);
  for (int64_t o = 0; o < outer; o++)
    for (int64_t i = 0; i < inner; i++) {
      double sum = 0;
      int64_t count = after->pooling == MEAN ? tokens : 1;
      for (int64_t t = 0; t < count; t++) sum += (double)values[(o * tokens + t) * inner + i];
      *to++ = (float)(sum / (double)count);
    }
  return array;
}

static void embed(struct answer *answer, const struct array *output) {
  const struct after *after = &bundle.after;
  const float *values = floats_of(output);
  struct array array = *output;
  array.data = (void *)values;
  if (after->pooling != NO_POOLING) array = pooled(output, values);
  int64_t size = array.ndim ? array.shape[array.ndim - 1] : 1, count = 1;
  for (int32_t i = 0; i < array.ndim; i++) count *= array.shape[i];
  int64_t shape[2] = {size ? count / size : 0, size};
  answer->vectors = array_zeros("float32", shape, 2);
  memcpy(answer->vectors.data, array.data, answer->vectors.bytes);
  for (int64_t r = 0; r < shape[0] && after->unit; r++) {
    float *row = (float *)answer->vectors.data + r * size;
    double sum = 0;
    for (int64_t i = 0; i < size; i++) sum += (double)row[i] * (double)row[i];
    float length = (float)sqrt(sum);
    if (length < 1e-12f) length = 1e-12f;
    for (int64_t i = 0; i < size; i++) row[i] /= length;
  }
}

/* Refuses labels that have no name for a class that was told. */
static void check_labels(const struct answer *answer) {
  int64_t highest = -1;
  for (int64_t i = 0; i < answer->score_count; i++)
    if (answer->scores[i].number > highest) highest = answer->scores[i].number;
  for (int64_t i = 0; i < answer->found_count; i++)
    if (answer->found[i].number > highest) highest = answer->found[i].number;
  int of_one = answer->meaning == AREAS && bundle.label_count == 1 && highest == 1;
  if (bundle.label_count && !of_one && highest >= bundle.label_count)
    stop(WRONG, "%d labels, but class %lld was told: they are of another model",
         (int)bundle.label_count, (long long)highest);
}

struct answer answer_of(const struct face *face, const struct array *outputs,
                        const struct placement *placement, long top) {
  struct answer answer = {.meaning = bundle.after.meaning, .placement = *placement};
  const struct after *after = &bundle.after;
  switch (answer.meaning) {
    case BOXES: detect(&answer, face, outputs); break;
    case AREAS: segment(&answer, face, outputs); break;
    case VECTORS: embed(&answer, named_output(after->output, face, outputs)); break;
    case CLASSES:
      classify(&answer, named_output(after->output, face, outputs), after->activation,
               after->threshold, top ? top : after->top);
      break;
    case NOTHING: break;
  }
  check_labels(&answer);
  return answer;
}

struct answer top_scores(const struct array *output, long top) {
  struct answer answer = {.meaning = CLASSES};
  classify(&answer, output, PLAIN, -INFINITY, top);
  check_labels(&answer);
  return answer;
}
