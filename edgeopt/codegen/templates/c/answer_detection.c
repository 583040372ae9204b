#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"

enum { BOXES = $boxes, CANDIDATES = 30000, MOST = $most, THINS_OUT = $nms, IS_AGNOSTIC = $agnostic };
enum { CLASSES = $classes, FIRST_CLASS = $first_class, END_CLASS = $end_class, HAS_NUMBERS = $has_numbers };
enum { FROM_MIDDLE = $from_middle, FROM_CORNER = $from_corner, ROW_FIRST = $row_first, IS_SHARE = $normalized };
static const float confidence = $confidence;
static const double most_overlap = $iou;
static const float class_offset = 7680; /* boxes of each class are moved apart so far: wider than any input */

/* Channel `channel` of box `box`: of an output (boxes / inner, channels, inner). */
typedef struct {
  int output;
  int64_t start, channels, inner;
} columns;
static const columns box_columns = {$box_columns}, score_columns = {$score_columns};
static const columns number_columns = {$number_columns};

typedef struct {
  answer_object object;
  float moved[4], area;
  int64_t order;
} candidate;

static float value_at(void *const *outputs, columns of, int64_t box, int64_t channel) {
  int64_t index = (box / of.inner * of.channels + of.start + channel) * of.inner + box % of.inner;
  return (float)answer_number(outputs[of.output], model_outputs[of.output].dtype, index);
}

/* Finds the best class of a box. Returns -1 where a score is NaN. */
static int best_class(void *const *outputs, int64_t box, answer_object *object) {
  float scores[CLASSES];
  for (int64_t n = 0; n < CLASSES; n++) scores[n] = value_at(outputs, score_columns, box, n);
  answer_activate(scores, CLASSES);
  for (int64_t n = 0; n < CLASSES; n++)
    if (isnan(scores[n])) return -1;
  object->number = 0, object->score = END_CLASS > FIRST_CLASS ? scores[FIRST_CLASS] : 0;
  for (int64_t n = FIRST_CLASS + 1; n < END_CLASS; n++)
    if (scores[n] > object->score) object->score = scores[n], object->number = n - FIRST_CLASS;
  if (HAS_NUMBERS) object->number = (int64_t)value_at(outputs, number_columns, box, 0);
  return 0;
}

/* Corners in pixels of the input. */
static void corners(void *const *outputs, int64_t box, const placement *place, float *to) {
  float v[4];
  for (int n = 0; n < 4; n++) v[n] = value_at(outputs, box_columns, box, ROW_FIRST ? n ^ 1 : n);
  for (int n = 0; IS_SHARE && n < 4; n++) v[n] *= (float)place->input[n % 2 == 0];
  for (int n = 0; n < 2; n++) {
    to[n] = FROM_MIDDLE ? v[n] - v[n + 2] / 2 : v[n];
    to[n + 2] = FROM_MIDDLE ? v[n] + v[n + 2] / 2 : FROM_CORNER ? v[n] + v[n + 2] : v[n + 2];
  }
}

static int by_score(const void *a, const void *b) {
  const candidate *x = a, *y = b;
  if (x->object.score != y->object.score) return x->object.score < y->object.score ? 1 : -1;
  return x->order < y->order ? -1 : x->order > y->order;
}

static int overlaps(const candidate *a, const candidate *b) {
  float width = fminf(a->moved[2], b->moved[2]) - fmaxf(a->moved[0], b->moved[0]);
  float height = fminf(a->moved[3], b->moved[3]) - fmaxf(a->moved[1], b->moved[1]);
  float both = fmaxf(width, 0) * fmaxf(height, 0);
  return (double)(both / (a->area + b->area - both)) > most_overlap;
}

static void move_apart(candidate *one) {
  float offset = IS_AGNOSTIC ? 0 : (float)one->object.number * class_offset;
  for (int n = 0; n < 4; n++) one->moved[n] = one->object.box[n] + offset;
  one->area = (one->moved[2] - one->moved[0]) * (one->moved[3] - one->moved[1]);
}

/* From pixels of the input to those of the picture, cut at its ends. */
static void into_picture(float *box, const placement *place) {
  for (int n = 0; n < 4; n++) {
    int axis = n % 2 == 0;
    float at = (box[n] - (float)place->offset[axis]) / (float)place->gain[axis];
    box[n] = fminf(fmaxf(at, 0), (float)place->picture[axis]);
  }
}

int answer_objects(void *const *outputs, const placement *place, answer_object *objects) {
  candidate *all = malloc(BOXES * sizeof *all);
  int64_t count = 0;
  int told = 0;
  if (!all) return -1;
  for (int64_t box = 0; box < BOXES; box++) {
    candidate *one = all + count;
    if (best_class(outputs, box, &one->object)) {
      free(all);
      return -1;
    }
    if (!(one->object.score > confidence)) continue;
    corners(outputs, box, place, one->object.box);
    move_apart(one);
    one->order = count++;
  }
  qsort(all, (size_t)count, sizeof *all, by_score);
  if (count > CANDIDATES) count = CANDIDATES;
  for (int64_t n = 0; n < count && told < MOST; n++) {
    int stays = 1;
    for (int64_t m = 0; THINS_OUT && stays && m < told; m++) stays = !overlaps(all + m, all + n);
    if (stays) all[told++] = all[n]; /* those that stay lie in front */
  }
  for (int n = 0; n < told; n++) {
    objects[n] = all[n].object;
    into_picture(objects[n].box, place);
  }
  free(all);
  return told;
}

int answer_print(void *const *outputs, const placement *place) {
  answer_object *objects = malloc(MOST * sizeof *objects);
  int count = objects ? answer_objects(outputs, place, objects) : -1;
  for (int n = 0; n < count; n++) {
    const float *box = objects[n].box;
    printf("%3d  %8.6f  %d", n + 1, objects[n].score, (int)objects[n].number);
    answer_print_name(objects[n].number, objects[n].number);
    printf("  %.1f %.1f %.1f %.1f\n", box[0], box[1], box[2], box[3]);
  }
  if (count == 0) puts("nothing found");
  free(objects);
  return count < 0 ? -1 : 0;
}
