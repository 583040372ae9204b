/* A class for each pixel of the picture: as edgeopt_runner/segmentation.py. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "program.h"

#pragma STDC FP_CONTRACT OFF

/* Cells of scores: `view` has one row a cell. */
struct cells {
  struct view view;
  int64_t size[2]; /* height and width */
};

/* Where a pixel lies among the cells of an axis: the two around it, the nearest, the second's share. */
struct spot {
  int64_t before, after, nearest;
  float share;
  int is_seen;
};

static struct cells cells_of(const struct face *face, const struct array *outputs) {
  const struct after *after = &bundle.after;
  const struct array *array = named_output(after->output, face, outputs);
  struct cells cells = {{floats_of(array), 0, 1, 1, 0, 1}, {1, 1}};
  int by_class = after->values == SCORES;
  int32_t axis = !by_class ? -1 : after->axis < 0 ? after->axis + array->ndim : after->axis;
  int32_t next = 1;
  if (array->ndim < 2 + by_class || axis >= array->ndim || (by_class && axis < 0))
    stop(WRONG, "output %s is no area", after->output);
  for (int32_t i = array->ndim - 1; i >= 0 && next >= 0; i--)
    if (i != axis) cells.size[next--] = array->shape[i];
  cells.view.rows = cells.size[0] * cells.size[1];
  if (by_class) {
    cells.view.count = cells.view.channels = array->shape[axis];
    for (int32_t i = axis + 1; i < array->ndim; i++) cells.view.inner *= array->shape[i];
  }
  int64_t values = (int64_t)(array->bytes / item_bytes(array->dtype));
  if (!cells.view.rows || cells.view.rows * cells.view.channels != values)
    stop(WRONG, "output %s is not one area", after->output);
  for (int64_t i = 0; i < values; i++)
    if (cells.view.data[i] != cells.view.data[i]) stop(WRONG, "scores are NaN: they name no class");
  return cells;
}

static int64_t between(int64_t value, int64_t size) {
  return value < 0 ? 0 : value >= size ? size - 1 : value;
}

/* Returns where each row (`axis` 0) or column of the picture lies among the cells. */
static struct spot *spots(const struct placement *placement, int axis, int64_t cells) {
  int64_t count = placement->picture[axis];
  struct spot *result = room(sizeof *result * (size_t)(count + 1));
  double ratio = (double)cells / (double)placement->input[axis];
  for (int64_t i = 0; i < count; i++) {
    double place = ((double)i + 0.5) * placement->gain[axis] + (double)placement->offset[axis];
    double at = place * ratio - 0.5, last = (double)(cells - 1);
    float inside = (float)(at < 0 ? 0 : at > last ? last : at);
    int64_t before = (int64_t)floorf(inside);
    result[i].before = before;
    result[i].after = between(before + 1, cells);
    result[i].nearest = between((int64_t)floor(at + 0.5), cells);
    result[i].share = inside - (float)before;
    result[i].is_seen = place >= 0 && place <= (double)placement->input[axis];
  }
  return result;
}

static float value_of(const struct cells *cells, int64_t row, int64_t column, int64_t number) {
  return view_at(&cells->view, row * cells->size[1] + column, number);
}

/* Returns a score between cells: columns first, then rows. */
static float sampled(const struct cells *cells, const struct spot *row, const struct spot *column,
                     int64_t number) {
  float above = value_of(cells, row->before, column->before, number) * (1 - column->share) +
                value_of(cells, row->before, column->after, number) * column->share;
  float below = value_of(cells, row->after, column->before, number) * (1 - column->share) +
                value_of(cells, row->after, column->after, number) * column->share;
  return above * (1 - row->share) + below * row->share;
}

static int32_t class_of(const struct cells *cells, const struct spot *row, const struct spot *column) {
  const struct after *after = &bundle.after;
  int nearest = after->nearest || after->values == NUMBERS;
  float best = 0;
  int32_t chosen = 0;
  for (int64_t n = 0; n < cells->view.count; n++) {
    float value = nearest ? value_of(cells, row->nearest, column->nearest, n)
                          : sampled(cells, row, column, n);
    if (n && !(value > best)) continue;
    best = value;
    chosen = (int32_t)n;
  }
  if (after->values == NUMBERS) return (int32_t)best;
  if (after->values == SCORES) return chosen;
  activate(&best, 1, after->activation);
  return best > (float)after->threshold;
}

/* Counts the pixels of each class, which hardly ever are many; those that were not seen have none. */
static void count_shares(struct answer *answer, size_t pixels) {
  int64_t kinds = 0, most = 0, at = 0, seen = 0;
  struct score *all = NULL;
  for (size_t i = 0; i < pixels; i++) {
    int32_t number = answer->classes[i];
    if (number == -1) continue;
    seen++;
    if (!kinds || all[at].number != number)
      for (at = 0; at < kinds && all[at].number != number;) at++;
    if (at == kinds) {
      if (kinds == most) {
        most = most ? 2 * most : 64;
        all = realloc(all, sizeof *all * (size_t)most);
        if (!all) stop(WRONG, "no memory for the classes");
      }
      all[kinds++] = (struct score){number, 0};
    }
    all[at].value += 1;
  }
  for (int64_t i = 0; i < kinds; i++) all[i].value /= (double)seen;
  if (kinds) qsort(all, (size_t)kinds, sizeof *all, by_value);
  answer->scores = all;
  answer->score_count = kinds;
}

void segment(struct answer *answer, const struct face *face, const struct array *outputs) {
  struct cells cells = cells_of(face, outputs);
  const struct placement *placement = &answer->placement;
  struct spot *rows = spots(placement, 0, cells.size[0]);
  struct spot *columns = spots(placement, 1, cells.size[1]);
  size_t pixels = (size_t)(placement->picture[0] * placement->picture[1]);
  answer->classes = room(sizeof *answer->classes * (pixels + 1));
  int32_t *to = answer->classes;
  for (int64_t y = 0; y < placement->picture[0]; y++)
    for (int64_t x = 0; x < placement->picture[1]; x++)
      *to++ = rows[y].is_seen && columns[x].is_seen ? class_of(&cells, &rows[y], &columns[x]) : -1;
  count_shares(answer, pixels);
  free(rows);
  free(columns);
}
