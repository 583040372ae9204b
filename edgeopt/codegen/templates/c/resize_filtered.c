/* A resize that looks at all pixels that it merges ($interpolation), with the numbers of Pillow: columns
 * first, then rows (Pillow from 13 on the other way round where that is less work); of whole pixels with
 * weights of 22 bits. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "resize.h"

enum { BITS = 22, IS_WHOLE = $whole };
static const double support = $support;

typedef struct {
  int64_t first, count;
  const double *weights;
} window;

static double kernel(double x) {
$kernel
}

/* Returns a window for each new pixel, in one piece of memory; NULL without memory. */
static window *windows_of(int64_t old, int64_t size) {
  double step = (double)old / (double)size, wide = step < 1.0 ? 1.0 : step, reach = support * wide;
  int64_t most = (int64_t)ceil(reach) * 2 + 1;
  window *all = malloc((size_t)size * (sizeof *all + (size_t)most * sizeof(double)));
  for (int64_t n = 0; all && n < size; n++) {
    double *weights = (double *)(all + size) + n * most;
    double middle = ((double)n + 0.5) * step, sum = 0.0, inverse = 1.0 / wide;
    int64_t first = (int64_t)(middle - reach + 0.5), end = (int64_t)(middle + reach + 0.5);
    first = first < 0 ? 0 : first;
    end = end > old ? old : end;
    for (int64_t x = first; x < end; x++) {
      weights[x - first] = kernel(((double)x - middle + 0.5) * inverse);
      sum += weights[x - first];
    }
    for (int64_t x = 0; x < end - first; x++) {
      double weight = sum != 0.0 ? weights[x] / sum : weights[x];
      if (IS_WHOLE) weight = trunc(weight * (1 << BITS) + (weight < 0 ? -0.5 : 0.5));
      weights[x] = weight;
    }
    all[n] = (window){first, end - first, weights};
  }
  return all;
}

static sample sum_of(const sample *from, int64_t stride, const window *at) {
#if $whole
  int64_t sum = INT64_C(1) << (BITS - 1);
  for (int64_t n = 0; n < at->count; n++)
    sum += (int64_t)from[(at->first + n) * stride] * (int64_t)at->weights[n];
  sum >>= BITS;
  return (sample)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
#else
  double sum = 0.0;
  for (int64_t n = 0; n < at->count; n++)
    sum += (double)from[(at->first + n) * stride] * at->weights[n];
  return (sample)sum;
#endif
}

/* Returns `from` with `size` instead of `old` along an axis: (outer, old, inner) becomes (outer, size, inner). */
static sample *along(const sample *from, int64_t outer, int64_t old, int64_t inner, int64_t size) {
  sample *result = malloc((size_t)(outer * size * inner) * sizeof *result);
  if (result && old == size) {
    memcpy(result, from, (size_t)(outer * size * inner) * sizeof *result);
    return result;
  }
  window *windows = result ? windows_of(old, size) : NULL;
  if (!windows) {
    free(result);
    return NULL;
  }
  for (int64_t o = 0; o < outer; o++)
    for (int64_t n = 0; n < size; n++)
      for (int64_t i = 0; i < inner; i++)
        result[(o * size + n) * inner + i] = sum_of(from + o * old * inner + i, inner, windows + n);
  free(windows);
  return result;
}

sample *resize_picture(const uint8_t *pixels, int64_t height, int64_t width, int64_t rows,
                       int64_t columns) {
  int64_t count = height * width * PICTURE_CHANNELS;
  sample *whole = malloc((size_t)count * sizeof *whole);
  for (int64_t i = 0; whole && i < count; i++) whole[i] = (sample)pixels[i];
  sample *wide = whole ? along(whole, height, width, PICTURE_CHANNELS, columns) : NULL;
  sample *result = wide ? along(wide, 1, height, columns * PICTURE_CHANNELS, rows) : NULL;
  free(whole);
  free(wide);
  return result;
}
