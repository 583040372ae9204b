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

float view_at(const struct view *view, int64_t row, int64_t channel) {
  int64_t before = row / view->inner * view->channels + view->start + channel;
  return view->data[before * view->inner + row % view->inner];
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
