/* Depthwise convolutions by Helium: eight channels at a time.
 *
 * Weights, none of them -128: blocks of eight channels, in a block tap by tap. Then two products and
 * their sum fit int16, and only every second is widened. Of each block VMOVLB takes the channels 0, 2,
 * 4, 6 and VMOVLT the others: biases and factors lie in that order.
 */
#include "edgeopt_addresses.h"
#include "edgeopt_results_mve.h"

#if EDGEOPT_CORE_PACKING != EDGEOPT_PACKING_MVE
#error "these weights are packed for a core with Helium: compile for the core it was deployed to (-mcpu)"
#endif

/* The results of eight channels, int16 all; `some` says which of them there are. */
static inline int16x8_t edgeopt_eight(const edgeopt_tap *taps, const int8_t *w, int32_t depth, int32_t c,
                                      const int32_t *bias, const float *factor, edgeopt_bounds bounds,
                                      mve_pred16_t some) {
  int32x4_t even = vld1q_s32(bias), odd = vld1q_s32(bias + 4);
  int32_t t = depth;
  for (; t >= 2; t -= 2, w += 16, taps += 2) {
    int16x8_t pair = vmulq_s16(vldrbq_z_s16(taps[0] + c, some), vldrbq_s16(w));
    pair = vaddq_s16(pair, vmulq_s16(vldrbq_z_s16(taps[1] + c, some), vldrbq_s16(w + 8)));
    even = vaddq_s32(even, vmovlbq_s16(pair));
    odd = vaddq_s32(odd, vmovltq_s16(pair));
  }
  if (t) {
    const int16x8_t one = vmulq_s16(vldrbq_z_s16(taps[0] + c, some), vldrbq_s16(w));
    even = vaddq_s32(even, vmovlbq_s16(one));
    odd = vaddq_s32(odd, vmovltq_s16(one));
  }
  even = edgeopt_four_integers(bounds, even, vld1q_f32(factor));
  odd = edgeopt_four_integers(bounds, odd, vld1q_f32(factor + 4));
  return vmovntq_s32(vreinterpretq_s16_s32(even), odd);
}

EDGEOPT_APART void edgeopt_channels(const edgeopt_weighted *p, edgeopt_tap *taps, int8_t *output) {
  const edgeopt_bounds bounds = edgeopt_bounds_of(p);
  const int8_t *w = p->weight;
  const int32_t *bias = p->bias;
  const float *factor = p->factor;
  const int32_t depth = p->depth, channels = p->out_channels;
  for (int32_t c = 0; c < channels; c += 8, w += 8 * depth, bias += 8, factor += 8) {
    const mve_pred16_t some = vctp16q((uint32_t)(channels - c));
    vstrbq_p_s16(output + c, edgeopt_eight(taps, w, depth, c, bias, factor, bounds, some), some);
  }
}

void edgeopt_depthwise_mve(const edgeopt_weighted *p, const int8_t *input, int8_t *output, void *scratch) {
  edgeopt_each_pixel(p, input, output, scratch, 0, edgeopt_channels);
}
