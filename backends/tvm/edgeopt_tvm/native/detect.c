/* Boxes of a detector's outputs, thinned out: as edgeopt_runner/detection.py and suppression.py. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "program.h"

/* A product and a sum are rounded one after the other, as numpy does. */
#pragma STDC FP_CONTRACT OFF

enum { MOST_CANDIDATES = 30000 };

/* Boxes of each class are moved apart so far before they are compared. */
static const float CLASS_OFFSET = 7680;

/* As numpy's: a NaN stays one. */
static float larger(float a, float b) { return a != a ? a : b != b || b > a ? b : a; }
static float lesser(float a, float b) { return a != a ? a : b != b || b < a ? b : a; }

/* Writes the score of a row's best class, and the class. */
static void read_score(const struct view *scores, const struct view *classes, float *room_of_row,
                       struct found *found) {
  const struct after *after = &bundle.after;
  for (int64_t c = 0; c < scores->count; c++) {
    room_of_row[c] = view_at(scores, found->row, c);
  }
  activate(room_of_row, scores->count, after->activation);
  for (int64_t c = 0; c < scores->count; c++)
    if (room_of_row[c] != room_of_row[c]) stop(WRONG, "scores are NaN: they tell no box");
  if (classes) {
    found->score = room_of_row[0];
    found->number = (int64_t)view_at(classes, found->row, 0);
    return;
  }
  int64_t first = after->background == FIRST, end = scores->count - (after->background == LAST);
  found->score = 0;
  found->number = 0;
  for (int64_t c = first; c < end; c++)
    if (c == first || room_of_row[c] > found->score) {
      found->score = room_of_row[c];
      found->number = c - first;
    }
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
    read_score(&scores, after->classes.output ? &classes : NULL, values, one);
    if (one->score > (float)after->confidence) ++*count;
  }
  free(values);
  qsort(found, (size_t)*count, sizeof *found, by_score);
  if (*count > MOST_CANDIDATES) *count = MOST_CANDIDATES;
  return found;
}

/* Writes a box by its corners, in pixels of the input. */
static void read_box(const struct view *boxes, const struct placement *placement, struct found *one) {
  const struct after *after = &bundle.after;
  float b[4];
  for (int i = 0; i < 4; i++) b[i] = view_at(boxes, one->row, after->format == YXYX ? i ^ 1 : i);
  for (int i = 0; i < 4 && after->normalized; i++) b[i] *= (float)placement->input[1 - i % 2];
  for (int i = 0; i < 2; i++) {
    float place = b[i], size = b[i + 2];
    if (after->format == XYWH) b[i + 2] = place + size;
    if (after->format != CXCYWH) continue;
    b[i] = place - size / 2;
    b[i + 2] = place + size / 2;
  }
  memcpy(one->box, b, sizeof b);
}

static float area_of(const float *box) { return (box[2] - box[0]) * (box[3] - box[1]); }

static float overlap(const float *a, const float *b) {
  float across = larger(lesser(a[2], b[2]) - larger(a[0], b[0]), 0);
  float down = larger(lesser(a[3], b[3]) - larger(a[1], b[1]), 0);
  float inside = across * down;
  return inside / (area_of(a) + area_of(b) - inside);
}

/* Thins out sorted boxes: greedy, by class. Returns how many stay, which come first. */
static int64_t suppress(struct found *found, int64_t count) {
  const struct after *after = &bundle.after;
  float(*apart)[4] = room(sizeof *apart * (size_t)(count + 1));
  char *gone = room((size_t)count + 1);
  memset(gone, 0, (size_t)count + 1);
  for (int64_t i = 0; i < count; i++)
    for (int k = 0; k < 4; k++)
      apart[i][k] = found[i].box[k] + (float)found[i].number * CLASS_OFFSET * (float)!after->agnostic;
  int64_t kept = 0;
  for (int64_t i = 0; i < count && kept < after->most; i++) {
    if (gone[i]) continue;
    for (int64_t j = i + 1; j < count; j++)
      if (!gone[j] && (double)overlap(apart[i], apart[j]) > after->iou) gone[j] = 1;
    found[kept++] = found[i];
  }
  free(gone);
  free(apart);
  return kept;
}

/* Returns a place along x (`axis` 1) or y (0) of the input, in pixels of the picture. */
static float unplaced(float value, const struct placement *placement, int axis) {
  float place = (value - (float)placement->offset[axis]) / (float)placement->gain[axis];
  return lesser(larger(place, 0), (float)placement->picture[axis]);
}

static void read_keypoints(struct answer *answer, const struct face *face,
                           const struct array *outputs) {
  const struct after *after = &bundle.after;
  struct view view = view_of(&after->keypoints, face, outputs);
  answer->point_count = view.count / after->keypoint_size;
  answer->points = room(sizeof(float) * (size_t)(answer->found_count * view.count + 1));
  float *to = answer->points;
  for (int64_t n = 0; n < answer->found_count; n++)
    for (int64_t c = 0; c < view.count; c++, to++) {
      int64_t part = c % after->keypoint_size;
      if (answer->found[n].row >= view.rows) stop(WRONG, "fewer keypoints than boxes");
      *to = view_at(&view, answer->found[n].row, c);
      if (part > 1) continue;
      if (after->normalized) *to *= (float)answer->placement.input[1 - part];
      *to = unplaced(*to, &answer->placement, 1 - (int)part);
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
  if (after->nms) count = suppress(found, count);
  else if (count > after->most) count = after->most;
  for (int64_t i = 0; i < count; i++)
    for (int k = 0; k < 4; k++)
      found[i].box[k] = unplaced(found[i].box[k], &answer->placement, 1 - k % 2);
  answer->found = found;
  answer->found_count = count;
  if (after->keypoints.output) read_keypoints(answer, face, outputs);
}
