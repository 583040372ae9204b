/* A class for each pixel of the picture: as edgeopt_runner/segmentation.py. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "program.h"

#pragma STDC FP_CONTRACT OFF

/* Scores of classes: those of a cell lie `step` numbers apart. */
struct scores {
  struct cells cells;
  int64_t count;
  size_t step;
};

/* Refuses numbers that name no class. */
static void check_values(const float *values, int64_t count, int are_numbers) {
  for (int64_t i = 0; i < count; i++) {
    if (values[i] != values[i]) stop(WRONG, "scores are NaN: they name no class");
    if (are_numbers && !is_class(values[i])) stop(WRONG, "classes are NaN or too large: they name nothing");
  }
}

static struct scores scores_of(const struct face *face, const struct array *outputs) {
  const struct after *after = &bundle.after;
  const struct array *array = named_output(after->output, face, outputs);
  struct scores scores = {.cells = {.data = floats_of(array)}, .count = 1};
  int by_class = after->values == SCORES;
  int32_t axis = !by_class ? -1 : after->axis < 0 ? after->axis + array->ndim : after->axis;
  int64_t values = (int64_t)(array->bytes / item_bytes(array->dtype)), known = 1;
  if (array->ndim < 2 + by_class || axis >= array->ndim || (by_class && axis < 0))
    stop(WRONG, "output %s is no area", after->output);
  for (int32_t i = array->ndim - 1, next = 1; i >= 0; i--) {
    if (i == axis) {
      scores.count = array->shape[i];
      scores.step = (size_t)known;
    } else if (next >= 0) {
      scores.cells.size[next] = array->shape[i];
      scores.cells.step[next--] = (size_t)known;
    }
    known *= array->shape[i];
  }
  if (!values || scores.cells.size[0] * scores.cells.size[1] * scores.count != values)
    stop(WRONG, "output %s is not one area", after->output);
  check_values(scores.cells.data, values, after->values == NUMBERS);
  return scores;
}

/* Returns where each row (`axis` 0) or column of the picture lies among the cells. */
static struct spot *spots(const struct placement *placement, int axis, int64_t cells) {
  int64_t count = placement->picture[axis];
  struct spot *result = room(sizeof *result * (size_t)(count + 1));
  double ratio = (double)cells / (double)placement->input[axis];
  for (int64_t i = 0; i < count; i++) {
    double place = ((double)i + 0.5) * placement->gain[axis] + (double)placement->offset[axis];
    result[i] = spot_at(place * ratio - 0.5, cells);
    result[i].is_seen = place >= 0 && place <= (double)placement->input[axis];
  }
  return result;
}

static int32_t class_of(const struct scores *scores, const struct spot *row,
                        const struct spot *column) {
  const struct after *after = &bundle.after;
  const struct cells *cells = &scores->cells;
  int nearest = after->nearest || after->values == NUMBERS;
  const float *here = cells->data + row->nearest * cells->step[0] + column->nearest * cells->step[1];
  double best = 0;
  int32_t chosen = 0;
  for (int64_t n = 0; n < scores->count; n++) {
    size_t offset = (size_t)n * scores->step;
    double value = nearest ? (double)here[offset] : sampled(cells, row, column, offset);
    if (n && !(value > best)) continue;
    best = value;
    chosen = (int32_t)n;
  }
  if (after->values == NUMBERS) return (int32_t)best;
  if (after->values == SCORES) return chosen;
  float share = (float)best;
  activate(&share, 1, after->activation);
  return share > (float)after->threshold;
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
  struct scores scores = scores_of(face, outputs);
  const struct placement *placement = &answer->placement;
  struct spot *rows = spots(placement, 0, scores.cells.size[0]);
  struct spot *columns = spots(placement, 1, scores.cells.size[1]);
  size_t pixels = (size_t)(placement->picture[0] * placement->picture[1]);
  answer->classes = room(sizeof *answer->classes * (pixels + 1));
  int32_t *to = answer->classes;
  for (int64_t y = 0; y < placement->picture[0]; y++)
    for (int64_t x = 0; x < placement->picture[1]; x++)
      *to++ = rows[y].is_seen && columns[x].is_seen ? class_of(&scores, &rows[y], &columns[x]) : -1;
  count_shares(answer, pixels);
  free(rows);
  free(columns);
}
