/* The picture's size stays. */
#include <stdlib.h>

#include "resize.h"

sample *resize_picture(const uint8_t *pixels, int64_t height, int64_t width, int64_t rows,
                       int64_t columns) {
  (void)rows, (void)columns;
  int64_t count = height * width * PICTURE_CHANNELS;
  sample *result = malloc((size_t)count * sizeof *result);
  for (int64_t i = 0; result && i < count; i++) result[i] = (sample)pixels[i];
  return result;
}
