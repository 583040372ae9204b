/* Sums of products by SMLAD: four pixels by two channels, 13 instructions for 16 products.
 *
 * Windows are widened to int16 once, four pixels side by side. Of a word of four integers SXTB16 gives
 * the pair (0, 2), and turned by a byte (1, 3): weights lie in that order. Weights: blocks of two
 * channels; in a block words of (a0, b0, a2, b2), (a1, b1, a3, b3), so that SXTB16 parts the channels.
 */
#ifndef EDGEOPT_PRODUCTS_DSP_H
#define EDGEOPT_PRODUCTS_DSP_H

#include "edgeopt_window.h"

#define EDGEOPT_PIXELS 4

/* Widens a window into every `pixels`-th word. */
static inline void edgeopt_widen(const int8_t *from, int32_t count, int32_t pixels, uint32_t *to) {
  uint32_t word, even, odd;
  for (; count >= 4; count -= 4, from += 4, to += 2 * pixels) {
    __builtin_memcpy(&word, from, 4);
    __asm__("sxtb16 %0, %1" : "=r"(even) : "r"(word));
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(word));
    to[0] = even;
    to[pixels] = odd;
  }
  if (count == 0) return;
  word = 0;
  for (int32_t i = 0; i < count; ++i) word |= (uint32_t)(uint8_t)from[i] << (8 * i);
  __asm__("sxtb16 %0, %1" : "=r"(even) : "r"(word));
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(word));
  to[0] = even;
  to[pixels] = odd;
}

/* Two products of each of four pixels (r4-r7 and r8-r11: the sums of two channels). */
#define EDGEOPT_STEP_4X2          \
  "ldr r3, [r1], #4\n"            \
  "ldrd r12, lr, [r0], #8\n"      \
  "sxtb16 r2, r3\n"               \
  "sxtb16 r3, r3, ror #8\n"       \
  "smlad r4, r12, r2, r4\n"       \
  "smlad r8, r12, r3, r8\n"       \
  "smlad r5, lr, r2, r5\n"        \
  "smlad r9, lr, r3, r9\n"        \
  "ldrd r12, lr, [r0], #8\n"      \
  "smlad r6, r12, r2, r6\n"       \
  "smlad r10, r12, r3, r10\n"     \
  "smlad r7, lr, r2, r7\n"        \
  "smlad r11, lr, r3, r11\n"

/* In assembly, since the loop needs every register there is. `quads`: depth / 4. */
EDGEOPT_ASSEMBLY void edgeopt_block_4x2(const uint32_t *windows, const int8_t *weight, int32_t quads, const int32_t *bias, int32_t *sums) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "ldrd r4, r8, [r3]\n"
      "add r12, r1, r2, lsl #3\n"
      "str r12, [sp, #-4]!\n"
      "mov r5, r4\n"
      "mov r6, r4\n"
      "mov r7, r4\n"
      "mov r9, r8\n"
      "mov r10, r8\n"
      "mov r11, r8\n"
      "lsls r2, r2, #31\n"
      "beq 1f\n" EDGEOPT_STEP_4X2 EDGEOPT_STEP_4X2
      "ldr r2, [sp]\n"
      "cmp r1, r2\n"
      "beq 2f\n"
      "1:\n" EDGEOPT_STEP_4X2 EDGEOPT_STEP_4X2 EDGEOPT_STEP_4X2 EDGEOPT_STEP_4X2
      "ldr r2, [sp]\n"
      "cmp r1, r2\n"
      "bne 1b\n"
      "2:\n"
      "ldr r0, [sp, #40]\n"
      "stm r0, {r4-r11}\n"
      "add sp, sp, #4\n"
      "pop {r4-r11, pc}\n" ::: "memory");
}

#define EDGEOPT_STEP_1X2(weight, pair)    \
  "sxtb16 r12, " weight "\n"              \
  "sxtb16 " weight ", " weight ", ror #8\n" \
  "smlad r2, " pair ", r12, r2\n"         \
  "smlad r3, " pair ", " weight ", r3\n"

EDGEOPT_ASSEMBLY void edgeopt_block_1x2(const uint32_t *window, const int8_t *weight, int32_t quads, const int32_t *bias, int32_t *sums) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "add lr, r1, r2, lsl #3\n"
      "lsls r12, r2, #31\n"
      "ldrd r2, r3, [r3]\n"
      "beq 1f\n"
      "ldm r1!, {r4, r5}\n"
      "ldm r0!, {r8, r9}\n" EDGEOPT_STEP_1X2("r4", "r8") EDGEOPT_STEP_1X2("r5", "r9")
      "cmp r1, lr\n"
      "beq 2f\n"
      "1:\n"
      "ldm r1!, {r4-r7}\n"
      "ldm r0!, {r8-r11}\n" EDGEOPT_STEP_1X2("r4", "r8") EDGEOPT_STEP_1X2("r5", "r9")
      EDGEOPT_STEP_1X2("r6", "r10") EDGEOPT_STEP_1X2("r7", "r11")
      "cmp r1, lr\n"
      "bne 1b\n"
      "2:\n"
      "ldr r0, [sp, #36]\n"
      "strd r2, r3, [r0]\n"
      "pop {r4-r11, pc}\n" ::: "memory");
}

/* Writes a channel of `count` pixels. */
static inline void edgeopt_store(edgeopt_bounds bounds, const int32_t *sums, float factor, int32_t count,
                                 int8_t *output, int32_t pitch) {
  for (int32_t i = 0; i < count; ++i, output += pitch) *output = edgeopt_result(bounds, sums[i], factor);
}

EDGEOPT_APART void edgeopt_products(const edgeopt_weighted *p, const edgeopt_place *places, int32_t count,
                                    int32_t group, int8_t *output, void *scratch) {
  const int32_t channels = p->group_out, quads = (int32_t)((uint32_t)p->depth + 3) / 4, pitch = p->out_channels;
  const int8_t *w = p->weight + group * p->padded * quads * 4;
  const int32_t *bias = p->bias + group * p->padded;
  const float *factor = p->factor + group * p->padded;
  const edgeopt_bounds bounds = edgeopt_bounds_of(p);
  uint32_t *windows = scratch;
  int8_t *window = (int8_t *)(windows + 2 * EDGEOPT_PIXELS * quads);
  for (int32_t i = 0; i < count; ++i) {
    edgeopt_widen(edgeopt_window(p, places + i, group, window), p->depth, count, windows + i);
  }
  for (int32_t c = 0; c < channels; c += 2, w += 8 * quads, bias += 2, factor += 2, output += 2) {
    int32_t sums[2 * EDGEOPT_PIXELS];
    if (count == 1) {
      edgeopt_block_1x2(windows, w, quads, bias, sums);
      edgeopt_store(bounds, sums, factor[0], 1, output, pitch);
      if (c + 1 < channels) edgeopt_store(bounds, sums + 1, factor[1], 1, output + 1, pitch);
    } else {
      edgeopt_block_4x2(windows, w, quads, bias, sums);
      edgeopt_store(bounds, sums, factor[0], 4, output, pitch);
      if (c + 1 < channels) edgeopt_store(bounds, sums + 4, factor[1], 4, output + 1, pitch);
    }
  }
}

#endif
