/* Depthwise convolutions on any core, with a multiplier too: four channels at a time.
 *
 * Weights: tap by tap all output channels.
 */
#include "edgeopt_addresses.h"

EDGEOPT_APART void edgeopt_four_sums(const edgeopt_tap *taps, const int8_t *w, int32_t c, int32_t depth,
                                     int32_t pitch, const int32_t *bias, int32_t *sums) {
  int32_t s0 = bias[0], s1 = bias[1], s2 = bias[2], s3 = bias[3];
  for (; depth > 0; --depth, w += pitch) {
    const int8_t *x = *taps++ + c;
    s0 += x[0] * w[0], s1 += x[1] * w[1], s2 += x[2] * w[2], s3 += x[3] * w[3];
    __asm__ volatile(""); /* not unrolled: it would take more registers than there are */
  }
  sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

EDGEOPT_APART int32_t edgeopt_one_sum(const edgeopt_tap *taps, const int8_t *w, int32_t in, int32_t depth,
                                      int32_t pitch, int32_t sum) {
  for (; depth > 0; --depth, w += pitch) sum += (*taps++)[in] * *w;
  return sum;
}

EDGEOPT_APART void edgeopt_channels(const edgeopt_weighted *p, edgeopt_tap *taps, int8_t *output) {
  const int32_t channels = p->out_channels, multiplier = p->group_out, depth = p->depth;
  int32_t sums[4], in = 0, c = 0;
  for (; multiplier == 1 && c + 4 <= channels; in += 4, c += 4) {
    edgeopt_four_sums(taps, p->weight + c, c, depth, channels, p->bias + c, sums);
    edgeopt_store_channels(p, sums, p->factor + c, 4, output + c);
  }
  for (; in < p->in_channels; ++in) {
    for (int32_t i = 0; i < multiplier; ++i, ++c) {
      sums[0] = edgeopt_one_sum(taps, p->weight + c, in, depth, channels, p->bias[c]);
      edgeopt_store_channels(p, sums, p->factor + c, 1, output + c);
    }
  }
}

void edgeopt_depthwise(const edgeopt_weighted *p, const int8_t *input, int8_t *output, void *scratch) {
  edgeopt_each_pixel(p, input, output, scratch, 0, edgeopt_channels);
}
