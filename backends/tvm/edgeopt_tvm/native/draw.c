/* Draws boxes, masks and areas: the pixels that edgeopt_runner/draw.py makes with Pillow, without its words. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "program.h"

#pragma STDC FP_CONTRACT OFF

enum { COLORS = 12, LEAST_PEN = 2, PEN_SHARE = 250, UNSEEN = 255, FARTHEST = 1 << 20 };

static const unsigned char colors[COLORS][3] = {
    {230, 25, 75}, {60, 180, 75},  {67, 99, 216},  {245, 130, 49}, {145, 30, 180}, {66, 212, 244},
    {240, 50, 230}, {191, 239, 69}, {70, 153, 144}, {154, 99, 36},  {128, 0, 0},    {0, 0, 117}};

static const unsigned char *color_of(int64_t number) {
  return colors[(number % COLORS + COLORS) % COLORS];
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* Halves away from zero, and towards it. */
static int64_t round_up(double v) { return (int64_t)copysign(floor(fabs(v) + 0.5), v); }
static int64_t round_down(double v) { return (int64_t)copysign(ceil(fabs(v) - 0.5), v); }

/* Colours a row from `left` to `right`, both included; what lies outside of the picture is left out. */
static void fill(struct picture *picture, int64_t y, int64_t left, int64_t right,
                 const unsigned char *color) {
  for (int64_t x = most(left, 0); x <= right && x < picture->width; x++)
    memcpy(picture->pixels + (y * picture->width + x) * 3, color, 3);
}

/* Colours a convex area of four corners (x, y), as Pillow does: each row between its ends. */
static void fill_area(struct picture *picture, int64_t (*corners)[2], const unsigned char *color) {
  int64_t top = corners[0][1], bottom = corners[0][1];
  for (int i = 1; i < 4; i++) {
    top = least(top, corners[i][1]);
    bottom = most(bottom, corners[i][1]);
  }
  for (int64_t y = most(top, 0); y <= bottom && y < picture->height; y++) {
    float left = INFINITY, right = -INFINITY;
    for (int i = 0; i < 4; i++) {
      const int64_t *a = corners[i], *b = corners[(i + 1) % 4];
      if (y < least(a[1], b[1]) || y > most(a[1], b[1])) continue;
      float slope = a[1] == b[1] ? 0 : (float)(b[0] - a[0]) / (float)(b[1] - a[1]);
      float x = (float)(y - a[1]) * slope + (float)a[0], end = a[1] == b[1] ? (float)b[0] : x;
      left = lesser(left, lesser(x, end));
      right = larger(right, larger(x, end));
    }
    fill(picture, y, round_up((double)left), round_down((double)right), color);
  }
}

/* Draws a line as Pillow draws wide ones: where the width is even, the side that is wider by one pixel
 * lies to the right of the way. */
static void draw_line(struct picture *picture, const int64_t *from, const int64_t *to, int64_t width,
                      const unsigned char *color) {
  int64_t across = to[0] - from[0], down = to[1] - from[1];
  double length = hypot((double)across, (double)down), half = (double)(width - 1) / 2;
  double wide = length > 0 ? (double)round_up(half) / length : 0;
  double narrow = length > 0 ? (double)round_down(half) / length : 0;
  int64_t left = round_down(narrow * (double)down), right = round_down(wide * (double)down);
  int64_t above = round_up(narrow * (double)across), below = round_up(wide * (double)across);
  int64_t corners[4][2] = {{from[0] - left, from[1] + below},
                           {to[0] - left, to[1] + below},
                           {to[0] + right, to[1] - above},
                           {from[0] + right, from[1] - above}};
  fill_area(picture, corners, color);
}

/* Writes the corners of a box, (x, y) each. */
static void corners_of(const struct found *one, float (*corners)[2]) {
  const float *box = one->box, cosine = cosf(one->angle), sine = sinf(one->angle);
  const float along[2] = {cosine * box[2] / 2, sine * box[2] / 2};
  const float across[2] = {-sine * box[3] / 2, cosine * box[3] / 2};
  for (int i = 0; i < 4; i++)
    for (int k = 0; k < 2; k++)
      if (!bundle.after.angles.output) corners[i][k] = box[k == 0 ? 2 * (i == 1 || i == 2) : 1 + i / 2 * 2];
      else corners[i][k] = box[k] + (i < 2 ? along[k] : -along[k]) + (i % 3 ? -across[k] : across[k]);
}

static void draw_box(struct picture *picture, const struct found *one, int64_t width,
                     const unsigned char *color) {
  float corners[4][2];
  int64_t ends[5][2];
  corners_of(one, corners);
  for (int i = 0; i < 5; i++)
    for (int k = 0; k < 2; k++) {
      float place = corners[i % 4][k];
      if (!(fabsf(place) < (float)FARTHEST)) return; /* NaN too */
      ends[i][k] = (int64_t)place;
    }
  for (int i = 0; i < 4; i++) draw_line(picture, ends[i], ends[i + 1], width, color);
}

/* Gives a pixel a share of a colour. */
static void blend(unsigned char *pixel, const unsigned char *color) {
  for (int c = 0; c < 3; c++) pixel[c] = (unsigned char)(pixel[c] * (1 - 0.45) + color[c] * 0.45);
}

/* Tints each pixel that is no background. */
static void tint(struct picture *picture, const int32_t *classes) {
  for (int64_t i = 0; i < picture->width * picture->height; i++)
    if (classes[i] > 0) blend(picture->pixels + i * 3, color_of(classes[i]));
}

/* Tints what is in the masks of boxes. */
static void tint_masks(struct picture *picture, const struct answer *answer) {
  for (int64_t n = 0; n < answer->found_count; n++) {
    make_mask(answer, &answer->found[n]);
    for (int64_t y = 0; y < picture->height; y++)
      for (int64_t x = 0; x < picture->width; x++)
        if (is_masked(answer, y, x))
          blend(picture->pixels + (y * picture->width + x) * 3, color_of(answer->found[n].number));
  }
}

void draw(struct picture *picture, const struct answer *answer) {
  if (picture->channels == 1) { /* as RGB */
    unsigned char *pixels = room((size_t)(picture->width * picture->height * 3));
    for (int64_t i = 0; i < picture->width * picture->height * 3; i++)
      pixels[i] = picture->pixels[i / 3];
    free(picture->pixels);
    picture->pixels = pixels;
    picture->channels = 3;
  }
  if (answer->meaning == AREAS) tint(picture, answer->classes);
  if (answer->masks.prototypes) tint_masks(picture, answer);
  int64_t width = least(picture->width, picture->height) / PEN_SHARE;
  for (int64_t n = answer->found_count - 1; n >= 0; n--) /* the surest lies on top */
    draw_box(picture, &answer->found[n], width < LEAST_PEN ? LEAST_PEN : width,
             color_of(answer->found[n].number));
}

void write_result(const char *path, const struct answer *answer) {
  if (answer->meaning == VECTORS) {
    npy_write(path, &answer->vectors);
    return;
  }
  struct picture picture = {answer->placement.picture[0], answer->placement.picture[1], 1, NULL};
  picture.pixels = room((size_t)(picture.width * picture.height));
  for (int64_t i = 0; i < picture.width * picture.height; i++) {
    int32_t number = answer->classes[i];
    if (number >= UNSEEN) stop(USAGE, "class %d does not fit into a .pgm: take --json", (int)number);
    picture.pixels[i] = (unsigned char)(number < 0 ? UNSEEN : number);
  }
  picture_write(path, &picture);
  free(picture.pixels);
}
