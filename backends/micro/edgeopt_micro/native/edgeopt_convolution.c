/* Convolutions and linears: pixel by pixel its window is brought together, then multiplied by all channels. */
#include "edgeopt_window.h"

#if EDGEOPT_CORE_PACKING == EDGEOPT_PACKING_MVE
#include "edgeopt_products_mve.h"
#elif EDGEOPT_CORE_PACKING == EDGEOPT_PACKING_DSP
#include "edgeopt_products_dsp.h"
#else
#include "edgeopt_products_plain.h"
#endif

void edgeopt_convolution(const edgeopt_weighted *p, const int8_t *input, int8_t *output, void *scratch) {
  const int32_t channels = p->group_out;
  int32_t left = p->batch * p->out_height * p->out_width;
  edgeopt_place at = {input, 0, 0};
  while (left > 0) {
    edgeopt_place places[EDGEOPT_PIXELS];
    const int32_t count = left < EDGEOPT_PIXELS ? 1 : EDGEOPT_PIXELS;
    for (int32_t i = 0; i < count; ++i) {
      places[i] = at;
      edgeopt_advance(p, &at);
    }
    for (int32_t group = 0; group < p->groups; ++group) {
      edgeopt_products(p, places, count, group, output + group * channels, scratch);
    }
    output += count * p->out_channels;
    left -= count;
  }
}
