/* Boxes that overlap are thinned out: as edgeopt_runner/suppression.py. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "program.h"

/* A product and a sum are rounded one after the other, as numpy does. */
#pragma STDC FP_CONTRACT OFF

/* Boxes of each class are moved apart so far before they are compared. */
static const float CLASS_OFFSET = 7680;
static const float EPS = 1e-7f;

/* A rotated box as a distribution: its middle and its covariances. */
struct gaussian {
  float x, y, a, b, c;
};

static float apart(const struct found *one) {
  return (float)one->number * CLASS_OFFSET * (float)!bundle.after.agnostic;
}

static float area_of(const float *box) { return (box[2] - box[0]) * (box[3] - box[1]); }

static float overlap(const float *a, const float *b) {
  float across = larger(lesser(a[2], b[2]) - larger(a[0], b[0]), 0);
  float down = larger(lesser(a[3], b[3]) - larger(a[1], b[1]), 0);
  float inside = across * down;
  return inside / (area_of(a) + area_of(b) - inside);
}

/* Greedy: a box goes where one that stayed overlaps it. */
static int64_t suppress_upright(struct found *found, int64_t count) {
  const struct after *after = &bundle.after;
  float(*moved)[4] = room(sizeof *moved * (size_t)(count + 1));
  char *gone = room((size_t)count + 1);
  memset(gone, 0, (size_t)count + 1);
  for (int64_t i = 0; i < count; i++)
    for (int k = 0; k < 4; k++) moved[i][k] = found[i].inside[k] + apart(&found[i]);
  int64_t kept = 0;
  for (int64_t i = 0; i < count && kept < after->most; i++) {
    if (gone[i]) continue;
    for (int64_t j = i + 1; j < count; j++)
      if (!gone[j] && (double)overlap(moved[i], moved[j]) > after->iou) gone[j] = 1;
    found[kept++] = found[i];
  }
  free(gone);
  free(moved);
  return kept;
}

static struct gaussian gaussian_of(const struct found *one) {
  const float *box = one->inside;
  float a = box[2] * box[2] / 12, b = box[3] * box[3] / 12;
  float across = cosf(one->angle), down = sinf(one->angle);
  struct gaussian g = {.x = box[0] + apart(one), .y = box[1] + apart(one)};
  g.a = a * (across * across) + b * (down * down);
  g.b = a * (down * down) + b * (across * across);
  g.c = (a - b) * across * down;
  return g;
}

static float spread(const struct gaussian *g) { return larger(g->a * g->b - g->c * g->c, 0); }

/* Returns how alike two rotated boxes are: one less their Hellinger distance. */
static float likeness(const struct gaussian *p, const struct gaussian *q) {
  float a = p->a + q->a, b = p->b + q->b, c = p->c + q->c, both = a * b - c * c;
  float across = p->x - q->x, down = p->y - q->y;
  float place = (a * (down * down) + b * (across * across)) / (both + EPS) * 0.25f;
  place += c * (q->x - p->x) * down / (both + EPS) * 0.5f;
  float shape = logf(both / (4 * sqrtf(spread(p) * spread(q)) + EPS) + EPS) * 0.5f;
  float distance = lesser(larger(place + shape, EPS), 100);
  return 1 - sqrtf(1 - expf(-distance) + EPS);
}

/* A rotated box goes where any of a higher score overlaps it, be that gone or not. */
static int64_t suppress_rotated(struct found *found, int64_t count) {
  const struct after *after = &bundle.after;
  struct gaussian *all = room(sizeof *all * (size_t)(count + 1));
  int64_t kept = 0;
  for (int64_t i = 0; i < count && kept < after->most; i++) {
    int64_t other = 0;
    all[i] = gaussian_of(&found[i]);
    while (other < i && !((double)likeness(&all[other], &all[i]) > after->iou)) other++;
    if (other == i) found[kept++] = found[i];
  }
  free(all);
  return kept;
}

int64_t suppress(struct found *found, int64_t count) {
  return (bundle.after.angles.output ? suppress_rotated : suppress_upright)(found, count);
}
