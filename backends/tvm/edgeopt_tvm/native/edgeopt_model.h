/* Compiled programs of a model: create one, run it, ask what it is. All that `model.so` exports is here.
 *
 *     edgeopt_model *model = edgeopt_create(0, 4);
 *     const void *inputs[] = {pixels};
 *     void *outputs[] = {scores};
 *     if (!model || edgeopt_run(model, inputs, outputs)) puts(edgeopt_error(model));
 *     edgeopt_destroy(model);
 *
 * Arrays are dense and row-major, in the order of `edgeopt_input` and `edgeopt_output`. Those that
 * start at a multiple of 64 bytes are used where they lie, others are copied. Any number of models
 * may be created; calls with one model wait for each other. A library holds one program or more, for
 * several shapes or methods, which share constants and kernels; they are counted from 0 on. */
#ifndef EDGEOPT_MODEL_H
#define EDGEOPT_MODEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EDGEOPT_API __attribute__((visibility("default")))
#define EDGEOPT_ABI 2

typedef struct edgeopt_model edgeopt_model;

/* An input or output. `dtype` is numpy's name. */
typedef struct {
  const char *name;
  const char *dtype;
  const int64_t *shape;
  int32_t ndim;
  size_t bytes;
} edgeopt_tensor;

/* A call of one kernel. `origins` are names of the program's values, separated by commas. */
typedef struct {
  const char *kernel;
  const char *origins;
} edgeopt_call;

/* Returns EDGEOPT_ABI of the library. */
EDGEOPT_API int32_t edgeopt_abi(void);

/* Returns a digest of the programs in the library. */
EDGEOPT_API const char *edgeopt_digest(void);

/* How many programs there are; `program` of all other functions must be smaller. */
EDGEOPT_API int32_t edgeopt_program_count(void);

/* How many there are of a program, and the one at `index`, which must be smaller. */
EDGEOPT_API int32_t edgeopt_input_count(int32_t program);
EDGEOPT_API int32_t edgeopt_output_count(int32_t program);
EDGEOPT_API int32_t edgeopt_step_count(int32_t program);
EDGEOPT_API edgeopt_tensor edgeopt_input(int32_t program, int32_t index);
EDGEOPT_API edgeopt_tensor edgeopt_output(int32_t program, int32_t index);
EDGEOPT_API edgeopt_call edgeopt_step(int32_t program, int32_t index);

/* Bytes that each model object needs for what lies between its kernels, and bytes of the constants of
 * all programs. */
EDGEOPT_API size_t edgeopt_arena_bytes(int32_t program);
EDGEOPT_API size_t edgeopt_constant_bytes(void);

/* Returns a model of a program that runs on `threads` threads, the caller's included (0: one for each
 * core that it was made for and may use); NULL where memory or threads are lacking, or there is no such
 * program. */
EDGEOPT_API edgeopt_model *edgeopt_create(int32_t program, int32_t threads);

/* Returns how many threads it runs on. */
EDGEOPT_API int32_t edgeopt_threads(const edgeopt_model *model);

/* Runs it. Returns 0, or -1 and `edgeopt_error` says why. */
EDGEOPT_API int32_t edgeopt_run(edgeopt_model *model, const void *const *inputs,
                                void *const *outputs);

/* Runs it, and writes the nanoseconds of each step. */
EDGEOPT_API int32_t edgeopt_profile(edgeopt_model *model, const void *const *inputs,
                                    void *const *outputs, int64_t *step_ns);

/* Returns what went wrong last; of NULL, why this thread could not create a model. Never NULL. */
EDGEOPT_API const char *edgeopt_error(const edgeopt_model *model);

/* Ends its threads and frees its memory. NULL is ignored. */
EDGEOPT_API void edgeopt_destroy(edgeopt_model *model);

#ifdef __cplusplus
}
#endif
#endif
