/* A program without a system on a core that QEMU emulates: it speaks and ends by semihosting.
 *
 * The emulator loads all sections; nothing is copied at the start.
 */
#include "bare.h"

extern uint32_t bss_start[], bss_end[], stack_end[];

static long semihosting(long what, const void *argument) {
#if defined(__riscv)
  register long a0 __asm__("a0") = what;
  register const void *a1 __asm__("a1") = argument;
  __asm__ volatile(".option push\n.option norvc\nslli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\n.option pop"
                   : "+r"(a0)
                   : "r"(a1)
                   : "memory");
  return a0;
#else
  register long r0 __asm__("r0") = what;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
#endif
}

void bare_print(const char *text) { semihosting(0x04, text); }

void bare_print_number(uint32_t value) {
  char text[12];
  int at = 11;
  text[at] = 0;
  do {
    uint32_t rest = value, tenth = 0;
    for (int bit = 28; bit >= 0; --bit) {
      if (rest >> bit >= 10u) {
        rest -= 10u << bit;
        tenth |= 1u << bit;
      }
    }
    text[--at] = (char)('0' + rest);
    value = tenth;
  } while (value);
  bare_print(text + at);
}

static void start(void) {
  for (uint32_t *word = bss_start; word < bss_end; ++word) *word = 0;
  bare_main();
  semihosting(0x18, (const void *)0x20026);
  for (;;) {
  }
}

/* Words wherever both ends allow: what a C library does. */
__attribute__((used)) void *memcpy(void *restrict to, const void *restrict from, size_t count) {
  uint8_t *t = to;
  const uint8_t *f = from;
  if (!(((uintptr_t)t | (uintptr_t)f) & 3u)) {
    for (; count >= 16; count -= 16, t += 16, f += 16) {
      uint32_t a = ((const uint32_t *)f)[0], b = ((const uint32_t *)f)[1];
      uint32_t c = ((const uint32_t *)f)[2], d = ((const uint32_t *)f)[3];
      ((uint32_t *)t)[0] = a, ((uint32_t *)t)[1] = b, ((uint32_t *)t)[2] = c, ((uint32_t *)t)[3] = d;
    }
    for (; count >= 4; count -= 4, t += 4, f += 4) *(uint32_t *)t = *(const uint32_t *)f;
  }
#if defined(__ARM_FEATURE_UNALIGNED)
  typedef uint32_t __attribute__((aligned(1))) word;
  for (; count >= 4; count -= 4, t += 4, f += 4) *(word *)t = *(const word *)f;
#endif
  while (count--) *t++ = *f++;
  return to;
}

__attribute__((used)) void *memset(void *to, int value, size_t count) {
  uint8_t *t = to;
  const uint32_t word = (uint8_t)value * 0x01010101u;
  for (; count && ((uintptr_t)t & 3u); --count) *t++ = (uint8_t)value;
  for (; count >= 4; count -= 4, t += 4) *(uint32_t *)t = word;
  while (count--) *t++ = (uint8_t)value;
  return to;
}

#if defined(__arm__)
__attribute__((used)) void __aeabi_memcpy(void *to, const void *from, size_t count) { memcpy(to, from, count); }
__attribute__((used)) void __aeabi_memset(void *to, size_t count, int value) { memset(to, value, count); }
__attribute__((used)) void __aeabi_memclr(void *to, size_t count) { memset(to, 0, count); }
__attribute__((used)) void __aeabi_memcpy4(void *to, const void *from, size_t count) { memcpy(to, from, count); }
__attribute__((used)) void __aeabi_memclr4(void *to, size_t count) { memset(to, 0, count); }
__attribute__((used)) void __aeabi_memclr8(void *to, size_t count) { memset(to, 0, count); }
#endif

#if defined(__riscv)

__attribute__((naked, section(".vectors"), used)) void _start(void) {
  __asm__ volatile("la sp, stack_end\nj %0" ::"i"(start));
}
static uint32_t counted_from;
static uint32_t instructions(void) {
  uint32_t count;
  __asm__ volatile("csrr %0, minstret" : "=r"(count));
  return count;
}
void bare_count_start(void) { counted_from = instructions(); }
uint32_t bare_count(void) { return instructions() - counted_from; }

#else

#define SYSTICK ((volatile uint32_t *)0xe000e010u)

__attribute__((used)) void _start(void) {
#if __ARM_FP
  *(volatile uint32_t *)0xe000ed88u |= 0xfu << 20; /* CPACR: FPU and Helium */
  __asm__ volatile("dsb\nisb");
#endif
  start();
}

static void fault(void) {
  bare_print("fault\n");
  semihosting(0x18, (const void *)0x20023);
}

__attribute__((section(".vectors"), used)) void (*const vectors[16])(void) = {
    (void (*)(void))stack_end, _start, fault, fault, fault, fault, fault, fault,
    fault, fault, fault, fault, fault, fault, fault, fault};

/* With -icount shift=0 an instruction takes a nanosecond: the timer counts them, BARE_TICK_PS to a tick. */
void bare_count_start(void) {
  SYSTICK[1] = 0xffffffu;
  SYSTICK[2] = 0;
  SYSTICK[0] = 5;
}
uint32_t bare_count(void) { return 0xffffffu - SYSTICK[2]; }

#endif
