/* Integer convolutions on any machine, from weights that are packed for another: number by number.
 *
 * It is how a model is checked on the machine that it was compiled on, and no part of the library.
 * EDGEOPT_PACKING says for what the weights are packed.
 */
#include "edgeopt_scaled.h"
#include "edgeopt_weighted.h"

typedef struct {
  int32_t channel, tap, depth; /* which output channel and input of its sum, in a group */
} edgeopt_weight_place;

/* Where a weight stands in its group, as `packing.py` puts it. */
static int32_t edgeopt_weight_index(const edgeopt_weight_place at) {
#if EDGEOPT_PACKING == EDGEOPT_PACKING_MVE
  const int32_t filled = (at.depth + 15) / 16 * 16;
  return at.channel / 4 * 4 * filled + at.tap / 16 * 64 + at.channel % 4 * 16 + at.tap % 16;
#elif EDGEOPT_PACKING == EDGEOPT_PACKING_DSP
  const int32_t filled = (at.depth + 3) / 4 * 4;
  return at.channel / 2 * 2 * filled + at.tap / 4 * 8 + at.tap % 2 * 4 + at.tap % 4 / 2 * 2 + at.channel % 2;
#else
  return at.channel / 4 * 4 * at.depth + at.tap * 4 + at.channel % 4;
#endif
}

static int32_t edgeopt_group_weights(const edgeopt_weighted *p) {
#if EDGEOPT_PACKING == EDGEOPT_PACKING_MVE
  return p->padded * ((p->depth + 15) / 16 * 16);
#elif EDGEOPT_PACKING == EDGEOPT_PACKING_DSP
  return p->padded * ((p->depth + 3) / 4 * 4);
#else
  return p->padded * p->depth;
#endif
}

typedef int8_t (*edgeopt_weight)(const edgeopt_weighted *p, int32_t group, int32_t channel, int32_t tap);
typedef int32_t (*edgeopt_channel)(const edgeopt_weighted *p, int32_t group, int32_t channel);

static int8_t edgeopt_grouped(const edgeopt_weighted *p, int32_t group, int32_t channel, int32_t tap) {
  const edgeopt_weight_place at = {channel, tap, p->depth};
  return p->weight[group * edgeopt_group_weights(p) + edgeopt_weight_index(at)];
}

static int32_t edgeopt_padded(const edgeopt_weighted *p, int32_t group, int32_t channel) {
  return group * p->padded + channel;
}

/* Tap by tap all channels. */
static int8_t edgeopt_depthwise_weight(const edgeopt_weighted *p, int32_t group, int32_t channel, int32_t tap) {
  return p->weight[tap * p->out_channels + group * p->group_out + channel];
}

static int32_t edgeopt_depthwise_channel(const edgeopt_weighted *p, int32_t group, int32_t channel) {
  return group * p->group_out + channel;
}

/* Blocks of four channels, int16; in a block pairs of taps of the channels 0, 2, 1, 3. */
static int8_t edgeopt_pair_weight(const edgeopt_weighted *p, int32_t group, int32_t channel, int32_t tap) {
  const int32_t whole = p->depth / 2 * 2, place = group % 4 / 2 + group % 2 * 2;
  const int32_t index = tap < whole ? tap / 2 * 8 + place * 2 + tap % 2 : whole * 4 + place;
  (void)channel;
  return p->weight[2 * (group / 4 * 4 * p->depth + index)]; /* the lower byte: it has the sign too */
}

/* Blocks of eight channels; biases and factors with the even ones first. */
static int8_t edgeopt_vector_weight(const edgeopt_weighted *p, int32_t group, int32_t channel, int32_t tap) {
  (void)channel;
  return p->weight[group / 8 * 8 * p->depth + tap * 8 + group % 8];
}

static int32_t edgeopt_vector_channel(const edgeopt_weighted *p, int32_t group, int32_t channel) {
  (void)p, (void)channel;
  return group / 8 * 8 + group % 2 * 4 + group % 8 / 2;
}

static int32_t edgeopt_sum(const edgeopt_weighted *p, const int8_t *image, int32_t row, int32_t column,
                           int32_t group, int32_t channel, edgeopt_weight weight) {
  int32_t sum = 0;
  for (int32_t u = 0; u < p->kernel_height; ++u) {
    const int32_t y = row * p->stride_y - p->top + u * p->dilation_y;
    for (int32_t v = 0; v < p->kernel_width; ++v) {
      const int32_t x = column * p->stride_x - p->left + v * p->dilation_x;
      const int inside = y >= 0 && y < p->in_height && x >= 0 && x < p->in_width;
      for (int32_t c = 0; c < p->group_in; ++c) {
        const int32_t value =
            inside ? image[(y * p->in_width + x) * p->in_channels + group * p->group_in + c] : p->in_zero;
        sum += value * weight(p, group, channel, (u * p->kernel_width + v) * p->group_in + c);
      }
    }
  }
  return sum;
}

/* A pixel is written when all of it is computed: the output may lie over the input, as the kernels allow it. */
static void edgeopt_every(const edgeopt_weighted *p, const int8_t *input, int8_t *output, edgeopt_weight weight,
                          edgeopt_channel place) {
  int8_t pixel[p->out_channels];
  for (int32_t n = 0; n < p->batch; ++n, input += p->in_height * p->in_width * p->in_channels) {
    for (int32_t row = 0; row < p->out_height; ++row) {
      for (int32_t column = 0; column < p->out_width; ++column) {
        int8_t *result = pixel;
        for (int32_t group = 0; group < p->groups; ++group) {
          for (int32_t channel = 0; channel < p->group_out; ++channel) {
            const int32_t at = place(p, group, channel);
            const int32_t sum = edgeopt_sum(p, input, row, column, group, channel, weight) + p->bias[at];
            int32_t r = edgeopt_scaled(sum, p->factor[at]);
            r = r < p->low ? p->low : r > p->high ? p->high : r;
            *result++ = (int8_t)(r + p->out_zero);
          }
        }
        __builtin_memcpy(output, pixel, sizeof pixel);
        output += p->out_channels;
      }
    }
  }
}

void edgeopt_convolution(const edgeopt_weighted *p, const int8_t *input, int8_t *output, void *scratch) {
  (void)scratch;
  edgeopt_every(p, input, output, edgeopt_grouped, edgeopt_padded);
}

void edgeopt_depthwise(const edgeopt_weighted *p, const int8_t *input, int8_t *output, void *scratch) {
  (void)scratch;
  edgeopt_every(p, input, output, edgeopt_depthwise_weight, edgeopt_depthwise_channel);
}

void edgeopt_depthwise_mve(const edgeopt_weighted *p, const int8_t *input, int8_t *output, void *scratch) {
  (void)scratch;
  edgeopt_every(p, input, output, edgeopt_vector_weight, edgeopt_vector_channel);
}

void edgeopt_depthwise_dsp(const edgeopt_weighted *p, const int8_t *input, int8_t *output, void *scratch) {
  (void)scratch;
  edgeopt_every(p, input, output, edgeopt_pair_weight, edgeopt_depthwise_channel);
}
