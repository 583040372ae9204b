/* Arrays of any shape: made, cut, filled up and put together. */
#define _GNU_SOURCE
#include "array.h"

#include <stdlib.h>
#include <string.h>

#include "program.h"

void *room(size_t bytes) {
  void *memory = NULL;
  if (posix_memalign(&memory, 64, bytes ? bytes : 1)) stop(WRONG, "no memory (%zu bytes)", bytes);
  return memory;
}

size_t item_bytes(const char *dtype) {
  if (!strcmp(dtype, "bool")) return 1;
  size_t letters = strcspn(dtype, "0123456789");
  return (size_t)atoi(dtype + letters) / 8;
}

/* Returns the product of sizes and an item's bytes; ends the program where memory has no such number. */
static size_t bytes_of(const char *dtype, const int64_t *shape, int32_t ndim) {
  size_t bytes = item_bytes(dtype);
  for (int32_t i = 0; i < ndim; i++)
    if (__builtin_mul_overflow(bytes, (size_t)shape[i], &bytes) || bytes > SIZE_MAX / 2)
      stop(USAGE, "an array is too large for this machine");
  return bytes;
}

static struct array shaped(const char *dtype, const int64_t *shape, int32_t ndim, void *data) {
  struct array array = {.dtype = dtype, .ndim = ndim, .data = data};
  if (ndim > MOST_AXES) stop(USAGE, "an array of more than %d axes", MOST_AXES);
  memcpy(array.shape, shape, sizeof *shape * (size_t)ndim);
  array.bytes = bytes_of(dtype, shape, ndim);
  return array;
}

struct array array_zeros(const char *dtype, const int64_t *shape, int32_t ndim) {
  struct array array = shaped(dtype, shape, ndim, NULL);
  array.data = room(array.bytes);
  memset(array.data, 0, array.bytes);
  return array;
}

struct array array_like(const edgeopt_tensor *tensor) {
  return array_zeros(tensor->dtype, tensor->shape, tensor->ndim);
}

struct array array_part(const struct array *whole, int64_t first, int64_t count) {
  int lead = count == 0;
  struct array part = shaped(whole->dtype, whole->shape + lead, whole->ndim - lead, NULL);
  if (!lead) {
    part.bytes = whole->shape[0] ? whole->bytes / (size_t)whole->shape[0] * (size_t)count : 0;
    part.shape[0] = count;
  }
  size_t row = whole->shape[0] ? whole->bytes / (size_t)whole->shape[0] : 0;
  part.data = (char *)whole->data + row * (size_t)first;
  return part;
}

int array_is(const struct array *array, const int64_t *shape, int32_t ndim) {
  return array->ndim == ndim && !memcmp(array->shape, shape, sizeof *shape * (size_t)ndim);
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* Copies from axis `axis` on; `to_bytes` and `from_bytes` are those of what lies there. */
static void copy_axis(const struct array *to, const struct array *from, int32_t axis, char *target,
                      const char *source, size_t to_bytes, size_t from_bytes) {
  if (axis == to->ndim) {
    memcpy(target, source, to_bytes);
    return;
  }
  if (!to->shape[axis] || !from->shape[axis]) return;
  size_t to_step = to_bytes / (size_t)to->shape[axis];
  size_t from_step = from_bytes / (size_t)from->shape[axis];
  int64_t count = smaller(to->shape[axis], from->shape[axis]);
  if (axis == to->ndim - 1) {
    memcpy(target, source, to_step * (size_t)count);
    return;
  }
  for (int64_t i = 0; i < count; i++)
    copy_axis(to, from, axis + 1, target + to_step * (size_t)i, source + from_step * (size_t)i,
              to_step, from_step);
}

void array_copy(struct array *to, const struct array *from) {
  if (to->ndim != from->ndim || strcmp(to->dtype, from->dtype))
    stop(WRONG, "arrays of two kinds: the program is not as it was written");
  copy_axis(to, from, 0, to->data, from->data, to->bytes, from->bytes);
}

void array_append(struct array *whole, const struct array *part, int lead) {
  if (!whole->dtype) {
    if (part->ndim + lead > MOST_AXES || part->ndim + lead < 1)
      stop(USAGE, "outputs of %d axes cannot be put together", (int)part->ndim);
    whole->dtype = part->dtype;
    whole->ndim = part->ndim + lead;
    whole->shape[0] = 0;
    memcpy(whole->shape + 1, part->shape + !lead, sizeof *part->shape * (size_t)(whole->ndim - 1));
  }
  if (memcmp(whole->shape + 1, part->shape + !lead, sizeof *part->shape * (size_t)(whole->ndim - 1)))
    stop(WRONG, "outputs of several shapes cannot be put together");
  char *data = realloc(whole->data, whole->bytes + part->bytes + 1);
  if (!data) stop(WRONG, "no memory (%zu bytes)", whole->bytes + part->bytes);
  memcpy(data + whole->bytes, part->data, part->bytes);
  whole->data = data;
  whole->bytes += part->bytes;
  whole->shape[0] += lead ? 1 : part->shape[0];
}
