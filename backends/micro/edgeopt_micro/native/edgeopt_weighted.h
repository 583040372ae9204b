/* Integer convolutions and linears: int8 in and out, channels last.
 *
 * Weights are packed for a kind of core; the kernels are compiled for the same kind, or not at all.
 */
#ifndef EDGEOPT_WEIGHTED_H
#define EDGEOPT_WEIGHTED_H

#include <stdint.h>

#define EDGEOPT_PACKING_PLAIN 1 /* any core */
#define EDGEOPT_PACKING_DSP 2   /* pairs for SMLAD */
#define EDGEOPT_PACKING_MVE 3   /* vectors of 16 for Helium */

#if defined(__ARM_FEATURE_MVE)
#define EDGEOPT_CORE_PACKING EDGEOPT_PACKING_MVE
#elif defined(__ARM_FEATURE_DSP) && defined(__thumb2__)
#define EDGEOPT_CORE_PACKING EDGEOPT_PACKING_DSP
#else
#define EDGEOPT_CORE_PACKING EDGEOPT_PACKING_PLAIN
#endif

#if defined(EDGEOPT_PACKING) && EDGEOPT_PACKING != EDGEOPT_CORE_PACKING && !defined(EDGEOPT_PORTABLE)
#error "the model's weights are packed for another core: compile for the core it was deployed to (-mcpu)"
#endif

/* A function whose whole body is assembly: arguments are in registers as the calling convention has it. */
#define EDGEOPT_ASSEMBLY static __attribute__((naked, noinline))
/* A function with registers of its own: inlined, its loops would keep their variables on the stack. */
#define EDGEOPT_APART static __attribute__((noinline, unused))

#ifdef __cplusplus
extern "C" {
#endif

/* All arrays are constants; those of channels are as long as `padded` says for each group. */
typedef struct {
  const int8_t *weight;
  const int32_t *bias;  /* less the input's zero point times the sum of the weights */
  const float *factor;  /* from sums to the output's integers */
  int32_t batch, in_height, in_width, in_channels;
  int32_t out_height, out_width, out_channels;
  int32_t kernel_height, kernel_width, stride_y, stride_x, top, left, dilation_y, dilation_x;
  int32_t groups, group_in, group_out; /* groups, and channels of each */
  int32_t depth;   /* products of a sum */
  int32_t padded;  /* channels of a group, filled up to whole blocks */
  int32_t direct;  /* whether what a sum is of lies in one piece in the input */
  int32_t in_zero, out_zero;
  int32_t low, high; /* bounds of the output, less its zero point */
  int32_t narrow;    /* whether they are narrower than int8's */
} edgeopt_weighted;

void edgeopt_convolution(const edgeopt_weighted *p, const int8_t *input, int8_t *output, void *scratch);
/* A group has one channel of the input. */
void edgeopt_depthwise(const edgeopt_weighted *p, const int8_t *input, int8_t *output, void *scratch);
/* As many channels in the output as in the input, and the core has SMLAD, or Helium. */
void edgeopt_depthwise_dsp(const edgeopt_weighted *p, const int8_t *input, int8_t *output, void *scratch);
void edgeopt_depthwise_mve(const edgeopt_weighted *p, const int8_t *input, int8_t *output, void *scratch);
/* A maximum over taps: no weights, and no zero points. */
void edgeopt_max_pool(const edgeopt_weighted *p, const int8_t *input, int8_t *output, void *scratch);

#ifdef __cplusplus
}
#endif
#endif
