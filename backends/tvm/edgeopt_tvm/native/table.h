/* What the compiler writes down of a model's programs: `table_N.c` is generated for each, `tables.c` for all. */
#ifndef EDGEOPT_TABLE_H
#define EDGEOPT_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* The calling convention of the kernels (TVM's FFI: a tagged value, DLPack's tensor). */
struct value {
  int32_t tag;
  uint32_t unused;
  union {
    int64_t integer;
    void *pointer;
  } held;
};

enum { TAG_TENSOR_POINTER = 7, DEVICE_CPU = 1 };

struct data_type {
  uint8_t code, bits;
  uint16_t lanes;
};

struct tensor {
  void *data;
  int32_t device_type, device_id;
  int32_t ndim;
  struct data_type dtype;
  int64_t *shape;
  int64_t *strides;
  uint64_t byte_offset;
};

typedef int32_t (*kernel)(void *self, const struct value *args, int32_t count,
                          struct value *result);

enum kind { INPUT, OUTPUT, CONSTANT, TEMPORARY };

struct buffer {
  const char *name, *dtype_name;
  const int64_t *shape;
  int32_t ndim;
  enum kind kind;
  struct data_type dtype;
  size_t bytes;
  size_t offset; /* CONSTANT: in the constants; TEMPORARY: in the arena */
  int64_t limit; /* INPUT: its values must be 0 to limit - 1; 0: any */
};

struct step {
  const char *kernel_name, *origins;
  kernel run;
  int32_t first, count; /* its arguments, in `args` */
};

struct table {
  const struct buffer *buffers;
  const struct step *steps;
  const int32_t *args; /* indices of buffers */
  const int32_t *inputs, *outputs;
  int32_t buffer_count, step_count, arg_count, input_count, output_count;
  int32_t cores;
  size_t arena_bytes;
};

extern const struct table *const model_tables[]; /* tables.c */
extern const int32_t model_table_count;
extern const size_t model_constant_bytes;
extern const char model_digest[];
extern const unsigned char model_constants[]; /* constants.S */

#endif
