/* QEMU's microbit: the UART of an nRF51. */
#include "board.h"

#define REGISTER(offset) (*(volatile uint32_t *)(0x40002000u + (offset)))
#define START_RECEIVING REGISTER(0x000u)
#define START_SENDING REGISTER(0x008u)
#define RECEIVED REGISTER(0x108u)
#define SENT REGISTER(0x11cu)
#define ENABLE REGISTER(0x500u)
#define IN REGISTER(0x518u)
#define OUT REGISTER(0x51cu)

#define TICK_CONTROL (*(volatile uint32_t *)0xe000e010u)
#define TICK_RELOAD (*(volatile uint32_t *)0xe000e014u)
#define TICK_VALUE (*(volatile uint32_t *)0xe000e018u)
#define WAKING_TICKS 15999u /* a millisecond of its clock */

const board_facts board = {BOARD_NAME, BOARD_INSTRUCTIONS, 0};

void board_start(void) {
  ENABLE = 4;
  START_RECEIVING = 1;
  START_SENDING = 1;
}

/* A timer that ends wakes QEMU, which else may never look whether bytes came in before the UART was on. */
static void wake_emulator(void) {
  if (TICK_RELOAD != WAKING_TICKS) {
    TICK_CONTROL = 0;
    TICK_RELOAD = WAKING_TICKS;
    TICK_VALUE = 0;
    TICK_CONTROL = 5; /* on, without interrupt, at the core's clock */
  }
}

int board_get(void) {
  if (RECEIVED == 0) {
    wake_emulator();
    return -1;
  }
  RECEIVED = 0;
  return (int)(IN & 0xffu);
}

void board_put(uint8_t byte) {
  SENT = 0;
  OUT = byte;
  while (SENT == 0) {
  }
}
