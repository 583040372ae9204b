/* Runs the steps of a program's table, one after the other. */
#define _GNU_SOURCE
#include "edgeopt_model.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pool.h"
#include "table.h"

enum { ALIGNMENT = 64, PAGE = 4096, ERROR_BYTES = 1280 };

struct edgeopt_model {
  const struct table *table;
  pthread_mutex_t lock;
  struct pool *pool;
  void *arena;
  struct tensor *tensors; /* one for each buffer */
  struct value *args;     /* of all steps */
  void **staged;          /* aligned copies of inputs and outputs, where one was needed */
  char error[ERROR_BYTES];
};

static _Thread_local char create_error[160];

static const struct table *of(int32_t program) { return model_tables[program]; }

int32_t edgeopt_abi(void) { return EDGEOPT_ABI; }
const char *edgeopt_digest(void) { return model_digest; }
int32_t edgeopt_program_count(void) { return model_table_count; }
int32_t edgeopt_input_count(int32_t program) { return of(program)->input_count; }
int32_t edgeopt_output_count(int32_t program) { return of(program)->output_count; }
int32_t edgeopt_step_count(int32_t program) { return of(program)->step_count; }
size_t edgeopt_arena_bytes(int32_t program) { return of(program)->arena_bytes; }
size_t edgeopt_constant_bytes(void) { return model_constant_bytes; }

static edgeopt_tensor described(const struct buffer *b) {
  edgeopt_tensor tensor = {b->name, b->dtype_name, b->shape, b->ndim, b->bytes};
  return tensor;
}

edgeopt_tensor edgeopt_input(int32_t program, int32_t index) {
  return described(&of(program)->buffers[of(program)->inputs[index]]);
}

edgeopt_tensor edgeopt_output(int32_t program, int32_t index) {
  return described(&of(program)->buffers[of(program)->outputs[index]]);
}

edgeopt_call edgeopt_step(int32_t program, int32_t index) {
  const struct step *s = &of(program)->steps[index];
  edgeopt_call call = {s->kernel_name, s->origins};
  return call;
}

int32_t edgeopt_threads(const edgeopt_model *model) { return pool_threads(model->pool); }

const char *edgeopt_error(const edgeopt_model *model) {
  return model ? model->error : create_error;
}

static int usable_cores(const struct table *table) {
  cpu_set_t set;
  int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return table->cores > 1 && table->cores < count ? table->cores : count > 0 ? count : 1;
}

static void *aligned(size_t alignment, size_t bytes) {
  void *memory = NULL;
  return posix_memalign(&memory, alignment, bytes ? bytes : 1) ? NULL : memory;
}

/* Points every argument of every step at its tensor, and every tensor at its memory. */
static void bind(edgeopt_model *model) {
  const struct table *table = model->table;
  for (int32_t i = 0; i < table->buffer_count; i++) {
    const struct buffer *b = &table->buffers[i];
    struct tensor *t = &model->tensors[i];
    t->device_type = DEVICE_CPU;
    t->ndim = b->ndim;
    t->dtype = b->dtype;
    t->shape = (int64_t *)b->shape; /* kernels only read it */
    if (b->kind == CONSTANT) t->data = (void *)(model_constants + b->offset);
    if (b->kind == TEMPORARY) t->data = (char *)model->arena + b->offset;
  }
  for (int32_t i = 0; i < table->arg_count; i++) {
    model->args[i].tag = TAG_TENSOR_POINTER;
    model->args[i].held.pointer = &model->tensors[table->args[i]];
  }
}

static edgeopt_model *cannot(edgeopt_model *model, const char *what, int reason) {
  snprintf(create_error, sizeof create_error, "%s: %s", what, strerror(reason));
  edgeopt_destroy(model);
  return NULL;
}

edgeopt_model *edgeopt_create(int32_t program, int32_t threads) {
  if (program < 0 || program >= model_table_count)
    return cannot(NULL, "there is no such program", EINVAL);
  const struct table *table = of(program);
  if (threads <= 0) threads = usable_cores(table);
  if (threads > MOST_THREADS) threads = MOST_THREADS;
  edgeopt_model *model = calloc(1, sizeof *model);
  if (!model) return cannot(NULL, "no memory for the model", ENOMEM);
  model->table = table;
  pthread_mutex_init(&model->lock, NULL);
  size_t ports = (size_t)table->input_count + (size_t)table->output_count;
  model->arena = aligned(PAGE, table->arena_bytes);
  model->tensors = calloc((size_t)table->buffer_count + 1, sizeof *model->tensors);
  model->args = calloc((size_t)table->arg_count + 1, sizeof *model->args);
  model->staged = calloc(ports + 1, sizeof *model->staged);
  if (!model->arena || !model->tensors || !model->args || !model->staged)
    return cannot(model, "no memory for the values between the kernels", ENOMEM);
  errno = ENOMEM;
  model->pool = pool_create(threads);
  if (!model->pool) return cannot(model, "threads cannot be started", errno);
  bind(model);
  return model;
}

void edgeopt_destroy(edgeopt_model *model) {
  if (!model) return;
  const struct table *table = model->table;
  if (model->pool) pool_destroy(model->pool);
  for (int32_t i = 0; model->staged && i < table->input_count + table->output_count; i++)
    free(model->staged[i]);
  free(model->staged);
  free(model->args);
  free(model->tensors);
  free(model->arena);
  pthread_mutex_destroy(&model->lock);
  free(model);
}

/* Returns `memory` if kernels can use it, else an aligned room of its own; NULL without memory. */
static void *usable(edgeopt_model *model, int32_t port, const void *memory, size_t bytes) {
  if ((uintptr_t)memory % ALIGNMENT == 0) return (void *)memory;
  if (!model->staged[port]) model->staged[port] = aligned(ALIGNMENT, bytes);
  return model->staged[port];
}

/* Points inputs and outputs at the caller's memory. Returns whether there was memory. */
static int place(edgeopt_model *model, const void *const *inputs, void *const *outputs) {
  const struct table *table = model->table;
  for (int32_t i = 0; i < table->input_count; i++) {
    int32_t at = table->inputs[i];
    size_t bytes = table->buffers[at].bytes;
    void *data = usable(model, i, inputs[i], bytes);
    if (!data) return 0;
    if (data != inputs[i]) memcpy(data, inputs[i], bytes);
    model->tensors[at].data = data;
  }
  for (int32_t i = 0; i < table->output_count; i++) {
    int32_t at = table->outputs[i];
    size_t bytes = table->buffers[at].bytes;
    void *data = usable(model, table->input_count + i, outputs[i], bytes);
    if (!data) return 0;
    model->tensors[at].data = data;
  }
  return 1;
}

static int64_t integer_at(const struct tensor *array, size_t i) {
  switch (array->dtype.bits) {
    case 8: return array->dtype.code ? ((const uint8_t *)array->data)[i] : ((const int8_t *)array->data)[i];
    case 16: return ((const int16_t *)array->data)[i];
    case 32: return ((const int32_t *)array->data)[i];
    default: return ((const int64_t *)array->data)[i];
  }
}

/* Returns whether all inputs that choose rows of a table choose rows that it has. */
static int within(edgeopt_model *model) {
  const struct table *table = model->table;
  for (int32_t i = 0; i < table->input_count; i++) {
    const struct buffer *b = &table->buffers[table->inputs[i]];
    const struct tensor *array = &model->tensors[table->inputs[i]];
    size_t count = b->limit ? b->bytes / (array->dtype.bits / 8) : 0;
    for (size_t k = 0; k < count; k++) {
      int64_t value = integer_at(array, k);
      if (value >= 0 && value < b->limit) continue;
      snprintf(model->error, sizeof model->error, "input %s: %lld, expected 0 to %lld", b->name,
               (long long)value, (long long)b->limit - 1);
      return 0;
    }
  }
  return 1;
}

static void give(const edgeopt_model *model, void *const *outputs) {
  const struct table *table = model->table;
  for (int32_t i = 0; i < table->output_count; i++) {
    int32_t at = table->outputs[i];
    const void *made = model->tensors[at].data;
    if (made != outputs[i]) memcpy(outputs[i], made, table->buffers[at].bytes);
  }
}

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Returns the step that failed, or -1. */
static int32_t run_steps(edgeopt_model *model, int64_t *step_ns) {
  const struct table *table = model->table;
  int64_t before = step_ns ? now_ns() : 0;
  for (int32_t i = 0; i < table->step_count; i++) {
    const struct step *s = &table->steps[i];
    struct value result = {0};
    if (s->run(NULL, &model->args[s->first], s->count, &result) != 0) return i;
    if (step_ns) {
      int64_t after = now_ns();
      step_ns[i] = after - before;
      before = after;
    }
  }
  return -1;
}

static int32_t run(edgeopt_model *model, const void *const *inputs, void *const *outputs,
                   int64_t *step_ns) {
  if (!place(model, inputs, outputs)) {
    snprintf(model->error, sizeof model->error, "no memory for aligned inputs and outputs");
    return -1;
  }
  if (!within(model)) return -1;
  pool_enter(model->pool);
  pool_clear(model->pool);
  int32_t failed = run_steps(model, step_ns);
  pool_enter(NULL);
  if (failed < 0) {
    give(model, outputs);
    return 0;
  }
  const char *said = pool_message(model->pool);
  snprintf(model->error, sizeof model->error, "step %d, kernel %s: %s", (int)failed,
           model->table->steps[failed].kernel_name, *said ? said : "it failed and gave no reason");
  return -1;
}

int32_t edgeopt_profile(edgeopt_model *model, const void *const *inputs, void *const *outputs,
                        int64_t *step_ns) {
  pthread_mutex_lock(&model->lock);
  int32_t failed = run(model, inputs, outputs, step_ns);
  pthread_mutex_unlock(&model->lock);
  return failed;
}

int32_t edgeopt_run(edgeopt_model *model, const void *const *inputs, void *const *outputs) {
  return edgeopt_profile(model, inputs, outputs, NULL);
}
