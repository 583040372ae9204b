/* QEMU's mps2-an385, an386, an500, an505 and mps3-an547: a CMSDK UART at UART. */
#include "board.h"

#define DATA (*(volatile uint32_t *)(UART + 0x00u))
#define STATE (*(volatile uint32_t *)(UART + 0x04u))
#define CONTROL (*(volatile uint32_t *)(UART + 0x08u))
#define DIVIDER (*(volatile uint32_t *)(UART + 0x10u))

const board_facts board = {BOARD_NAME, BOARD_INSTRUCTIONS, 0};

void board_start(void) {
  DIVIDER = 16;
  CONTROL = 3; /* receive and transmit */
  (void)DATA;  /* has QEMU look at bytes that came in before */
}

int board_get(void) { return STATE & 2u ? (int)(DATA & 0xffu) : -1; }

void board_put(uint8_t byte) {
  while (STATE & 1u) {
  }
  DATA = byte;
}
