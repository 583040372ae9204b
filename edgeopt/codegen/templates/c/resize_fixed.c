/* A bilinear resize without antialias, of whole pixels: OpenCV's INTER_LINEAR, in fixed point of 11 bits. */
#include <math.h>
#include <stdlib.h>

#include "resize.h"

typedef struct {
  int64_t before, after;
  int32_t low, high; /* weights of the two, of 2048 */
} pair;

static int64_t bounded(int64_t value, int64_t most) {
  return value < 0 ? 0 : value > most ? most : value;
}

/* Returns the two pixels around each new one; NULL without memory. */
static pair *pairs(int64_t old, int64_t size, int is_column) {
  pair *result = malloc((size_t)size * sizeof *result);
  for (int64_t n = 0; result && n < size; n++) {
    float place = (float)(((double)n + 0.5) * ((double)old / (double)size) - 0.5);
    int64_t before = (int64_t)floorf(place);
    float beyond = place - (float)before;
    if (is_column && (before < 0 || before >= old - 1)) beyond = 0;
    result[n] = (pair){bounded(before, old - 1), bounded(before + 1, old - 1),
                       (int32_t)rintf((1.0f - beyond) * 2048), (int32_t)rintf(beyond * 2048)};
  }
  return result;
}

static int32_t across(const uint8_t *row, const pair *at, int channel) {
  return (row[at->before * PICTURE_CHANNELS + channel] * at->low +
          row[at->after * PICTURE_CHANNELS + channel] * at->high) >> 4;
}

sample *resize_picture(const uint8_t *pixels, int64_t height, int64_t width, int64_t rows,
                       int64_t columns) {
  sample *result = malloc((size_t)(rows * columns * PICTURE_CHANNELS) * sizeof *result), *to = result;
  int is_same = height == rows && width == columns;
  pair *down = pairs(height, rows, 0), *along = pairs(width, columns, 1);
  if (!down || !along) {
    free(result);
    result = NULL;
  }
  int64_t stride = width * PICTURE_CHANNELS;
  for (int64_t y = 0; result && y < rows; y++)
    for (int64_t x = 0; x < columns; x++)
      for (int c = 0; c < PICTURE_CHANNELS; c++) {
        int32_t above = across(pixels + down[y].before * stride, along + x, c) * down[y].low >> 16;
        int32_t below = across(pixels + down[y].after * stride, along + x, c) * down[y].high >> 16;
        int32_t value = (above + below + 2) >> 2;
        *to++ = is_same ? pixels[y * stride + x * PICTURE_CHANNELS + c]
                        : (sample)(value < 0 ? 0 : value > 255 ? 255 : value);
      }
  free(down);
  free(along);
  return result;
}
