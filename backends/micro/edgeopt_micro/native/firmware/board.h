/* What a board has to offer to the firmware that serves a model over a serial line.
 *
 * To bring up a board of your own, write one C file with these functions and `board`; docs/boards.md of edgeopt
 * walks through it. board_mps.c, board_nrf51.c and board_virt.c are the machines that QEMU emulates.
 */
#ifndef EDGEOPT_BOARD_H
#define EDGEOPT_BOARD_H

#include <stdint.h>

enum {
  BOARD_NO_COUNTER = 0,
  BOARD_CYCLES = 1,
  BOARD_INSTRUCTIONS = 2, /* an emulator's: no times follow from them */
};

typedef struct {
  const char *name;
  uint8_t unit;               /* of board_count: one of the above */
  uint32_t counts_per_second; /* the counter's clock in Hz; 0 of instructions */
} board_facts;

extern const board_facts board;

void board_start(void);         /* once, before all others: clocks, serial line */
int board_get(void);            /* the next byte that came in, or -1 where none is there: does not wait */
void board_put(uint8_t byte);   /* sends a byte; may wait until there is room */
_Noreturn void board_reset(void); /* starts the board anew */
void board_count_start(void);   /* starts the counter from zero */
uint64_t board_count(void);     /* counts since then */
uint32_t board_stack_free(void); /* bytes of the stack that were never used; UINT32_MAX where it is not known */

#endif
