/* Frames on the serial line: byte stuffing, checksums; serve.h has their form. */
#ifndef EDGEOPT_FRAMES_H
#define EDGEOPT_FRAMES_H

#include <stdint.h>

#include "serve.h"

enum { FRAME_HEAD = 8, FRAME_CRC = 4 };

typedef struct {
  uint8_t bytes[FRAME_HEAD + SERVE_PAYLOAD + FRAME_CRC];
  uint32_t size; /* of the payload */
} serve_frame;

/* Waits for the next frame that is whole; what is damaged is dropped. */
void frame_receive(serve_frame *frame);
/* Sends `frame`, whose head and payload are there; adds its checksum. */
void frame_send(serve_frame *frame);

static inline uint8_t *frame_payload(serve_frame *frame) { return frame->bytes + FRAME_HEAD; }

static inline uint16_t load16(const uint8_t *at) { return (uint16_t)(at[0] | (uint16_t)(at[1] << 8)); }

static inline uint32_t load32(const uint8_t *at) { return load16(at) | ((uint32_t)load16(at + 2) << 16); }

static inline void store16(uint8_t *at, uint32_t value) {
  at[0] = (uint8_t)value;
  at[1] = (uint8_t)(value >> 8);
}

static inline void store32(uint8_t *at, uint32_t value) {
  store16(at, value);
  store16(at + 2, value >> 16);
}

#endif
