/* A model of edgeopt as a C library: no runtime, no malloc, no stdio; memcpy and memset only.
 *
 * Everything about a model is constant and lies in flash. It computes in one arena that the caller
 * gives; two callers with an arena each may run the same model at the same time.
 */
#ifndef EDGEOPT_MODEL_H
#define EDGEOPT_MODEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  EDGEOPT_OK = 0,
  EDGEOPT_BAD_ARENA = -1, /* null, or not at a multiple of arena_align */
};

typedef enum {
  EDGEOPT_INT8 = 0,
  EDGEOPT_UINT8 = 1,
  EDGEOPT_INT16 = 2,
  EDGEOPT_INT32 = 3,
  EDGEOPT_INT64 = 4,
  EDGEOPT_FLOAT32 = 5,
  EDGEOPT_BOOL = 6,
} edgeopt_dtype;

/* An input or output. Real value = (integer - zero_point) * scale; scale is 0 where it is not quantized. */
typedef struct {
  const char *name;
  edgeopt_dtype dtype;
  uint8_t rank;
  const uint32_t *shape; /* in memory, the last dimension the fastest; pictures are height, width, channels */
  uint32_t bytes;
  float scale;
  int32_t zero_point;
  uint32_t offset; /* its place in the arena, where the caller gives no other */
} edgeopt_tensor;

typedef struct edgeopt_model {
  const char *name;
  const char *digest; /* of the program it was made of, hexadecimal */
  uint32_t arena_bytes;
  uint32_t arena_align;
  uint16_t input_count, output_count, step_count;
  const edgeopt_tensor *inputs;
  const edgeopt_tensor *outputs;
  const char *const *step_names; /* name of the value that each step makes */
  /* Runs steps first to last - 1. Null for inputs or outputs, or for one of them: its place in the arena.
     What lies in the arena is overwritten as soon as it is not needed: inputs too. */
  int (*run_steps)(void *arena, const void *const *inputs, void *const *outputs, uint16_t first, uint16_t last);
} edgeopt_model;

/* The integer of a real number: to nearest, ties to even, clipped to int8. */
static inline int8_t edgeopt_quantize(const edgeopt_tensor *tensor, float x) {
  float steps = x / tensor->scale;
  if (!(steps > -512.0f)) steps = -512.0f;
  if (steps > 512.0f) steps = 512.0f;
  int32_t whole = (int32_t)steps;
  float rest = steps - (float)whole;
  if (rest > 0.5f || (rest == 0.5f && (whole & 1))) whole += 1;
  if (rest < -0.5f || (rest == -0.5f && (whole & 1))) whole -= 1;
  whole += tensor->zero_point;
  return (int8_t)(whole < -128 ? -128 : whole > 127 ? 127 : whole);
}

/* The real number that an integer stands for. */
static inline float edgeopt_dequantize(const edgeopt_tensor *tensor, int8_t q) {
  return (float)(q - tensor->zero_point) * tensor->scale;
}

/* Runs the whole model. */
static inline int edgeopt_invoke(const edgeopt_model *model, void *arena, const void *const *inputs,
                                 void *const *outputs) {
  return model->run_steps(arena, inputs, outputs, 0, model->step_count);
}

#ifdef __cplusplus
}
#endif
#endif
