#include "serve.h"

#include "board.h"
#include "frames.h"

typedef struct {
  const edgeopt_model *model;
  uint8_t *arena;
  uint32_t arena_bytes;
  uint16_t session;
} server;

__attribute__((weak)) int edgeopt_self_test(const edgeopt_model *model, void *arena) {
  (void)model;
  (void)arena;
  return -1;
}

__attribute__((weak)) uint32_t board_stack_free(void) { return UINT32_MAX; }

/* Whether the model can compute in the arena: how far it is from where it should be, and whether it is large enough. */
static uint32_t misplaced(const server *self) {
  return (uint32_t)((uintptr_t)self->arena & (self->model->arena_align - 1u));
}

static int has_room(const server *self) {
  return self->arena != 0 && misplaced(self) == 0 && self->arena_bytes >= self->model->arena_bytes;
}

static void put_text(serve_frame *frame, const char *text) {
  uint8_t *payload = frame_payload(frame);
  for (uint32_t i = 0; text[i] != 0 && i < 80 && frame->size < SERVE_PAYLOAD - 1; i++) {
    payload[frame->size++] = (uint8_t)text[i];
  }
  payload[frame->size++] = 0;
}

static int info(server *self, serve_frame *frame) {
  if (frame->size != 2) {
    return SERVE_BAD_LENGTH;
  }
  uint8_t *at = frame_payload(frame);
  const edgeopt_model *model = self->model;
  self->session = load16(at);
  store16(at, SERVE_PROTOCOL);
  store16(at + 2, SERVE_PAYLOAD);
  store16(at + 4, model->input_count);
  store16(at + 6, model->output_count);
  store16(at + 8, model->step_count);
  store16(at + 10, board.unit);
  store32(at + 12, board.counts_per_second);
  store32(at + 16, model->arena_bytes);
  store32(at + 20, model->arena_align);
  store32(at + 24, misplaced(self));
  store32(at + 28, self->arena_bytes);
  store32(at + 32, board_stack_free());
  frame->size = 36;
  put_text(frame, model->name);
  put_text(frame, model->digest);
  put_text(frame, board.name);
  return SERVE_OK;
}

static int tensor(server *self, serve_frame *frame) {
  uint8_t *at = frame_payload(frame);
  if (frame->size != 3) {
    return SERVE_BAD_LENGTH;
  }
  enum { MOST_RANK = 32 };
  const uint32_t output = at[0], index = load16(at + 1);
  if (output > 1 || index >= (output ? self->model->output_count : self->model->input_count)) {
    return SERVE_BAD_RANGE;
  }
  const edgeopt_tensor *one = (output ? self->model->outputs : self->model->inputs) + index;
  if (one->rank > MOST_RANK) {
    return SERVE_BAD_RANGE;
  }
  union {
    float value;
    uint32_t bits;
  } scale = {one->scale};
  at[0] = (uint8_t)one->dtype;
  at[1] = one->rank;
  store32(at + 2, one->bytes);
  store32(at + 6, scale.bits);
  store32(at + 10, (uint32_t)one->zero_point);
  for (uint32_t i = 0; i < one->rank; i++) {
    store32(at + 14 + 4 * i, one->shape[i]);
  }
  frame->size = 14u + 4u * one->rank;
  put_text(frame, one->name);
  return SERVE_OK;
}

static int step(server *self, serve_frame *frame) {
  if (frame->size != 2) {
    return SERVE_BAD_LENGTH;
  }
  const uint32_t index = load16(frame_payload(frame));
  if (index >= self->model->step_count) {
    return SERVE_BAD_RANGE;
  }
  frame->size = 0;
  put_text(frame, self->model->step_names[index]);
  return SERVE_OK;
}

static int write_input(server *self, serve_frame *frame) {
  uint8_t *at = frame_payload(frame);
  if (frame->size < 6) {
    return SERVE_BAD_LENGTH;
  }
  const uint32_t index = load16(at), offset = load32(at + 2), size = frame->size - 6;
  if (index >= self->model->input_count || offset > self->model->inputs[index].bytes ||
      size > self->model->inputs[index].bytes - offset) {
    return SERVE_BAD_RANGE;
  }
  uint8_t *to = self->arena + self->model->inputs[index].offset + offset;
  for (uint32_t i = 0; i < size; i++) {
    to[i] = at[6 + i];
  }
  frame->size = 0;
  return SERVE_OK;
}

static int read_output(server *self, serve_frame *frame) {
  uint8_t *at = frame_payload(frame);
  if (frame->size != 8) {
    return SERVE_BAD_LENGTH;
  }
  const uint32_t index = load16(at), offset = load32(at + 2), size = load16(at + 6);
  if (index >= self->model->output_count || size > SERVE_PAYLOAD || offset > self->model->outputs[index].bytes ||
      size > self->model->outputs[index].bytes - offset) {
    return SERVE_BAD_RANGE;
  }
  const uint8_t *from = self->arena + self->model->outputs[index].offset + offset;
  for (uint32_t i = 0; i < size; i++) {
    at[i] = from[i];
  }
  frame->size = size;
  return SERVE_OK;
}

static int run(server *self, serve_frame *frame) {
  uint8_t *at = frame_payload(frame);
  if (frame->size != 4) {
    return SERVE_BAD_LENGTH;
  }
  const uint16_t first = load16(at), last = load16(at + 2);
  if (first > last || last > self->model->step_count) {
    return SERVE_BAD_RANGE;
  }
  board_count_start();
  const int result = self->model->run_steps(self->arena, 0, 0, first, last);
  const uint64_t counts = board_count();
  store32(at, (uint32_t)result);
  store32(at + 4, (uint32_t)counts);
  store32(at + 8, (uint32_t)(counts >> 32));
  store32(at + 12, board_stack_free());
  frame->size = 16;
  return SERVE_OK;
}

static int self_test(server *self, serve_frame *frame) {
  store32(frame_payload(frame), (uint32_t)edgeopt_self_test(self->model, self->arena));
  frame->size = 4;
  return SERVE_OK;
}

static int answer(server *self, serve_frame *frame) {
  const uint32_t command = frame->bytes[0];
  if (command == SERVE_INFO) {
    return info(self, frame);
  }
  if (self->session == 0 || self->session != load16(frame->bytes + 2)) {
    return SERVE_NO_SESSION;
  }
  const int computes = command == SERVE_WRITE || command == SERVE_RUN || command == SERVE_READ;
  if ((computes || command == SERVE_SELF_TEST) && !has_room(self)) {
    return SERVE_NO_ROOM;
  }
  switch (command) {
    case SERVE_TENSOR:
      return tensor(self, frame);
    case SERVE_STEP:
      return step(self, frame);
    case SERVE_WRITE:
      return write_input(self, frame);
    case SERVE_RUN:
      return run(self, frame);
    case SERVE_READ:
      return read_output(self, frame);
    case SERVE_SELF_TEST:
      return self_test(self, frame);
    case SERVE_RESET:
      frame->size = 0;
      return SERVE_OK;
    default:
      return SERVE_UNKNOWN;
  }
}

void edgeopt_serve(const edgeopt_model *model, void *arena, uint32_t arena_bytes) {
  static serve_frame frame;
  server self = {.model = model, .arena = arena, .arena_bytes = arena_bytes};
  frame.bytes[0] = SERVE_BOOT;
  frame.size = 0;
  frame_send(&frame);
  for (;;) {
    frame_receive(&frame);
    const uint8_t command = frame.bytes[0];
    const int status = answer(&self, &frame);
    frame.bytes[1] = (uint8_t)status;
    store16(frame.bytes + 2, self.session);
    if (status != SERVE_OK) {
      frame.size = 0;
    }
    frame_send(&frame);
    if (command == SERVE_RESET && status == SERVE_OK) {
      board_reset();
    }
  }
}
