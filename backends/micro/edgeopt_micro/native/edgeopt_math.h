/* Float functions without a C library. */
#ifndef EDGEOPT_MATH_H
#define EDGEOPT_MATH_H

#include <stdint.h>

static inline uint32_t edgeopt_bits(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  return bits;
}

static inline float edgeopt_float(uint32_t bits) {
  float x;
  __builtin_memcpy(&x, &bits, 4);
  return x;
}

static inline int32_t edgeopt_clamped(int32_t x, int32_t low, int32_t high) {
  return x < low ? low : x > high ? high : x;
}

/* How many of the thresholds, which grow, a sum has reached. */
static inline int32_t edgeopt_passed(int32_t sum, const int32_t *thresholds, int32_t count) {
  int32_t low = 0;
  while (count > 0) {
    int32_t half = count / 2;
    if (sum >= thresholds[low + half]) low += half + 1, count -= half + 1;
    else count = half;
  }
  return low;
}

/* The nearest integer of sum / count, ties to even; count is above zero. */
static inline int32_t edgeopt_quotient(int32_t sum, int32_t count) {
  int32_t whole = sum / count, rest = sum % count;
  if (rest < 0) whole -= 1, rest += count;
  rest *= 2;
  return whole + (rest > count || (rest == count && (whole & 1)));
}

static inline float edgeopt_minimum(float a, float b) { return a != a || a < b ? a : b; }
static inline float edgeopt_maximum(float a, float b) { return a != a || a > b ? a : b; }
static inline float edgeopt_absolute(float x) { return edgeopt_float(edgeopt_bits(x) & 0x7fffffffu); }
static inline float edgeopt_signed(float x, float sign) {
  return edgeopt_float((edgeopt_bits(x) & 0x7fffffffu) | (edgeopt_bits(sign) & 0x80000000u));
}

/* Ties to even, as the processor adds: above 2^23 every float is whole. */
static inline float edgeopt_round(float x) {
  const float magic = 8388608.0f;
  float size = edgeopt_absolute(x);
  if (!(size < magic)) return x;
  return edgeopt_signed((size + magic) - magic, x);
}

/* The nearest integer of a number below 2^22: it stands in the last bits of a sum. */
static inline int32_t edgeopt_nearest(float x) {
  return (int32_t)(edgeopt_bits(x + 12582912.0f) - 0x4b400000u);
}

static inline float edgeopt_floor(float x) {
  float whole = edgeopt_round(x);
  return whole > x ? whole - 1.0f : whole;
}

static inline float edgeopt_ceil(float x) { return -edgeopt_floor(-x); }

/* The integer of a real number on a grid, as the reference has it: divided, rounded, clipped. */
static inline int32_t edgeopt_on_grid(float x, float scale, int32_t zero, int32_t low, int32_t high) {
  float steps = x / scale;
  if (!(steps > -1024.0f)) steps = -1024.0f;
  if (steps > 1024.0f) steps = 1024.0f;
  return edgeopt_clamped(edgeopt_nearest(steps) + zero, low, high);
}

/* x * 2^power, for results that are no denormals. */
static inline float edgeopt_scaled_by(float x, int32_t power) {
  while (power > 127) x *= 1.7014118346e38f, power -= 127;
  while (power < -126) x *= 1.1754943508e-38f, power += 126;
  return x * edgeopt_float((uint32_t)(power + 127) << 23);
}

static inline float edgeopt_exp(float x) {
  if (x != x) return x;
  if (x > 88.72284f) return edgeopt_float(0x7f800000u);
  if (x < -103.97209f) return 0.0f;
  float n = edgeopt_round(x * 1.44269504089f);
  float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return edgeopt_scaled_by(p * r * r + r + 1.0f, (int32_t)n);
}

/* exp(x) - 1 without losing small x. */
static inline float edgeopt_expm1(float x) {
  if (edgeopt_absolute(x) > 0.35f) return edgeopt_exp(x) - 1.0f;
  float p = 1.0f / 5040.0f;
  p = p * x + 1.0f / 720.0f;
  p = p * x + 1.0f / 120.0f;
  p = p * x + 1.0f / 24.0f;
  p = p * x + 1.0f / 6.0f;
  p = p * x + 0.5f;
  return p * x * x + x;
}

static inline float edgeopt_log(float x) {
  if (x != x || x < 0.0f) return edgeopt_float(0x7fc00000u);
  if (x == 0.0f) return edgeopt_float(0xff800000u);
  if (edgeopt_bits(x) == 0x7f800000u) return x;
  int32_t power = 0;
  if (x < 1.1754944e-38f) x *= 16777216.0f, power = -24;
  uint32_t bits = edgeopt_bits(x);
  power += (int32_t)(bits >> 23) - 126;
  float m = edgeopt_float((bits & 0x007fffffu) | 0x3f000000u); /* [0.5, 1) */
  if (m < 0.707106781f) m = m + m, power -= 1;
  m -= 1.0f;
  float p = 7.0376836292e-2f;
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  float square = m * m, y = p * m * square;
  y += (float)power * -2.12194440e-4f;
  y += -0.5f * square;
  return m + y + (float)power * 0.693359375f;
}

static inline float edgeopt_sqrt(float x) {
#if defined(__arm__) && defined(__ARM_FP)
  __asm__("vsqrt.f32 %0, %0" : "+t"(x)); /* the builtin calls a library for the sake of errno */
  return x;
#elif defined(__riscv_flen)
  __asm__("fsqrt.s %0, %0" : "+f"(x));
  return x;
#elif defined(__x86_64__) || defined(__aarch64__)
  return __builtin_sqrtf(x);
#else
  if (!(x > 0.0f)) return x == 0.0f ? x : edgeopt_float(0x7fc00000u);
  float y = edgeopt_float((edgeopt_bits(x) >> 1) + 0x1fbd1df5u);
  for (int i = 0; i < 4; i++) y = 0.5f * (y + x / y);
  return y;
#endif
}

static inline float edgeopt_sigmoid(float x) { return 1.0f / (1.0f + edgeopt_exp(-x)); }

static inline float edgeopt_tanh(float x) {
  float size = edgeopt_absolute(x);
  if (size > 9.1f) return edgeopt_signed(1.0f, x);
  if (size < 0.15f) {
    float s = x * x;
    return x + x * s * (-0.333333333f + s * (0.133333333f + s * (-0.053968254f + s * 0.021869489f)));
  }
  float e = edgeopt_expm1(2.0f * size);
  return edgeopt_signed(e / (e + 2.0f), x);
}

/* Abramowitz and Stegun give 7.1.26 to 1.5e-7; near 0 its series. */
static inline float edgeopt_erf(float x) {
  float size = edgeopt_absolute(x);
  if (size < 0.5f) {
    float s = x * x;
    return 1.1283791671f * x * (1.0f - s * (1.0f / 3.0f - s * (0.1f - s * (1.0f / 42.0f - s * (1.0f / 216.0f - s / 1320.0f)))));
  }
  float t = 1.0f / (1.0f + 0.3275911f * size);
  float p = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
  return edgeopt_signed(1.0f - p * edgeopt_exp(-size * size), x);
}

/* Cosine of an angle of up to some thousands. */
static inline float edgeopt_sine_of(float x, int32_t quarter) {
  float n = edgeopt_round(x * 0.636619772f);
  float r = ((x - n * 1.5703125f) - n * 4.837512969970703125e-4f) - n * 7.54978995489188e-8f;
  quarter = ((int32_t)n + quarter) & 3;
  float s = r * r, y;
  if (quarter & 1) {
    y = 1.0f - 0.5f * s + s * s * (4.166664568e-2f + s * (-1.388731625e-3f + s * 2.443315711e-5f));
  } else {
    y = r + r * s * (-1.6666654611e-1f + s * (8.3321608736e-3f - s * 1.9515295891e-4f));
  }
  return quarter & 2 ? -y : y;
}

static inline float edgeopt_sin(float x) { return edgeopt_sine_of(x, 0); }
static inline float edgeopt_cos(float x) { return edgeopt_sine_of(x, 1); }

static inline float edgeopt_pow(float x, float y) {
  if (y == 0.0f) return 1.0f;
  float power = edgeopt_exp(y * edgeopt_log(edgeopt_absolute(x)));
  if (x >= 0.0f) return power;
  if (edgeopt_round(y) != y) return edgeopt_float(0x7fc00000u);
  return edgeopt_round(0.5f * y) * 2.0f == y ? power : -power;
}

#endif
