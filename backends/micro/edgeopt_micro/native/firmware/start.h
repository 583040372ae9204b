/* What start-up code of all cores does: fills memory as C expects it, and paints the stack. */
#ifndef EDGEOPT_START_H
#define EDGEOPT_START_H

#include <stdint.h>

extern uint32_t data_from[], data_start[], data_end[], bss_start[], bss_end[], stack_start[], stack_end[];

int main(void);

enum { STACK_PAINT = 0x5afe57ac };

/* `from` may lie where the stack is: it is painted below the caller's frame only. */
static inline void fill_memory(uint32_t *below) {
  const uint32_t *from = data_from;
  for (volatile uint32_t *to = data_start; to < data_end; to++) {
    *to = *from++;
  }
  for (volatile uint32_t *to = bss_start; to < bss_end; to++) {
    *to = 0;
  }
  for (volatile uint32_t *to = stack_start; to < below; to++) {
    *to = STACK_PAINT;
  }
}

static inline uint32_t unpainted_from_below(void) {
  const volatile uint32_t *at = stack_start;
  while (at < stack_end && *at == STACK_PAINT) {
    at++;
  }
  return (uint32_t)((uintptr_t)at - (uintptr_t)stack_start);
}

#endif
