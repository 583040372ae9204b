#ifndef EDGEOPT_BARE_H
#define EDGEOPT_BARE_H

#include <stddef.h>
#include <stdint.h>

void bare_main(void);
void bare_print(const char *text);
void bare_print_number(uint32_t value);
void bare_count_start(void);
uint32_t bare_count(void); /* ticks since then */

#endif
