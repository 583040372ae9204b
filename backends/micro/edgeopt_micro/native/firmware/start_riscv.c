/* Start-up code of a RISC-V core in machine mode; a trap starts the board anew. */
#include "board.h"
#include "start.h"

uint32_t board_stack_free(void) { return unpainted_from_below(); }

__attribute__((used)) static void begin(void) {
  fill_memory((uint32_t *)__builtin_frame_address(0) - 32);
  main();
  board_reset();
}

/* Also where a trap goes to: with everything set up anew. */
void start(void);
__attribute__((naked, used, section(".vectors"))) void start(void) {
  __asm__ volatile(
      "csrw mie, zero\n\t"
      "la sp, stack_end\n\t"
      "la t0, trap\n\t"
      "csrw mtvec, t0\n\t"
#ifdef __riscv_flen
      "li t0, 0x6000\n\t"
      "csrs mstatus, t0\n\t"
#endif
      "j begin\n\t"
      ".balign 4\n"
      "trap:\n\t"
      "la sp, stack_end\n\t"
      "j board_reset");
}
