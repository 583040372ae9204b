/* Arrays of any shape: dense, row-major. */
#ifndef EDGEOPT_ARRAY_H
#define EDGEOPT_ARRAY_H

#include <stddef.h>
#include <stdint.h>

#include "edgeopt_model.h"

enum { MOST_AXES = 32 };

struct array {
  const char *dtype;
  int64_t shape[MOST_AXES];
  int32_t ndim;
  size_t bytes;
  void *data;
};

/* Returns memory that starts at a multiple of 64; ends the program where there is none. */
void *room(size_t bytes);

/* Returns bytes of one value of a dtype, by numpy's name. */
size_t item_bytes(const char *dtype);

/* Returns an array of a tensor's shape and dtype, of zeros. */
struct array array_like(const edgeopt_tensor *tensor);

/* Returns an array of zeros; ends the program where it is too large. */
struct array array_zeros(const char *dtype, const int64_t *shape, int32_t ndim);

/* Returns what lies at `first` of axis 0, where `count` is 0; else `count` rows from there on. */
struct array array_part(const struct array *whole, int64_t first, int64_t count);

/* Returns whether the array is of this shape. */
int array_is(const struct array *array, const int64_t *shape, int32_t ndim);

/* Copies the values that both arrays have a place for. */
void array_copy(struct array *to, const struct array *from);

/* Puts `part` behind the rows of `whole`; an empty `whole` (ndim 0) becomes its copy. With `lead`, it is
 * one row. */
void array_append(struct array *whole, const struct array *part, int lead);

#endif
