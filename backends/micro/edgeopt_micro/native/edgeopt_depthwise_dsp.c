/* Depthwise convolutions by SMLAD: two taps of four channels in 17 instructions.
 *
 * Weights, as int16: blocks of four channels; in a block for each two taps (a, b) the pairs of the
 * channels 0, 2, 1, 3; of a last single tap the pairs of channels (0, 2), (1, 3).
 */
#include "edgeopt_addresses.h"

#if EDGEOPT_CORE_PACKING != EDGEOPT_PACKING_DSP
#error "these weights are packed for a core with SMLAD: compile for the core it was deployed to (-mcpu)"
#endif

/* Sums of the four channels at `offset` of all taps. */
EDGEOPT_ASSEMBLY void edgeopt_four_sums(const edgeopt_tap *taps, const int8_t *weight, int32_t offset, int32_t depth,
                                        const int32_t *bias, int32_t *sums) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "ldr r12, [sp, #36]\n"
      "ldm r12, {r4-r7}\n"
      "subs r3, r3, #2\n"
      "blt 2f\n"
      "1:\n"
      "ldrd r8, r9, [r0], #8\n"
      "ldr r8, [r8, r2]\n"
      "ldr r9, [r9, r2]\n"
      "sxtb16 r10, r8\n"
      "sxtb16 r11, r9\n"
      "sxtb16 r8, r8, ror #8\n"
      "sxtb16 r9, r9, ror #8\n"
      "pkhbt r12, r10, r11, lsl #16\n"
      "pkhtb r11, r11, r10, asr #16\n"
      "ldrd r10, lr, [r1], #8\n"
      "smlad r4, r12, r10, r4\n"
      "smlad r6, r11, lr, r6\n"
      "pkhbt r12, r8, r9, lsl #16\n"
      "pkhtb r11, r9, r8, asr #16\n"
      "ldrd r10, lr, [r1], #8\n"
      "smlad r5, r12, r10, r5\n"
      "smlad r7, r11, lr, r7\n"
      "subs r3, r3, #2\n"
      "bge 1b\n"
      "2:\n"
      "adds r3, r3, #2\n"
      "beq 3f\n"
      "ldr r8, [r0]\n"
      "ldr r8, [r8, r2]\n"
      "ldrd r10, lr, [r1]\n"
      "sxtb16 r9, r8\n"
      "sxtb16 r8, r8, ror #8\n"
      "smlabb r4, r9, r10, r4\n"
      "smlatt r6, r9, r10, r6\n"
      "smlabb r5, r8, lr, r5\n"
      "smlatt r7, r8, lr, r7\n"
      "3:\n"
      "ldr r12, [sp, #40]\n"
      "stm r12, {r4-r7}\n"
      "pop {r4-r11, pc}\n" ::: "memory");
}

static inline void edgeopt_store(edgeopt_bounds bounds, const int32_t *sums, const float *factor, int32_t count,
                                 int8_t *output) {
  for (int32_t i = 0; i < count; ++i) output[i] = edgeopt_result(bounds, sums[i], factor[i]);
}

/* The addresses of copies of the last channels, fewer than four: behind them four can be read. */
static __attribute__((noinline)) const edgeopt_tap *edgeopt_last_channels(const edgeopt_weighted *p, edgeopt_tap *taps,
                                                                          int32_t c) {
  edgeopt_tap *copies = taps + p->depth;
  int8_t *to = (int8_t *)(copies + p->depth);
  for (int32_t t = 0; t < p->depth; ++t, to += 4) {
    copies[t] = to;
    for (int32_t i = c; i < p->out_channels; ++i) to[i - c] = taps[t][i];
  }
  return copies;
}

EDGEOPT_APART void edgeopt_channels(const edgeopt_weighted *p, edgeopt_tap *taps, int8_t *output) {
  const edgeopt_bounds bounds = edgeopt_bounds_of(p);
  const int32_t channels = p->out_channels, depth = p->depth, block = 8 * depth;
  const int8_t *w = p->weight;
  const float *factor = p->factor;
  const int32_t *bias = p->bias;
  int32_t sums[4], c = 0;
  for (; c + 4 <= channels; c += 4, w += block) {
    edgeopt_four_sums(taps, w, c, depth, bias + c, sums);
    edgeopt_store(bounds, sums, factor + c, 4, output + c);
  }
  if (c == channels) return;
  edgeopt_four_sums(edgeopt_last_channels(p, taps, c), w, 0, depth, bias + c, sums);
  edgeopt_store(bounds, sums, factor + c, channels - c, output + c);
}

void edgeopt_depthwise_dsp(const edgeopt_weighted *p, const int8_t *input, int8_t *output, void *scratch) {
  const int32_t more = p->out_channels & 3 ? p->depth * (int32_t)(sizeof(edgeopt_tap) + 4) : 0;
  edgeopt_each_pixel(p, input, output, scratch, more, edgeopt_channels);
}
