#include "picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "resize.h"

enum { ROWS = $rows, COLUMNS = $columns, CHANNELS = $channels };
enum { RESIZES = $resizes, RESIZE_ROWS = $resize_rows, RESIZE_COLUMNS = $resize_columns };
enum { LETTERBOX = $letterbox, CROPS = $crops, CENTERED = $centered, ENLARGES = $enlarges, ROUNDS_DOWN = $rounds_down };
enum { IS_INSIDE = $inside, IS_BGR = $bgr, CHANNELS_FIRST = $channels_first };
static const sample fill[] = {$fill};
static const int64_t most_pixels = INT64_C(1) << 27;
#if !$inside
static const float scale = $scale;
static const float mean[] = {$mean};
static const float std[] = {$std};
#endif

/* Returns rows and columns after the resize; halves go to the even number, as Python rounds them. */
static void resized_size(int64_t height, int64_t width, int64_t *rows, int64_t *columns) {
  *rows = height, *columns = width;
  if (RESIZES == 1) {
    int64_t least = height < width ? height : width;
    *rows = (int64_t)((double)((int64_t)RESIZE_ROWS * height) / (double)least);
    *columns = (int64_t)((double)((int64_t)RESIZE_ROWS * width) / (double)least);
  } else if (RESIZES == 2 && LETTERBOX) {
    double ratio = fmin((double)RESIZE_ROWS / (double)height, (double)RESIZE_COLUMNS / (double)width);
    if (!ENLARGES) ratio = fmin(ratio, 1.0);
    *rows = (int64_t)fmax(rint((double)height * ratio), 1.0);
    *columns = (int64_t)fmax(rint((double)width * ratio), 1.0);
  } else if (RESIZES == 2) {
    *rows = RESIZE_ROWS, *columns = RESIZE_COLUMNS;
  }
}

static int64_t centered(int64_t whole, int64_t part) {
  return CENTERED ? (int64_t)rint((double)(whole - part) / 2 - 0.1) : 0;
}

/* Returns where a crop of `wanted` begins: below 0 where the picture is smaller. */
static int64_t crop_offset(int64_t size, int64_t wanted) {
  if (wanted > size) return (wanted - size) / 2;
  return ROUNDS_DOWN ? -((size - wanted) / 2) : -(int64_t)rint((double)(size - wanted) / 2);
}

static void write_pixel(const sample *pixel, int64_t at, picture_cell *input) {
  for (int c = 0; c < CHANNELS; c++) {
    sample value = pixel[PICTURE_CHANNELS == 1 ? 0 : IS_BGR && !IS_INSIDE ? CHANNELS - 1 - c : c];
    int64_t place = CHANNELS_FIRST ? (int64_t)c * ROWS * COLUMNS + at : at * CHANNELS + c;
#if $inside
    input[place] = (picture_cell)value;
#else
    input[place] = ((float)value * scale - mean[c]) / std[c];
#endif
  }
}

int picture_prepare(const uint8_t *pixels, int64_t height, int64_t width, picture_cell *input,
                    placement *place) {
  int64_t rows, columns, top, left;
  if (height < 1 || width < 1 || height > most_pixels / width) return -1;
  resized_size(height, width, &rows, &columns);
  if (rows < 1 || columns < 1 || rows > most_pixels / columns) return -1;
  if (!CROPS && !LETTERBOX && (rows != ROWS || columns != COLUMNS)) return -1;
  sample *small = resize_picture(pixels, height, width, rows, columns);
  if (!small) return -1;
  if (LETTERBOX) {
    top = centered(ROWS, rows), left = centered(COLUMNS, columns);
  } else {
    top = crop_offset(rows, ROWS), left = crop_offset(columns, COLUMNS);
  }
  for (int64_t y = 0; y < ROWS; y++)
    for (int64_t x = 0; x < COLUMNS; x++) {
      int64_t from_y = y - top, from_x = x - left;
      int is_inside = from_y >= 0 && from_x >= 0 && from_y < rows && from_x < columns;
      const sample *pixel = is_inside ? small + (from_y * columns + from_x) * PICTURE_CHANNELS : fill;
      write_pixel(pixel, y * COLUMNS + x, input);
    }
  free(small);
  *place = (placement){{height, width}, {ROWS, COLUMNS}, {top, left},
                       {(double)rows / (double)height, (double)columns / (double)width}};
  return 0;
}
