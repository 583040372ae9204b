/* A resize that takes the nearest pixel$nearest_note. */
#include <stdlib.h>

#include "resize.h"

/* Returns which of `old` pixels each of `size` is; NULL without memory. */
static int64_t *places(int64_t old, int64_t size) {
  int64_t *result = malloc((size_t)size * sizeof *result);
  double step = (double)old / (double)size, place = step * 0.5;
  for (int64_t n = 0; result && n < size; n++, place += step) {
    int64_t at = (int64_t)($is_middle ? place : (double)n * step);
    result[n] = at < old ? at : old - 1;
  }
  return result;
}

sample *resize_picture(const uint8_t *pixels, int64_t height, int64_t width, int64_t rows,
                       int64_t columns) {
  int64_t *from_y = places(height, rows), *from_x = places(width, columns);
  sample *result = malloc((size_t)(rows * columns * PICTURE_CHANNELS) * sizeof *result), *to = result;
  if (!from_y || !from_x) {
    free(result);
    result = NULL;
  }
  for (int64_t y = 0; result && y < rows; y++)
    for (int64_t x = 0; x < columns; x++)
      for (int c = 0; c < PICTURE_CHANNELS; c++)
        *to++ = (sample)pixels[(from_y[y] * width + from_x[x]) * PICTURE_CHANNELS + c];
  free(from_y);
  free(from_x);
  return result;
}
