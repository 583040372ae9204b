/* Boxes of a detector's outputs, thinned out: as edgeopt_runner/detection.py and suppression.py. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "program.h"

/* A product and a sum are rounded one after the other, as numpy does. */
#pragma STDC FP_CONTRACT OFF

enum { MOST_CANDIDATES = 30000 };

/* Writes the score of a row's best class, and the class where no output names it. */
static void read_score(const struct view *scores, float *values, struct found *found) {
  const struct after *after = &bundle.after;
  const float *row = view_row(scores, found->row);
  for (int64_t c = 0; c < scores->count; c++) values[c] = row[(size_t)c * (size_t)scores->inner];
  activate(values, scores->count, after->activation);
  for (int64_t c = 0; c < scores->count; c++)
    if (values[c] != values[c]) stop(WRONG, "scores are NaN: they tell no box");
  int named = after->classes.output != NULL;
  int64_t first = !named && after->background == FIRST;
  int64_t end = named ? 1 : scores->count - (after->background == LAST);
  found->score = 0;
  found->number = 0;
  for (int64_t c = first; c < end; c++)
    if (c == first || values[c] > found->score) {
      found->score = values[c];
      found->number = c - first;
    }
}

static int64_t class_at(const struct view *classes, int64_t row) {
  float value = *view_row(classes, row);
  if (!is_class(value)) stop(WRONG, "classes are NaN or too large: they name nothing");
  return (int64_t)value;
}

/* The highest score first; of equal ones, the first row. */
static int by_score(const void *a, const void *b) {
  const struct found *x = a, *y = b;
  if (x->score != y->score) return x->score > y->score ? -1 : 1;
  return (x->row > y->row) - (x->row < y->row);
}

/* Returns the rows whose score exceeds the threshold, sorted. */
static struct found *candidates(const struct face *face, const struct array *outputs, int64_t *count) {
  const struct after *after = &bundle.after;
  struct view scores = view_of(&after->scores, face, outputs), classes;
  if (after->classes.output) classes = view_of(&after->classes, face, outputs);
  if (after->classes.output && classes.rows < scores.rows)
    stop(WRONG, "fewer classes than scores: the bundle is of another model");
  struct found *found = room(sizeof *found * (size_t)(scores.rows + 1));
  float *values = room(sizeof *values * (size_t)(scores.count + 1));
  *count = 0;
  for (int64_t row = 0; row < scores.rows; row++) {
    struct found *one = &found[*count];
    one->row = row;
    read_score(&scores, values, one);
    if (!(one->score > (float)after->confidence)) continue;
    if (after->classes.output) one->number = class_at(&classes, row);
    ++*count;
  }
  free(values);
  qsort(found, (size_t)*count, sizeof *found, by_score);
  if (*count > MOST_CANDIDATES) *count = MOST_CANDIDATES;
  return found;
}

/* Writes a box in pixels of the input: by its corners, unless it is rotated. */
static void read_box(const struct view *boxes, const struct placement *placement, struct found *one) {
  const struct after *after = &bundle.after;
  const float *row = view_row(boxes, one->row);
  float *b = one->inside;
  for (int i = 0; i < 4; i++) {
    int from = after->format == YXYX ? i ^ 1 : i;
    b[i] = row[(size_t)from * (size_t)boxes->inner];
    if (after->normalized) b[i] *= (float)placement->input[1 - i % 2];
  }
  for (int i = 0; i < 2 && !after->angles.output; i++) {
    float place = b[i], size = b[i + 2];
    if (after->format == XYWH) b[i + 2] = place + size;
    if (after->format != CXCYWH) continue;
    b[i] = place - size / 2;
    b[i + 2] = place + size / 2;
  }
}

/* Writes the angles of rotated boxes. */
static void read_angles(const struct face *face, const struct array *outputs, struct found *found,
                        int64_t count) {
  struct view angles = view_of(&bundle.after.angles, face, outputs);
  for (int64_t i = 0; i < count; i++) {
    if (found[i].row >= angles.rows) stop(WRONG, "fewer angles than boxes");
    found[i].angle = *view_row(&angles, found[i].row);
  }
}

/* Returns a place along x (`axis` 1) or y (0) of the input, in pixels of the picture. */
static float unplaced(float value, const struct placement *placement, int axis) {
  return (value - (float)placement->offset[axis]) / (float)placement->gain[axis];
}

static float cut(float value, const struct placement *placement, int axis) {
  return lesser(larger(unplaced(value, placement, axis), 0), (float)placement->picture[axis]);
}

/* Writes a box in pixels of the picture: cut at its ends unless it is rotated. */
static void place_box(struct found *one, const struct placement *placement) {
  int is_rotated = bundle.after.angles.output != NULL;
  for (int k = 0; k < 4; k++) {
    int axis = 1 - k % 2;
    if (!is_rotated) one->box[k] = cut(one->inside[k], placement, axis);
    else if (k < 2) one->box[k] = unplaced(one->inside[k], placement, axis);
    else one->box[k] = one->inside[k] / (float)placement->gain[axis];
  }
}

static void read_keypoints(struct answer *answer, const struct face *face,
                           const struct array *outputs) {
  const struct after *after = &bundle.after;
  struct view view = view_of(&after->keypoints, face, outputs);
  answer->point_count = view.count / after->keypoint_size;
  answer->points = room(sizeof(float) * (size_t)(answer->found_count * view.count + 1));
  float *to = answer->points;
  for (int64_t n = 0; n < answer->found_count; n++) {
    if (answer->found[n].row >= view.rows) stop(WRONG, "fewer keypoints than boxes");
    const float *row = view_row(&view, answer->found[n].row);
    for (int64_t c = 0; c < view.count; c++, to++) {
      int part = (int)c % after->keypoint_size;
      *to = row[(size_t)c * (size_t)view.inner];
      if (part > 1) continue;
      if (after->normalized) *to *= (float)answer->placement.input[1 - part];
      *to = cut(*to, &answer->placement, 1 - part);
    }
  }
}

void detect(struct answer *answer, const struct face *face, const struct array *outputs) {
  const struct after *after = &bundle.after;
  int64_t count;
  struct found *found = candidates(face, outputs, &count);
  struct view boxes = view_of(&after->boxes, face, outputs);
  for (int64_t i = 0; i < count; i++) {
    if (found[i].row >= boxes.rows) stop(WRONG, "fewer boxes than scores");
    read_box(&boxes, &answer->placement, &found[i]);
  }
  if (after->angles.output) read_angles(face, outputs, found, count);
  if (after->nms) count = suppress(found, count);
  else if (count > after->most) count = after->most;
  for (int64_t i = 0; i < count; i++) place_box(&found[i], &answer->placement);
  answer->found = found;
  answer->found_count = count;
  if (after->masks.output) read_masks(answer, face, outputs);
  if (after->keypoints.output) read_keypoints(answer, face, outputs);
}
