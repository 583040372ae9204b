/* The firmware: what SERVED_MODEL names (a definition for the compiler) is served in the RAM that is left. */
#include "board.h"
#include "serve.h"

extern const edgeopt_model SERVED_MODEL;
extern uint8_t arena_start[], arena_end[]; /* of the linker script */

#ifdef SERVED_SELFTEST /* the library's own test, where it brings one */
int SERVED_SELFTEST(void *arena);

int edgeopt_self_test(const edgeopt_model *model, void *arena) {
  (void)model;
  return SERVED_SELFTEST(arena);
}
#endif

int main(void) {
  board_start();
  edgeopt_serve(&SERVED_MODEL, arena_start, (uint32_t)(arena_end - arena_start));
}
