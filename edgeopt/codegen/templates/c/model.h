/* The model: its inputs and outputs are those of the float model, dense, in the signature's order. */
#ifndef MODEL_H
#define MODEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MODEL_INPUTS $inputs
#define MODEL_OUTPUTS $outputs
#define MODEL_ENTRY $entry
#define MODEL_MOST_AXES 8

/* An input or output; `dtype` is numpy's name. */
typedef struct {
  const char *name, *dtype;
  int32_t rank;
  int64_t shape[MODEL_MOST_AXES];
  size_t bytes;
} model_tensor;

extern const model_tensor model_inputs[]; /* tensors.c */
extern const model_tensor model_outputs[];

typedef struct model model;

/* Returns the model in `folder` on `threads` threads (0: the runtime chooses); NULL, and `error` says why. */
model *model_open(const char *folder, int threads, char *error, size_t error_bytes);

/* Runs it once. Returns 0, or -1 and `model_error` says why. One call at a time. */
int model_run(model *model, const void *const *inputs, void *const *outputs);

/* Returns what went wrong last; never NULL. */
const char *model_error(const model *model);

/* Frees it. NULL is ignored. */
void model_close(model *model);

#ifdef __cplusplus
}
#endif
#endif
