/* Depthwise convolutions: for each pixel the addresses of its taps, then all channels along them.
 *
 * Scratch: an address a tap, and a pixel of zero points that taps outside the input point to.
 */
#ifndef EDGEOPT_ADDRESSES_H
#define EDGEOPT_ADDRESSES_H

#include "edgeopt_window.h"

typedef const int8_t *edgeopt_tap;

/* Writes where the taps of a pixel lie, some of them outside. */
EDGEOPT_APART void edgeopt_edge_addresses(const edgeopt_weighted *p, const int8_t *image, int32_t y, int32_t x0,
                                          edgeopt_tap outside, edgeopt_tap *taps) {
  for (int32_t i = p->kernel_height; i > 0; --i, y += p->dilation_y) {
    int32_t x = x0;
    for (int32_t j = p->kernel_width; j > 0; --j, x += p->dilation_x) {
      const int inside = y >= 0 && y < p->in_height && x >= 0 && x < p->in_width;
      *taps++ = inside ? image + (y * p->in_width + x) * p->in_channels : outside;
      __asm__ volatile(""); /* not unrolled: it is rare */
    }
  }
}

/* Writes where the taps of a pixel lie. */
EDGEOPT_APART void edgeopt_addresses(const edgeopt_weighted *p, const edgeopt_place *at, edgeopt_tap outside,
                                     edgeopt_tap *taps) {
  const int32_t y = at->row * p->stride_y - p->top, x = at->column * p->stride_x - p->left;
  if (!edgeopt_inside(p, y, x)) {
    edgeopt_edge_addresses(p, at->image, y, x, outside, taps);
    return;
  }
  const int32_t width = p->kernel_width, step = p->dilation_x * p->in_channels, pitch = p->in_width * p->in_channels;
  const int8_t *row = at->image + y * pitch + x * p->in_channels;
  for (int32_t i = p->kernel_height; i > 0; --i, row += p->dilation_y * pitch) {
    const int8_t *tap = row;
    for (int32_t j = width; j > 0; --j, tap += step) *taps++ = tap;
  }
}

/* Runs `channels` for every pixel; it may use `more` bytes behind the addresses. */
static inline void edgeopt_each_pixel(const edgeopt_weighted *p, const int8_t *input, int8_t *output, void *scratch,
                                      int32_t more,
                                      void (*channels)(const edgeopt_weighted *, edgeopt_tap *, int8_t *)) {
  edgeopt_tap *taps = scratch;
  int8_t *outside = (int8_t *)(taps + p->depth) + more;
  edgeopt_place at = {input, 0, 0};
  __builtin_memset(outside, p->in_zero, (size_t)p->in_channels);
  for (int32_t left = p->batch * p->out_height * p->out_width; left > 0; --left) {
    edgeopt_addresses(p, &at, outside, taps);
    channels(p, taps, output);
    edgeopt_advance(p, &at);
    output += p->out_channels;
  }
}

#endif
