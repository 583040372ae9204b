/* Serves a model over a serial line: a host writes inputs, runs it, reads outputs and counts.
 *
 * A frame is, before byte stuffing: command (1 byte), status (1), session (2), sequence number (2), length of the
 * payload (2), payload, CRC-32 of all that (4); little-endian. It is stuffed as COBS, so that no zero is in it, and
 * ended by a zero: after noise or a lost byte both sides are in step again at the next zero. A request has one reply with
 * the same command and sequence number. The host chooses the session, any number but 0, with SERVE_INFO; after a
 * reset it is 0, and the board says so in a frame of its own (SERVE_BOOT).
 */
#ifndef EDGEOPT_SERVE_H
#define EDGEOPT_SERVE_H

#include "edgeopt_model.h"

#define SERVE_PROTOCOL 1u
#ifndef SERVE_PAYLOAD
#define SERVE_PAYLOAD 512u /* most bytes of a payload; at least 256 */
#endif

enum {
  SERVE_BOOT = 0,      /* from the board, unasked: it has started */
  SERVE_INFO = 1,      /* session u16 -> see info() */
  SERVE_TENSOR = 2,    /* side u8 (0 input, 1 output), index u16 -> see tensor() */
  SERVE_STEP = 3,      /* index u16 -> name */
  SERVE_WRITE = 4,     /* index u16, offset u32, bytes -> */
  SERVE_RUN = 5,       /* first u16, last u16 -> result i32, counts u64, free stack u32 */
  SERVE_READ = 6,      /* index u16, offset u32, size u16 -> bytes */
  SERVE_SELF_TEST = 7, /* -> i32: values that are wrong, -1 where there is no test */
  SERVE_RESET = 8,     /* -> , then the board starts anew */
};

enum {
  SERVE_OK = 0,
  SERVE_UNKNOWN = 1,    /* no such command */
  SERVE_BAD_LENGTH = 2, /* a payload of another size */
  SERVE_BAD_RANGE = 3,  /* no such tensor, step or bytes */
  SERVE_NO_ROOM = 4,    /* the arena is misplaced, or too small */
  SERVE_NO_SESSION = 5, /* the board was reset since SERVE_INFO */
};

/* Serves `model` for ever. The arena is as run_steps wants it; inputs and outputs lie in it. */
_Noreturn void edgeopt_serve(const edgeopt_model *model, void *arena, uint32_t arena_bytes);

/* The model's own test, where one is linked in: how many values are wrong. */
int edgeopt_self_test(const edgeopt_model *model, void *arena);

#endif
