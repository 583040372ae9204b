/* Sums of products by Helium: two pixels by four channels, 14 instructions for 128 products.
 *
 * Weights: blocks of four channels; in a block for each 16 of the depth 16 of each channel, zeros behind
 * the last. Scratch: two windows.
 */
#ifndef EDGEOPT_PRODUCTS_MVE_H
#define EDGEOPT_PRODUCTS_MVE_H

#include "edgeopt_results_mve.h"

#define EDGEOPT_PIXELS 2

#define EDGEOPT_STEP_2X4           \
  "vldrb.8 q2, [r5], #16\n"        \
  "vmladava.s8 r0, q0, q2\n"       \
  "vmladava.s8 r8, q1, q2\n"       \
  "vldrb.8 q3, [r5], #16\n"        \
  "vmladava.s8 r2, q0, q3\n"       \
  "vmladava.s8 r10, q1, q3\n"      \
  "vldrb.8 q2, [r5], #16\n"        \
  "vmladava.s8 r4, q0, q2\n"       \
  "vmladava.s8 r12, q1, q2\n"      \
  "vldrb.8 q3, [r5], #16\n"        \
  "vmladava.s8 r6, q0, q3\n"       \
  "vmladava.s8 lr, q1, q3\n"

/* In assembly, since the sums take all registers that VMLADAVA can add to. */
EDGEOPT_ASSEMBLY void edgeopt_block_2x4(const int8_t *a, const int8_t *b, const int8_t *weight, int32_t depth, const int32_t *bias, int32_t *sums) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "mov r5, r2\n"
      "mov r7, r3\n"
      "mov r3, r1\n"
      "mov r1, r0\n"
      "ldr r9, [sp, #36]\n"
      "ldm r9, {r0, r2, r4, r6}\n"
      "mov r8, r0\n"
      "mov r10, r2\n"
      "mov r12, r4\n"
      "mov lr, r6\n"
      "subs r7, r7, #16\n"
      "blt 2f\n"
      "1:\n"
      "vldrb.8 q0, [r1], #16\n"
      "vldrb.8 q1, [r3], #16\n" EDGEOPT_STEP_2X4
      "subs r7, r7, #16\n"
      "bge 1b\n"
      "2:\n"
      "adds r7, r7, #16\n"
      "beq 3f\n"
      "vctp.8 r7\n"
      "vpstt\n"
      "vldrbt.u8 q0, [r1]\n"
      "vldrbt.u8 q1, [r3]\n" EDGEOPT_STEP_2X4
      "3:\n"
      "ldr r9, [sp, #40]\n"
      "stm r9, {r0, r2, r4, r6, r8, r10, r12, lr}\n"
      "pop {r4-r11, pc}\n" ::: "memory");
}

#define EDGEOPT_STEP_1X4           \
  "vldrb.8 q2, [r5], #16\n"        \
  "vmladava.s8 r0, q0, q2\n"       \
  "vldrb.8 q3, [r5], #16\n"        \
  "vmladava.s8 r2, q0, q3\n"       \
  "vldrb.8 q2, [r5], #16\n"        \
  "vmladava.s8 r4, q0, q2\n"       \
  "vldrb.8 q3, [r5], #16\n"        \
  "vmladava.s8 r6, q0, q3\n"

/* The same of one pixel: weights are read once, and LR is free to count. */
EDGEOPT_ASSEMBLY void edgeopt_block_1x4(const int8_t *a, const int8_t *weight, int32_t depth, const int32_t *bias,
                                        int32_t *sums) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "mov r11, r0\n"
      "mov r5, r1\n"
      "mov r7, r2\n"
      "ldm r3, {r0, r2, r4, r6}\n"
      "lsrs r9, r7, #5\n"
      "wls lr, r9, 2f\n"
      "1:\n"
      "vldrb.8 q0, [r11], #16\n" EDGEOPT_STEP_1X4
      "vldrb.8 q0, [r11], #16\n" EDGEOPT_STEP_1X4
      "le lr, 1b\n"
      "2:\n"
      "ands r7, r7, #31\n"
      "beq 4f\n"
      "subs r7, r7, #16\n"
      "blt 3f\n"
      "vldrb.8 q0, [r11], #16\n" EDGEOPT_STEP_1X4
      "beq 4f\n"
      "b 5f\n"
      "3:\n"
      "adds r7, r7, #16\n"
      "5:\n"
      "vctp.8 r7\n"
      "vpst\n"
      "vldrbt.u8 q0, [r11]\n" EDGEOPT_STEP_1X4
      "4:\n"
      "ldr r9, [sp, #36]\n"
      "stm r9, {r0, r2, r4, r6}\n"
      "pop {r4-r11, pc}\n" ::: "memory");
}

EDGEOPT_APART void edgeopt_products(const edgeopt_weighted *p, const edgeopt_place *places, int32_t count,
                                    int32_t group, int8_t *output, void *scratch) {
  const int32_t channels = p->group_out, depth = p->depth, length = (depth + 15) & ~15, pitch = p->out_channels;
  const int8_t *w = p->weight + group * p->padded * length;
  const int32_t *bias = p->bias + group * p->padded;
  const float *factor = p->factor + group * p->padded;
  const edgeopt_bounds bounds = edgeopt_bounds_of(p);
  const int8_t *a = edgeopt_window(p, places, group, scratch);
  const int8_t *b = count == 2 ? edgeopt_window(p, places + 1, group, (int8_t *)scratch + length) : a;
  for (int32_t c = 0; c < channels; c += 4, w += 4 * length, bias += 4, factor += 4, output += 4) {
    int32_t sums[8];
    const mve_pred16_t some = vctp32q((uint32_t)(channels - c));
    const float32x4_t factors = vld1q_f32(factor);
    if (count == 2) {
      edgeopt_block_2x4(a, b, w, depth, bias, sums);
      vstrbq_p_s32(output + pitch, edgeopt_four_integers(bounds, vld1q_s32(sums + 4), factors), some);
    } else {
      edgeopt_block_1x4(a, w, depth, bias, sums);
    }
    vstrbq_p_s32(output, edgeopt_four_integers(bounds, vld1q_s32(sums), factors), some);
  }
}

#endif
