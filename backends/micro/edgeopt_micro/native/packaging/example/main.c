/* Runs the model once. Input and output are in the arena here; give pointers for other places. */
#include "@name@.h"
#include "@name@_selftest.h"

static uint8_t arena[@NAME@_ARENA_BYTES] __attribute__((aligned(@NAME@_ARENA_ALIGN)));

int main(void) {
  if (@name@_selftest(arena) != 0) return 1; /* the numbers of this build are the reference's */

  @NAME@_INPUT0_TYPE *input = @NAME@_INPUT0_IN(arena);
  for (int i = 0; i < @NAME@_INPUT0_COUNT; i++) input[i] = 0; /* the sensor's numbers */
  if (edgeopt_invoke(&@name@_model, arena, 0, 0) != EDGEOPT_OK) return 2;
  const @NAME@_OUTPUT0_TYPE *output = @NAME@_OUTPUT0_IN(arena);
  int best = 0;
  for (int i = 1; i < @NAME@_OUTPUT0_COUNT; i++) {
    if (output[i] > output[best]) best = i;
  }
  (void)best; /* the class with the highest score */
  return 0;
}
