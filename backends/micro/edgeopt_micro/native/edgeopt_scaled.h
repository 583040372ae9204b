/* An int32 sum times a float32 factor, as an integer: what ends every integer kernel.
 *
 * The sum becomes a float32, the product is rounded to a float32, and that to an integer; each time
 * to nearest, ties to even. Cores without an FPU get the same integer from the factor's bits.
 * Exact where the result is within +-65535; beyond, it is at least as far from zero.
 */
#ifndef EDGEOPT_SCALED_H
#define EDGEOPT_SCALED_H

#include <stdint.h>
#include <stddef.h>

#if !defined(EDGEOPT_SCALED_BY_INTEGERS)
#if defined(__ARM_FP) && (__ARM_FP & 4) && defined(__arm__)
#define EDGEOPT_SCALED_BY_VFP 1
#elif defined(__riscv_flen)
#define EDGEOPT_SCALED_BY_RISCV_F 1
#elif !defined(__arm__) && !defined(__riscv)
#define EDGEOPT_SCALED_BY_FLOATS 1
#else
#define EDGEOPT_SCALED_BY_INTEGERS 1
#endif
#endif

#if defined(EDGEOPT_SCALED_BY_VFP)

/* The rounding instruction is asked for by name: C's conversion cuts off, and a compiler that fuses
   the product with an addition would round once where the contract rounds twice. */
static inline int32_t edgeopt_scaled(int32_t total, float factor) {
  float product = (float)total * factor;
  int32_t result;
  __asm__("vcvtr.s32.f32 %0, %1" : "=t"(product) : "t"(product));
  __builtin_memcpy(&result, &product, 4);
  return result;
}

#elif defined(EDGEOPT_SCALED_BY_RISCV_F)

static inline int32_t edgeopt_scaled(int32_t total, float factor) {
  float product = (float)total * factor;
  int32_t result;
  __asm__("fcvt.w.s %0, %1, rne" : "=r"(result) : "f"(product));
  return result;
}

#elif defined(EDGEOPT_SCALED_BY_FLOATS)

/* In [2^23, 2^24) floats are one apart: adding 1.5 * 2^23 rounds to an integer, ties to even. */
static inline int32_t edgeopt_scaled(int32_t total, float factor) {
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif
  volatile float product = (float)total * factor; /* volatile: no other compiler may fuse it either */
  float bounded = product < -4194304.0f ? -4194304.0f : product > 4194303.0f ? 4194303.0f : product;
  float sum = bounded + 12582912.0f;
  int32_t bits;
  __builtin_memcpy(&bits, &sum, 4);
  return bits - 0x4b400000;
}

#else

#if defined(EDGEOPT_HALF_PRODUCTS) || (defined(__arm__) && !defined(__ARM_FEATURE_CLZ)) || \
    (defined(__riscv) && !defined(__riscv_mul))

/* Upper 32 bits of a product, of four products of halves. */
static inline uint32_t edgeopt_high_product(uint32_t a, uint32_t b) {
  uint32_t al = a & 0xffffu, ah = a >> 16, bl = b & 0xffffu, bh = b >> 16;
  uint32_t middle = ah * bl + ((al * bl) >> 16); /* below 2^32: (2^16 - 1)^2 + 2^16 - 1 */
  __asm__("" : "+r"(middle)); /* or compilers make a call of a 64-bit product of it */
  uint32_t other = al * bh + (middle & 0xffffu);
  return ah * bh + (middle >> 16) + (other >> 16);
}

/* Upper 32 bits of a product of signed numbers, or up to 3 less; b is not negative. */
static inline int32_t edgeopt_near_product(int32_t a, int32_t b) {
  uint32_t al = (uint32_t)a & 0xffffu, bl = (uint32_t)b & 0xffffu, bh = (uint32_t)b >> 16;
  int32_t ah = a >> 16;
  return ah * (int32_t)bh + ((ah * (int32_t)bl) >> 16) + (int32_t)((al * bh) >> 16);
}
#define EDGEOPT_MARGIN 0x02000000u

#else

static inline uint32_t edgeopt_high_product(uint32_t a, uint32_t b) { return (uint32_t)(((uint64_t)a * b) >> 32); }
static inline int32_t edgeopt_near_product(int32_t a, int32_t b) { return (int32_t)(((int64_t)a * b) >> 32); }
#define EDGEOPT_MARGIN 0x01000000u

#endif

/* value / 2^bits to nearest, ties to even; 0 < bits < 32. */
static inline uint32_t edgeopt_to_even(uint32_t value, uint32_t bits, uint32_t rest) {
  uint32_t whole = value >> bits, part = value << (32 - bits);
  uint32_t up = part > 0x80000000u || (part == 0x80000000u && (rest || (whole & 1u)));
  return whole + up;
}

/* The magnitude of the result in full, as an FPU goes about it: three roundings. */
static __attribute__((noinline, unused)) int32_t edgeopt_scaled_fully(uint32_t size, uint32_t factor_bits) {
  uint32_t mantissa = (factor_bits & 0x7fffffu) | 0x800000u, drop = 0;
  int32_t exponent = (int32_t)(factor_bits >> 23) - 150;
  if (size == 0) return 0;
  while (size >> drop >> 24) ++drop;
  if (drop) size = edgeopt_to_even(size, drop, 0);
  exponent += (int32_t)drop;
  /* size <= 2^24 and mantissa < 2^24: their product has two words, and its top bit is brought to the top. */
  uint32_t high = edgeopt_high_product(size, mantissa), low = size * mantissa;
  while (!(high >> 31)) {
    high = high << 1 | low >> 31;
    low <<= 1;
    --exponent;
  }
  high = edgeopt_to_even(high, 8, low); /* the product as float32: high * 2^(exponent + 40) */
  exponent += 40;
  if (exponent >= 0) return 0x7fffff;
  if (exponent < -25) return 0;
  return (int32_t)edgeopt_to_even(high, (uint32_t)-exponent, 0);
}

/* Far from a tie the first two roundings cannot matter, and the upper word of one product is enough.
 *
 * Far is more than EDGEOPT_MARGIN / 2^32: half of a float's last bit (2^-9 at 2^16), and what the upper
 * word lacks (its last bits are 2^-9 at the most).
 */
static inline int32_t edgeopt_scaled(int32_t total, float factor) {
  uint32_t bits;
  __builtin_memcpy(&bits, &factor, 4);
  const uint32_t shift = 133u - (bits >> 23);
  if (!(((uint32_t)total + 0x800000u) >> 24) && shift - 9u < 23u) {
    const int32_t wide = (int32_t)((uint32_t)total << 8);
    const int32_t high = edgeopt_near_product(wide, (int32_t)((bits << 7 & 0x3fffff80u) | 0x40000000u));
    const uint32_t part = (uint32_t)high << (32u - shift);
    if (part - (0x80000000u - EDGEOPT_MARGIN) > 2u * EDGEOPT_MARGIN) return (high >> shift) + (int32_t)(part >> 31);
  }
  const int32_t size = edgeopt_scaled_fully(total < 0 ? 0u - (uint32_t)total : (uint32_t)total, bits);
  return total < 0 ? -size : size;
}

#endif

#endif
