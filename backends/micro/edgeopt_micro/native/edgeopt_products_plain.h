/* Sums of products on any core: two pixels by four channels, what 14 registers hold.
 *
 * Weights: blocks of four channels, in a block depth by depth. Scratch: two windows.
 */
#ifndef EDGEOPT_PRODUCTS_PLAIN_H
#define EDGEOPT_PRODUCTS_PLAIN_H

#include "edgeopt_window.h"

#define EDGEOPT_PIXELS 2

#if defined(__thumb2__) && defined(__arm__)

/* Eight products: the sums of pixels a and b are in r4-r7 and r8-r11. */
#define EDGEOPT_STEP_2X4      \
  "ldrsb r12, [r0], #1\n"     \
  "ldrsb lr, [r1], #1\n"      \
  "ldrsb r3, [r2], #1\n"      \
  "mla r4, r12, r3, r4\n"     \
  "mla r8, lr, r3, r8\n"      \
  "ldrsb r3, [r2], #1\n"      \
  "mla r5, r12, r3, r5\n"     \
  "mla r9, lr, r3, r9\n"      \
  "ldrsb r3, [r2], #1\n"      \
  "mla r6, r12, r3, r6\n"     \
  "mla r10, lr, r3, r10\n"    \
  "ldrsb r3, [r2], #1\n"      \
  "mla r7, r12, r3, r7\n"     \
  "mla r11, lr, r3, r11\n"

/* In assembly, since the loop needs every register there is. */
EDGEOPT_ASSEMBLY void edgeopt_block_2x4(const int8_t *a, const int8_t *b, const int8_t *w, int32_t depth,
                                        const int32_t *bias, int32_t *sums) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r11, lr}\n"
      "ldr r12, [sp, #36]\n"
      "ldm r12, {r4-r7}\n"
      "mov r8, r4\n"
      "mov r9, r5\n"
      "mov r10, r6\n"
      "mov r11, r7\n"
      "add r12, r0, r3\n"
      "str r12, [sp, #-4]!\n"
      "lsls r12, r3, #31\n"
      "beq 1f\n" EDGEOPT_STEP_2X4
      "b 2f\n"
      "1:\n" EDGEOPT_STEP_2X4 EDGEOPT_STEP_2X4
      "2:\n"
      "ldr r3, [sp]\n"
      "cmp r0, r3\n"
      "bne 1b\n"
      "ldr r12, [sp, #44]\n"
      "stm r12, {r4-r11}\n"
      "add sp, sp, #4\n"
      "pop {r4-r11, pc}\n" ::: "memory");
}

#elif !defined(__thumb__)

EDGEOPT_APART void edgeopt_block_2x4(const int8_t *a, const int8_t *b, const int8_t *w, int32_t depth,
                                     const int32_t *bias, int32_t *sums) {
  int32_t a0 = bias[0], a1 = bias[1], a2 = bias[2], a3 = bias[3], b0 = a0, b1 = a1, b2 = a2, b3 = a3;
  const int8_t *const end = a + depth;
  for (; a < end; w += 4) {
    const int32_t x = *a++, y = *b++;
    int32_t v = w[0];
    a0 += x * v, b0 += y * v;
    v = w[1];
    a1 += x * v, b1 += y * v;
    v = w[2];
    a2 += x * v, b2 += y * v;
    v = w[3];
    a3 += x * v, b3 += y * v;
  }
  sums[0] = a0, sums[1] = a1, sums[2] = a2, sums[3] = a3;
  sums[4] = b0, sums[5] = b1, sums[6] = b2, sums[7] = b3;
}

#endif

#if defined(__thumb__) && !defined(__thumb2__)

/* Four products: sums are in r8-r11, r4-r7 hold 1, 2, 3, 0 for the loads that extend signs. */
#define EDGEOPT_STEP_1X4       \
  "ldrsb r2, [r0, r7]\n"       \
  "adds r0, r0, #1\n"          \
  "ldrsb r3, [r1, r7]\n"       \
  "muls r3, r2, r3\n"          \
  "add r8, r3\n"               \
  "ldrsb r3, [r1, r4]\n"       \
  "muls r3, r2, r3\n"          \
  "add r9, r3\n"               \
  "ldrsb r3, [r1, r5]\n"       \
  "muls r3, r2, r3\n"          \
  "add r10, r3\n"              \
  "ldrsb r3, [r1, r6]\n"       \
  "muls r3, r2, r3\n"          \
  "add r11, r3\n"              \
  "adds r1, r1, #4\n"

/* In assembly: compilers do not keep sums in the upper registers. */
EDGEOPT_ASSEMBLY void edgeopt_block_1x4(const int8_t *a, const int8_t *w, int32_t depth, const int32_t *bias,
                                        int32_t *sums) {
  __asm__ volatile(
      ".syntax unified\n"
      "push {r4-r7, lr}\n"
      "mov r4, r8\n"
      "mov r5, r9\n"
      "mov r6, r10\n"
      "mov r7, r11\n"
      "push {r4-r7}\n"
      "ldm r3!, {r4-r7}\n"
      "mov r8, r4\n"
      "mov r9, r5\n"
      "mov r10, r6\n"
      "mov r11, r7\n"
      "adds r3, r0, r2\n"
      "mov r12, r3\n"
      "movs r4, #1\n"
      "movs r5, #2\n"
      "movs r6, #3\n"
      "movs r7, #0\n"
      "lsls r2, r2, #31\n"
      "beq 1f\n" EDGEOPT_STEP_1X4
      "b 2f\n"
      "1:\n" EDGEOPT_STEP_1X4 EDGEOPT_STEP_1X4
      "2:\n"
      "cmp r0, r12\n"
      "bne 1b\n"
      "ldr r0, [sp, #36]\n"
      "mov r4, r8\n"
      "mov r5, r9\n"
      "mov r6, r10\n"
      "mov r7, r11\n"
      "stm r0!, {r4-r7}\n"
      "pop {r4-r7}\n"
      "mov r8, r4\n"
      "mov r9, r5\n"
      "mov r10, r6\n"
      "mov r11, r7\n"
      "pop {r4-r7, pc}\n" ::: "memory");
}

/* Its registers are too few for two pixels. */
static inline void edgeopt_block_2x4(const int8_t *a, const int8_t *b, const int8_t *w, int32_t depth,
                                     const int32_t *bias, int32_t *sums) {
  edgeopt_block_1x4(a, w, depth, bias, sums);
  edgeopt_block_1x4(b, w, depth, bias, sums + 4);
}

#else

EDGEOPT_APART void edgeopt_block_1x4(const int8_t *a, const int8_t *w, int32_t depth, const int32_t *bias,
                                     int32_t *sums) {
  int32_t a0 = bias[0], a1 = bias[1], a2 = bias[2], a3 = bias[3];
  const int8_t *const end = a + depth;
  for (; a < end; w += 4) {
    const int32_t x = *a++;
    a0 += x * w[0], a1 += x * w[1], a2 += x * w[2], a3 += x * w[3];
  }
  sums[0] = a0, sums[1] = a1, sums[2] = a2, sums[3] = a3;
}

#endif

EDGEOPT_APART void edgeopt_products(const edgeopt_weighted *p, const edgeopt_place *places, int32_t count,
                                    int32_t group, int8_t *output, void *scratch) {
  const int32_t channels = p->group_out, depth = p->depth;
  const int8_t *w = p->weight + group * p->padded * depth;
  const int32_t *bias = p->bias + group * p->padded;
  const float *factor = p->factor + group * p->padded;
  const int8_t *a = edgeopt_window(p, places, group, scratch);
  const int8_t *b = count == 2 ? edgeopt_window(p, places + 1, group, (int8_t *)scratch + depth) : a;
  for (int32_t c = 0; c < channels; c += 4, w += 4 * depth) {
    const int32_t n = channels - c < 4 ? channels - c : 4;
    int32_t sums[8];
    if (count == 2) edgeopt_block_2x4(a, b, w, depth, bias + c, sums);
    else edgeopt_block_1x4(a, w, depth, bias + c, sums);
    edgeopt_store_channels(p, sums, factor + c, n, output + c);
    if (count == 2) edgeopt_store_channels(p, sums + 4, factor + c, n, output + p->out_channels + c);
  }
}

#endif
