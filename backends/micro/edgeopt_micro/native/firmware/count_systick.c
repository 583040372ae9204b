/* The counter of a Cortex-M without DWT (M0, M0+, QEMU's): SysTick at the core's clock, its wraps counted. */
#include "board.h"

#define CONTROL (*(volatile uint32_t *)0xe000e010u)
#define RELOAD (*(volatile uint32_t *)0xe000e014u)
#define VALUE (*(volatile uint32_t *)0xe000e018u)

enum { PERIOD = 1 << 24 };

static volatile uint32_t wraps;

void board_tick(void);
void board_tick(void) { wraps++; }

void board_count_start(void) {
  CONTROL = 0;
  wraps = 0;
  RELOAD = PERIOD - 1;
  VALUE = 0;
  CONTROL = 7; /* on, with interrupt, at the core's clock */
}

uint64_t board_count(void) {
  uint32_t high, value;
  do {
    high = wraps;
    value = VALUE;
  } while (high != wraps);
  return (uint64_t)high * PERIOD + (PERIOD - value) % PERIOD;
}
