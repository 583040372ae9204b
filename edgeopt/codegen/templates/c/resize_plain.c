/* A resize without antialias ($interpolation), of the pixels around each new one: rows first, then columns,
 * in single precision, as torch.nn.functional.interpolate makes it. */
#include <math.h>
#include <stdlib.h>

#include "resize.h"

enum { TAPS = $taps, IS_WHOLE = $whole };

static void weigh(float beyond, float *weights) {
#if $taps == 2
  weights[0] = 1 - beyond, weights[1] = beyond;
#else
  const float a = -0.75f, distances[] = {beyond + 1, beyond, 1 - beyond, 2 - beyond};
  for (int n = 0; n < TAPS; n++) {
    float d = distances[n];
    weights[n] = d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
  }
#endif
}

/* Returns `from` with `size` instead of `old` along an axis: (outer, old, inner) becomes (outer, size, inner). */
static float *along(const float *from, int64_t outer, int64_t old, int64_t inner, int64_t size) {
  float *result = malloc((size_t)(outer * size * inner) * sizeof *result);
  for (int64_t n = 0; result && n < size; n++) {
    float place = (float)(((double)n + 0.5) * ((double)old / (double)size) - 0.5), weights[TAPS];
    int64_t before = (int64_t)floorf(place);
    weigh(place - (float)before, weights);
    for (int64_t o = 0; o < outer; o++)
      for (int64_t i = 0; i < inner; i++) {
        float sum = 0;
        for (int tap = 0; tap < TAPS; tap++) {
          int64_t at = before + 1 - TAPS / 2 + tap;
          at = at < 0 ? 0 : at > old - 1 ? old - 1 : at;
          sum += from[(o * old + at) * inner + i] * weights[tap];
        }
        result[(o * size + n) * inner + i] = sum;
      }
  }
  return result;
}

sample *resize_picture(const uint8_t *pixels, int64_t height, int64_t width, int64_t rows,
                       int64_t columns) {
  int64_t count = height * width * PICTURE_CHANNELS, cells = rows * columns * PICTURE_CHANNELS;
  int is_same = height == rows && width == columns;
  sample *result = malloc((size_t)cells * sizeof *result);
  float *whole = malloc((size_t)count * sizeof *whole);
  for (int64_t i = 0; whole && i < count; i++) whole[i] = (float)pixels[i];
  float *tall = whole ? along(whole, 1, height, width * PICTURE_CHANNELS, rows) : NULL;
  float *wide = tall ? along(tall, rows, width, PICTURE_CHANNELS, columns) : NULL;
  if (!wide) {
    free(result);
    result = NULL;
  }
  for (int64_t i = 0; result && i < cells; i++) {
    float value = is_same ? (float)pixels[i] : wide[i];
    if (IS_WHOLE) value = fminf(fmaxf(rintf(value), 0), 255);
    result[i] = (sample)value;
  }
  free(whole);
  free(tall);
  free(wide);
  return result;
}
