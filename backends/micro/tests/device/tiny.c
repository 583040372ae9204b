/* A model by hand: sums of pairs (step 0), then their halves and the sum of all (step 1). */
#include "edgeopt_model.h"

#define PAIRS 750u

enum { SUMS_AT = 1504, HALVES_AT = 3008, TOTAL_AT = 3760, ARENA = 3776, ALIGN = 16 };

static const uint32_t x_shape[] = {1, 2 * PAIRS}, halves_shape[] = {1, PAIRS}, total_shape[] = {1};
static const edgeopt_tensor inputs[] = {{"x", EDGEOPT_INT8, 2, x_shape, 2 * PAIRS, 0.5f, -3, 0}};
static const edgeopt_tensor outputs[] = {
    {"halves", EDGEOPT_INT8, 2, halves_shape, PAIRS, 0.25f, 1, HALVES_AT},
    {"total", EDGEOPT_INT32, 1, total_shape, 4, 0.0f, 0, TOTAL_AT},
};
static const char *const names[] = {"sums", "halves"};

static void fault(void) {
#ifdef TINY_FAULT
  *(volatile uint32_t *)0xf0000000u = 1; /* nothing is there */
#endif
}

static int run_steps(void *arena, const void *const *in, void *const *out, uint16_t first, uint16_t last) {
  uint8_t *memory = arena;
  if (arena == 0 || (uintptr_t)arena % ALIGN != 0) {
    return EDGEOPT_BAD_ARENA;
  }
#ifdef TINY_BAD_ARENA
  return EDGEOPT_BAD_ARENA;
#endif
  const int8_t *x = (const int8_t *)(in ? in[0] : memory);
  int16_t *sums = (int16_t *)(void *)(memory + SUMS_AT);
  int8_t *halves = (int8_t *)(out ? out[0] : memory + HALVES_AT);
  int32_t *total = (int32_t *)(out ? out[1] : memory + TOTAL_AT);
  for (uint16_t step = first; step < last; step++) {
    if (step == 0) {
      for (uint32_t i = 0; i < PAIRS; i++) {
        sums[i] = (int16_t)(x[2 * i] + x[2 * i + 1]);
      }
    } else {
      fault();
      *total = 0;
      for (uint32_t i = 0; i < PAIRS; i++) {
        halves[i] = (int8_t)(sums[i] >> 1);
        *total += sums[i];
      }
    }
  }
  return EDGEOPT_OK;
}

const edgeopt_model tiny_model = {"tiny", TINY_DIGEST, ARENA, ALIGN, 1, 2, 2, inputs, outputs, names, run_steps};
