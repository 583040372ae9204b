/* Maximum poolings of int8, channels last: pixel by pixel, its taps one after another. */
#include "edgeopt_window.h"

static inline void edgeopt_larger(int8_t *output, const int8_t *tap, int32_t count) {
  for (; count > 0; --count, ++output, ++tap) {
    if (*tap > *output) *output = *tap;
  }
}

void edgeopt_max_pool(const edgeopt_weighted *p, const int8_t *input, int8_t *output, void *scratch) {
  const int32_t channels = p->in_channels;
  edgeopt_place at = {input, 0, 0};
  (void)scratch;
  for (int32_t left = p->batch * p->out_height * p->out_width; left > 0; --left, output += channels) {
    int32_t y = at.row * p->stride_y - p->top;
    __builtin_memset(output, -128, (size_t)channels);
    for (int32_t i = 0; i < p->kernel_height; ++i, y += p->dilation_y) {
      int32_t x = at.column * p->stride_x - p->left;
      if (y < 0 || y >= p->in_height) continue;
      for (int32_t j = 0; j < p->kernel_width; ++j, x += p->dilation_x) {
        if (x < 0 || x >= p->in_width) continue;
        edgeopt_larger(output, at.image + (y * p->in_width + x) * channels, channels);
      }
    }
    edgeopt_advance(p, &at);
  }
}
