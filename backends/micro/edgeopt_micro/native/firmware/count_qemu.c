/* Instructions on QEMU's Cortex-M machines, started with `-icount shift=0`: each takes a nanosecond of their time.
 *
 * SysTick ticks once in 31 to 63 of them, from the moment on at which it is switched on. What is left to the next
 * tick is counted by a loop of four instructions, so that a count is right to four.
 */
#include "board.h"

#define CONTROL (*(volatile uint32_t *)0xe000e010u)
#define RELOAD (*(volatile uint32_t *)0xe000e014u)
#define VALUE (*(volatile uint32_t *)0xe000e018u)

enum { PERIOD = 1 << 24, SPIN = 4 };

static volatile uint32_t wraps;

void board_tick(void);
void board_tick(void) { wraps++; }

static void start_ticks(void) {
  CONTROL = 0;
  wraps = 0;
  RELOAD = PERIOD - 1;
  VALUE = 0;
  CONTROL = 7; /* on, with interrupt, at the core's clock */
}

__attribute__((noinline)) static int64_t passed(void) {
  volatile uint32_t *value = &VALUE;
  uint32_t spins = 0, before = *value, now;
  __asm__ volatile(
      ".syntax unified\n"
      "1:\tadds %0, #1\n\t"
      "ldr %1, [%2]\n\t"
      "cmp %1, %3\n\t"
      "beq 1b"
      : "+l"(spins), "=&l"(now)
      : "l"(value), "l"(before)
      : "cc", "memory");
  /* Without a 64-bit multiplication, which a Cortex-M0 has to be lent; right up to 2^32 ticks. */
  const uint32_t ticks = wraps * PERIOD + (PERIOD - now) % PERIOD;
  const uint32_t high = (ticks >> 16) * BOARD_TICK_QUARTER_NS, low = (ticks & 0xffffu) * BOARD_TICK_QUARTER_NS;
  return (int64_t)((((uint64_t)high << 16) + low) >> 2) - (int64_t)SPIN * spins;
}

void board_count_start(void) { start_ticks(); }

uint64_t board_count(void) {
  const int64_t all = passed();
  start_ticks();
  const int64_t left = all - passed(); /* without what counting itself takes */
  return left > 0 ? (uint64_t)left : 0;
}
