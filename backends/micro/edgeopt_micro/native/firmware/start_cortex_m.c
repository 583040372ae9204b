/* Start-up code of a Cortex-M: vectors, FPU and Helium, memory; a fault starts the board anew. */
#include "board.h"
#include "start.h"

#define AIRCR (*(volatile uint32_t *)0xe000ed0cu)
#define CPACR (*(volatile uint32_t *)0xe000ed88u)
#define CCR (*(volatile uint32_t *)0xe000ed14u)

void board_reset(void) {
  __asm__ volatile("dsb" ::: "memory");
  AIRCR = 0x05fa0004u;
  for (;;) {
  }
}

uint32_t board_stack_free(void) { return unpainted_from_below(); }

/* Not inlined: it may use registers that are there only once they are switched on. */
__attribute__((noinline)) static void begin(void) {
  fill_memory((uint32_t *)__builtin_frame_address(0) - 16);
  main();
  board_reset();
}

void start(void);
void start(void) {
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
  CPACR |= 0xfu << 20;
#endif
#if defined(__ARM_FEATURE_LOB) || defined(__ARM_FEATURE_MVE)
  CCR |= 1u << 19; /* low-overhead branches */
#endif
  __asm__ volatile("dsb\n\tisb" ::: "memory");
  begin();
}

__attribute__((weak)) void board_tick(void) {} /* SysTick's */

typedef void (*handler)(void);

__attribute__((used, section(".vectors"))) static const handler vectors[16] = {
    (handler)(uintptr_t)stack_end, start,       board_reset, board_reset, board_reset, board_reset,
    board_reset,                   board_reset, 0,           0,           0,           board_reset,
    board_reset,                   0,           board_reset, board_tick,
};
