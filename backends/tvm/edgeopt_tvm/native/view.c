/* Outputs as rows of floats, and from values to probabilities. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "program.h"

#pragma STDC FP_CONTRACT OFF

static float of_half(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  float size = exponent == 31 ? (fraction ? NAN : INFINITY)
               : exponent    ? ldexpf((float)(1024 + fraction), exponent - 25)
                             : ldexpf((float)fraction, -24);
  return bits >> 15 ? -size : size;
}

/* Returns value `i` of a dtype that is no float32. */
static float value_at(const char *dtype, const void *data, size_t i) {
  if (!strcmp(dtype, "float64")) return (float)((const double *)data)[i];
  if (!strcmp(dtype, "float16")) return of_half(((const uint16_t *)data)[i]);
  if (!strcmp(dtype, "int8")) return (float)((const int8_t *)data)[i];
  if (!strcmp(dtype, "uint8") || !strcmp(dtype, "bool")) return (float)((const uint8_t *)data)[i];
  if (!strcmp(dtype, "int16")) return (float)((const int16_t *)data)[i];
  if (!strcmp(dtype, "uint16")) return (float)((const uint16_t *)data)[i];
  if (!strcmp(dtype, "int32")) return (float)((const int32_t *)data)[i];
  if (!strcmp(dtype, "uint32")) return (float)((const uint32_t *)data)[i];
  if (!strcmp(dtype, "int64")) return (float)((const int64_t *)data)[i];
  if (!strcmp(dtype, "uint64")) return (float)((const uint64_t *)data)[i];
  stop(WRONG, "an output of %s is told by run.py only", dtype);
}

const float *floats_of(const struct array *array) {
  if (!strcmp(array->dtype, "float32")) return array->data;
  size_t count = array->bytes / item_bytes(array->dtype);
  float *values = room(count * sizeof *values); /* until the program ends */
  for (size_t i = 0; i < count; i++) values[i] = value_at(array->dtype, array->data, i);
  return values;
}

const struct array *named_output(const char *name, const struct face *face,
                                 const struct array *outputs) {
  for (int32_t i = 0; i < face->output_count; i++)
    if (!strcmp(face->outputs[i].name, name)) return &outputs[i];
  stop(WRONG, "the bundle names an output %s that there is not", name);
}

struct view view_of(const struct columns *columns, const struct face *face,
                    const struct array *outputs) {
  const struct array *array = named_output(columns->output, face, outputs);
  struct view view = {floats_of(array), 0, 1, 1, columns->start, columns->count};
  int64_t size = 1;
  for (int32_t i = 0; i < array->ndim; i++) size *= array->shape[i];
  int is_flat = array->ndim == 1 || (array->ndim == 2 && array->shape[0] == 1);
  if (columns->count == 1 && !columns->start && is_flat) {
    view.rows = size;
    return view;
  }
  int32_t axis = columns->axis < 0 ? columns->axis + array->ndim : columns->axis;
  if (axis < 0 || axis >= array->ndim || columns->start + columns->count > array->shape[axis])
    stop(WRONG, "the bundle names channels of output %s that there are not", columns->output);
  view.channels = array->shape[axis];
  view.rows = view.channels ? size / view.channels : 0;
  for (int32_t i = axis + 1; i < array->ndim; i++) view.inner *= array->shape[i];
  return view;
}

/* In the processor's own width: where that is 32 bits, a wider quotient is a call. */
const float *view_row(const struct view *view, int64_t row) {
  size_t inner = (size_t)view->inner, block = (size_t)row / inner;
  size_t first = block * (size_t)view->channels + (size_t)view->start;
  return view->data + first * inner + ((size_t)row - block * inner);
}

int64_t between(int64_t value, int64_t size) {
  return value < 0 ? 0 : value >= size ? size - 1 : value;
}

struct spot spot_at(double place, int64_t cells) {
  double last = (double)(cells - 1);
  float inside = (float)(place < 0 ? 0 : place > last ? last : place);
  int64_t before = (int64_t)floorf(inside);
  struct spot spot = {.before = (size_t)before, .after = (size_t)between(before + 1, cells)};
  spot.nearest = (size_t)between((int64_t)floor(place + 0.5), cells);
  spot.share = (double)inside - (double)before;
  return spot;
}

double sampled(const struct cells *cells, const struct spot *row, const struct spot *column,
               size_t offset) {
  const float *above = cells->data + row->before * cells->step[0] + offset;
  const float *below = cells->data + row->after * cells->step[0] + offset;
  size_t left = column->before * cells->step[1], right = column->after * cells->step[1];
  double one = (double)above[left] * (1 - column->share) + (double)above[right] * column->share;
  double other = (double)below[left] * (1 - column->share) + (double)below[right] * column->share;
  return one * (1 - row->share) + other * row->share;
}

void activate(float *values, int64_t count, enum activation activation) {
  if (activation == SIGMOID)
    for (int64_t i = 0; i < count; i++) values[i] = 1.0f / (1.0f + expf(-values[i]));
  if (activation != SOFTMAX || !count) return;
  float most = values[0], sum = 0;
  for (int64_t i = 1; i < count; i++)
    if (values[i] > most) most = values[i];
  for (int64_t i = 0; i < count; i++) sum += values[i] = expf(values[i] - most);
  for (int64_t i = 0; i < count; i++) values[i] /= sum;
}
