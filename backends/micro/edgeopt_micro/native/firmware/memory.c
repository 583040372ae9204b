/* memcpy and memset, for programs without a C library; another definition goes first. */
#include <stddef.h>
#include <stdint.h>

__attribute__((weak)) void *memcpy(void *restrict to, const void *restrict from, size_t size) {
  uint8_t *out = to;
  const uint8_t *in = from;
  if (((uintptr_t)out & 3u) == 0 && ((uintptr_t)in & 3u) == 0) {
    for (; size >= 4; size -= 4, out += 4, in += 4) {
      *(uint32_t *)(void *)out = *(const uint32_t *)(const void *)in;
    }
  }
  while (size-- > 0) {
    *out++ = *in++;
  }
  return to;
}

__attribute__((weak)) void *memset(void *to, int value, size_t size) {
  uint8_t *out = to;
  const uint32_t word = 0x01010101u * (uint8_t)value;
  if (((uintptr_t)out & 3u) == 0) {
    for (; size >= 4; size -= 4, out += 4) {
      *(uint32_t *)(void *)out = word;
    }
  }
  while (size-- > 0) {
    *out++ = (uint8_t)value;
  }
  return to;
}
