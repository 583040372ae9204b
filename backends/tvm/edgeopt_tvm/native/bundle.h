/* What the bundle says of its programs; `bundle.c` is generated. */
#ifndef EDGEOPT_BUNDLE_H
#define EDGEOPT_BUNDLE_H

#include <stddef.h>
#include <stdint.h>

/* A value that is kept from call to call. */
struct state {
  const char *name, *dtype;
  const int64_t *shape;
  int32_t ndim;
  size_t bytes;
  const unsigned char *initial; /* NULL: zeros */
};

/* A program: a method of the model, for inputs of one shape. */
struct entry {
  int32_t program, method;
  const int32_t *reads, *writes; /* of each input, or output: the state that it is, or -1; NULL: none */
  uint32_t pads;                 /* bits of the axes along which zeros may fill inputs up */
  int32_t splits;                /* whether rows may be computed in turns */
};

struct bundle {
  const char *const *methods;
  const struct entry *entries;
  const struct state *states;
  int32_t method_count, entry_count, state_count;
};

extern const struct bundle bundle;            /* bundle.c */
extern const unsigned char bundle_states[]; /* states.S */

#endif
