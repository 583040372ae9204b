/* Draws boxes and areas: the pixels that edgeopt_runner/draw.py makes with Pillow, without its words. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "program.h"

#pragma STDC FP_CONTRACT OFF

enum { COLORS = 12, LEAST_PEN = 2, PEN_SHARE = 250, UNSEEN = 255 };

static const unsigned char colors[COLORS][3] = {
    {230, 25, 75}, {60, 180, 75},  {67, 99, 216},  {245, 130, 49}, {145, 30, 180}, {66, 212, 244},
    {240, 50, 230}, {191, 239, 69}, {70, 153, 144}, {154, 99, 36},  {128, 0, 0},    {0, 0, 117}};

static const unsigned char *color_of(int64_t number) {
  return colors[(number % COLORS + COLORS) % COLORS];
}

static int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }

/* Fills a rectangle, its ends included; what lies outside of the picture is left out. */
static void fill(struct picture *picture, int64_t left, int64_t top, int64_t right, int64_t bottom,
                 const unsigned char *color) {
  for (int64_t y = top < 0 ? 0 : top; y <= bottom && y < picture->height; y++)
    for (int64_t x = left < 0 ? 0 : left; x <= right && x < picture->width; x++)
      memcpy(picture->pixels + (y * picture->width + x) * 3, color, 3);
}

/* Draws the sides of a box as Pillow draws wide lines from corner to corner, clockwise: the side that is
 * longer by one pixel, where the width is even, lies to the right of the way. */
static void draw_box(struct picture *picture, const float *box, int64_t width,
                     const unsigned char *color) {
  for (int i = 0; i < 4; i++)
    if (box[i] != box[i]) return;
  int64_t left = (int64_t)box[0], top = (int64_t)box[1], right = (int64_t)box[2],
          bottom = (int64_t)box[3];
  int64_t inner = width / 2, outer = (width - 1) / 2;
  if (left < right) {
    fill(picture, left, top - outer, right, top + inner, color);
    fill(picture, left, bottom - inner, right, bottom + outer, color);
  }
  if (top < bottom) {
    fill(picture, right - outer, top, right + inner, bottom, color);
    fill(picture, left - inner, top, left + outer, bottom, color);
  }
  if (left >= right && top >= bottom) fill(picture, left, top, left, top, color);
}

/* Gives a share of its class's colour to each pixel that is no background. */
static void tint(struct picture *picture, const int32_t *classes) {
  for (int64_t i = 0; i < picture->width * picture->height; i++) {
    if (classes[i] <= 0) continue;
    const unsigned char *color = color_of(classes[i]);
    for (int c = 0; c < 3; c++) {
      double value = picture->pixels[i * 3 + c] * (1 - 0.45) + color[c] * 0.45;
      picture->pixels[i * 3 + c] = (unsigned char)value;
    }
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
  int64_t width = lesser(picture->width, picture->height) / PEN_SHARE;
  for (int64_t n = answer->found_count - 1; n >= 0; n--) /* the surest lies on top */
    draw_box(picture, answer->found[n].box, width < LEAST_PEN ? LEAST_PEN : width,
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
