#include "frames.h"

#include "board.h"

/* CRC-32 as in zlib, four bits a step: 64 bytes of table. */
static uint32_t crc32(const uint8_t *bytes, uint32_t size) {
  static const uint32_t table[16] = {
      0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
      0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
  };
  uint32_t crc = 0xffffffff;
  for (uint32_t i = 0; i < size; i++) {
    crc ^= bytes[i];
    crc = (crc >> 4) ^ table[crc & 15];
    crc = (crc >> 4) ^ table[crc & 15];
  }
  return ~crc;
}

static uint8_t next_byte(void) {
  int byte;
  while ((byte = board_get()) < 0) {
  }
  return (uint8_t)byte;
}

/* Reads until the next zero. Returns the size of what was stuffed, 0 where that is no frame. */
static uint32_t unstuff(uint8_t *bytes, uint32_t most) {
  uint32_t size = 0, left = 0, code = 0xff;
  int whole = 1;
  for (;;) {
    uint8_t byte = next_byte();
    if (byte == 0) {
      return whole && left == 0 ? size : 0;
    }
    if (left == 0) {
      /* a block of less than 254 bytes stands for these and a zero, but for the last one */
      if (code != 0xff) {
        if (size < most) {
          bytes[size] = 0;
        } else {
          whole = 0;
        }
        size++;
      }
      code = byte;
      left = byte - 1u;
    } else {
      if (size < most) {
        bytes[size] = byte;
      } else {
        whole = 0;
      }
      size++;
      left--;
    }
  }
}

void frame_receive(serve_frame *frame) {
  for (;;) {
    uint32_t size = unstuff(frame->bytes, sizeof frame->bytes);
    if (size < FRAME_HEAD + FRAME_CRC) {
      continue;
    }
    frame->size = size - FRAME_HEAD - FRAME_CRC;
    if (load16(frame->bytes + 6) == frame->size &&
        crc32(frame->bytes, size - FRAME_CRC) == load32(frame->bytes + size - FRAME_CRC)) {
      return;
    }
  }
}

void frame_send(serve_frame *frame) {
  const uint32_t size = FRAME_HEAD + frame->size;
  store16(frame->bytes + 6, frame->size);
  store32(frame->bytes + size, crc32(frame->bytes, size));
  const uint32_t end = size + FRAME_CRC;
  uint32_t first = 0;
  board_put(0); /* ends what noise may have begun */
  for (;;) {
    uint32_t last = first;
    while (last < end && last - first < 254 && frame->bytes[last] != 0) {
      last++;
    }
    board_put((uint8_t)(last - first + 1));
    for (uint32_t i = first; i < last; i++) {
      board_put(frame->bytes[i]);
    }
    if (last == end) {
      break;
    }
    first = last - first == 254 ? last : last + 1; /* a full block stands for no zero */
  }
  board_put(0);
}
