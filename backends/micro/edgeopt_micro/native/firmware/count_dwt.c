/* The cycle counter of a Cortex-M3 and up (DWT). 32 bits: a run of 2^32 cycles or more is counted short. */
#include "board.h"

#define DEMCR (*(volatile uint32_t *)0xe000edfcu)
#define CONTROL (*(volatile uint32_t *)0xe0001000u)
#define CYCLES (*(volatile uint32_t *)0xe0001004u)

static uint32_t began;

void board_count_start(void) {
  DEMCR |= 1u << 24; /* trace on */
  CONTROL |= 1u;
  began = CYCLES;
}

uint64_t board_count(void) { return CYCLES - began; }
