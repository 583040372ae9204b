/* Masks of boxes: coefficients times prototypes, as edgeopt_runner/masks.py. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "program.h"

#pragma STDC FP_CONTRACT OFF

/* The rows, or columns, of the input that are inside a box: from `first` to below `end`. */
struct span {
  int64_t first, end;
};

static struct span span_of(float low, float high, int64_t size) {
  struct span span = {0, 0};
  for (int64_t i = 0; i < size; i++) {
    if (!((float)i >= low && (float)i < high)) continue;
    if (!span.end) span.first = i;
    span.end = i + 1;
  }
  return span;
}

/* Returns to each row (`axis` 0) or column of the picture the nearest one of the input. */
static int32_t *nearest(const struct placement *placement, int axis) {
  int32_t *result = room(sizeof *result * (size_t)(placement->picture[axis] + 1));
  for (int64_t i = 0; i < placement->picture[axis]; i++) {
    double place = ((double)i + 0.5) * placement->gain[axis] + (double)placement->offset[axis];
    result[i] = (int32_t)between((int64_t)floor(place), placement->input[axis]);
  }
  return result;
}

/* Writes the coefficients of a box times the prototypes. */
static void multiply(const struct masks *masks, int64_t row) {
  size_t count = (size_t)(masks->values.size[0] * masks->values.size[1]);
  const float *coefficients = view_row(&masks->coefficients, row), *prototype = masks->prototypes;
  float *values = (float *)masks->values.data;
  memset(values, 0, sizeof *values * count);
  for (int64_t c = 0; c < masks->coefficients.count; c++, prototype += count) {
    float factor = coefficients[(size_t)c * (size_t)masks->coefficients.inner];
    for (size_t i = 0; i < count; i++) values[i] += factor * prototype[i];
  }
}

int make_mask(const struct answer *answer, const struct found *one) {
  const struct masks *masks = &answer->masks;
  const int64_t *size = answer->placement.input;
  struct span rows = span_of(one->inside[1], one->inside[3], size[0]);
  struct span columns = span_of(one->inside[0], one->inside[2], size[1]);
  double down = (double)masks->values.size[0] / (double)size[0];
  double across = (double)masks->values.size[1] / (double)size[1];
  int any = 0;
  memset(masks->inside, 0, (size_t)(size[0] * size[1]));
  if (rows.first == rows.end || columns.first == columns.end) return 0;
  multiply(masks, one->row);
  struct spot *spots = room(sizeof *spots * (size_t)columns.end);
  for (int64_t x = columns.first; x < columns.end; x++)
    spots[x] = spot_at(((double)x + 0.5) * across - 0.5, masks->values.size[1]);
  for (int64_t y = rows.first; y < rows.end; y++) {
    struct spot row = spot_at(((double)y + 0.5) * down - 0.5, masks->values.size[0]);
    unsigned char *line = masks->inside + (size_t)y * (size_t)size[1];
    for (int64_t x = columns.first; x < columns.end; x++)
      any |= line[x] = sampled(&masks->values, &row, &spots[x], 0) > 0;
  }
  free(spots);
  return any;
}

int is_masked(const struct answer *answer, int64_t row, int64_t column) {
  const struct masks *masks = &answer->masks;
  size_t line = (size_t)masks->nearest[0][row] * (size_t)answer->placement.input[1];
  return masks->inside[line + (size_t)masks->nearest[1][column]];
}

void read_masks(struct answer *answer, const struct face *face, const struct array *outputs) {
  const struct array *array = named_output(bundle.after.prototypes, face, outputs);
  struct masks *masks = &answer->masks;
  const int64_t *input = answer->placement.input;
  masks->coefficients = view_of(&bundle.after.masks, face, outputs);
  if (array->ndim != 4 || array->shape[1] != masks->coefficients.count || !array->shape[0])
    stop(WRONG, "output %s is no prototypes of these masks", bundle.after.prototypes);
  masks->prototypes = floats_of(array);
  masks->values.size[0] = array->shape[2];
  masks->values.size[1] = array->shape[3];
  masks->values.step[0] = (size_t)array->shape[3];
  masks->values.step[1] = 1;
  masks->values.data = room(sizeof(float) * (size_t)(array->shape[2] * array->shape[3] + 1));
  masks->inside = room((size_t)(input[0] * input[1] + 1));
  for (int axis = 0; axis < 2; axis++) masks->nearest[axis] = nearest(&answer->placement, axis);
  int64_t kept = 0; /* without a pixel it is no object */
  for (int64_t i = 0; i < answer->found_count; i++) {
    if (answer->found[i].row >= masks->coefficients.rows) stop(WRONG, "fewer masks than boxes");
    if (make_mask(answer, &answer->found[i])) answer->found[kept++] = answer->found[i];
  }
  answer->found_count = kept;
}
