/* Results of sums in vectors of four. */
#ifndef EDGEOPT_RESULTS_MVE_H
#define EDGEOPT_RESULTS_MVE_H

#include <arm_mve.h>

#include "edgeopt_window.h"

/* The integers of four sums, their zero point included. */
static inline int32x4_t edgeopt_four_integers(edgeopt_bounds b, int32x4_t sums, float32x4_t factors) {
#if __ARM_FEATURE_MVE & 2
  /* Helium always rounds to nearest, and takes numbers below 2^-126 for 0: the integer is 0 either way. */
  int32x4_t r = vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(sums), factors));
#else
  int32_t scaled[4];
  float factor[4];
  vst1q_s32(scaled, sums);
  vst1q_f32(factor, factors);
  for (int i = 0; i < 4; ++i) scaled[i] = edgeopt_scaled(scaled[i], factor[i]);
  int32x4_t r = vld1q_s32(scaled);
#endif
  r = vmaxq_s32(vminq_s32(r, vdupq_n_s32(b.high)), vdupq_n_s32(b.low));
  return vaddq_n_s32(r, b.zero);
}

#endif
