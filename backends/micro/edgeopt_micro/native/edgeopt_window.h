/* What one output pixel is computed of: where it lies in the input, and how it is brought together. */
#ifndef EDGEOPT_WINDOW_H
#define EDGEOPT_WINDOW_H

#include <stddef.h>

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>
#endif

#include "edgeopt_scaled.h"
#include "edgeopt_weighted.h"

/* What outputs are bounded by, in registers: a store of int8_t may change anything in memory. */
typedef struct {
  int32_t zero, low, high, narrow;
} edgeopt_bounds;

static inline edgeopt_bounds edgeopt_bounds_of(const edgeopt_weighted *p) {
  const edgeopt_bounds b = {p->out_zero, p->low, p->high, p->narrow};
  return b;
}

static inline int8_t edgeopt_result(edgeopt_bounds b, int32_t total, float factor) {
  int32_t r = edgeopt_scaled(total, factor);
#if defined(__arm__) && defined(__thumb2__) && \
    !(EDGEOPT_CORE_PACKING == EDGEOPT_PACKING_PLAIN && defined(EDGEOPT_SCALED_BY_VFP))
  int32_t result;
#if EDGEOPT_CORE_PACKING == EDGEOPT_PACKING_PLAIN
  result = r + b.zero; /* without an FPU r does not reach the ends of int32 */
#else
  __asm__("qadd %0, %1, %2" : "=r"(result) : "r"(r), "r"(b.zero));
#endif
  __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(result));
  if (!b.narrow) return (int8_t)result;
#endif
  r = r < b.low ? b.low : r > b.high ? b.high : r;
  return (int8_t)(r + b.zero);
}

/* Writes the results of sums of channels side by side. */
EDGEOPT_APART void edgeopt_store_channels(const edgeopt_weighted *p, const int32_t *sums, const float *factor,
                                          int32_t count, int8_t *output) {
  const edgeopt_bounds bounds = edgeopt_bounds_of(p);
  for (const int32_t *const end = sums + count; sums < end; ++sums, ++factor) {
    *output++ = edgeopt_result(bounds, *sums, *factor);
  }
}

/* Walks over the output's pixels, rows and samples. */
typedef struct {
  const int8_t *image; /* the sample */
  int32_t row, column; /* of the output */
} edgeopt_place;

static inline void edgeopt_advance(const edgeopt_weighted *p, edgeopt_place *at) {
  if (++at->column < p->out_width) return;
  at->column = 0;
  if (++at->row < p->out_height) return;
  at->row = 0;
  at->image += p->in_height * p->in_width * p->in_channels;
}

/* Whether all taps lie in the input, `y` and `x` the first. */
static inline int edgeopt_inside(const edgeopt_weighted *p, int32_t y, int32_t x) {
  const int32_t end_y = y + (p->kernel_height - 1) * p->dilation_y, end_x = x + (p->kernel_width - 1) * p->dilation_x;
  return y >= 0 && x >= 0 && end_y < p->in_height && end_x < p->in_width;
}

/* Copies a few bytes without a call. */
static inline void edgeopt_copy(int8_t *restrict to, const int8_t *restrict from, int32_t count) {
#if EDGEOPT_CORE_PACKING == EDGEOPT_PACKING_MVE
  for (; count > 0; count -= 16, to += 16, from += 16) {
    const mve_pred16_t some = vctp8q((uint32_t)count);
    vstrbq_p_s8(to, vldrbq_z_s8(from, some), some);
  }
#elif defined(__ARM_FEATURE_UNALIGNED)
  for (; count >= 4; count -= 4, to += 4, from += 4) __builtin_memcpy(to, from, 4);
  if (count & 2) {
    __builtin_memcpy(to, from, 2);
    to += 2, from += 2;
  }
  if (count & 1) *to = *from;
#else
  if (count >= 16) {
    __builtin_memcpy(to, from, (size_t)count);
    return;
  }
  for (; count > 0; --count) {
    *to++ = *from++;
    __asm__ volatile(""); /* or compilers make a call of it */
  }
#endif
}

/* Copies `count` taps of a row of the input, `x` its first; those outside are zero points. */
static inline int8_t *edgeopt_row(const edgeopt_weighted *p, const int8_t *row, int32_t x, int8_t *to) {
  const int32_t channels = p->in_channels, count = p->kernel_width;
  int32_t before = x < 0 ? -x : 0, end = p->in_width - x;
  if (before > count) before = count;
  if (end > count) end = count;
  if (end < before) end = before;
  if (before) __builtin_memset(to, p->in_zero, (size_t)(before * channels));
  if (end > before) edgeopt_copy(to + before * channels, row + (x + before) * channels, (end - before) * channels);
  if (end < count) __builtin_memset(to + end * channels, p->in_zero, (size_t)((count - end) * channels));
  return to + count * channels;
}

/* The same tap by tap, for dilations and groups. */
static inline int8_t *edgeopt_taps(const edgeopt_weighted *p, const int8_t *row, int32_t x, int32_t channels,
                                   int8_t *to) {
  for (int32_t i = 0; i < p->kernel_width; ++i, x += p->dilation_x, to += channels) {
    if (x < 0 || x >= p->in_width) __builtin_memset(to, p->in_zero, (size_t)channels);
    else edgeopt_copy(to, row + x * p->in_channels, channels);
  }
  return to;
}

/* The `depth` integers of a pixel's sums, in the order of the weights: in the input itself or in `to`. */
EDGEOPT_APART const int8_t *edgeopt_window(const edgeopt_weighted *p, const edgeopt_place *at, int32_t group,
                                           int8_t *to) {
  const int32_t channels = p->group_in, pitch = p->in_width * p->in_channels;
  int32_t y = at->row * p->stride_y - p->top, x = at->column * p->stride_x - p->left;
  const int8_t *first = at->image + group * channels;
  const int8_t *const start = to;
  if (p->direct) return first + y * pitch + x * p->in_channels;
  if (edgeopt_inside(p, y, x) && p->groups == 1 && p->dilation_x == 1) {
    const int8_t *row = first + y * pitch + x * channels;
    const int32_t length = p->kernel_width * channels, step = p->dilation_y * pitch;
    for (int32_t i = p->kernel_height; i > 0; --i, row += step, to += length) edgeopt_copy(to, row, length);
    return start;
  }
  for (int32_t i = 0; i < p->kernel_height; ++i, y += p->dilation_y) {
    if (y < 0 || y >= p->in_height) {
      __builtin_memset(to, p->in_zero, (size_t)(p->kernel_width * channels));
      to += p->kernel_width * channels;
    } else if (p->groups == 1 && p->dilation_x == 1) {
      to = edgeopt_row(p, first + y * pitch, x, to);
    } else {
      to = edgeopt_taps(p, first + y * pitch, x, channels, to);
    }
  }
  return start;
}

#endif
