/* Calls programs: by method, for inputs of any shape that there is a program for, with the state. */
#ifndef EDGEOPT_SESSION_H
#define EDGEOPT_SESSION_H

#include "array.h"
#include "bundle.h"

enum { MOST_PORTS = 256 };

/* The programs that a call may use. */
struct choice {
  const struct entry *entries;
  int32_t count;
};

/* The inputs and outputs of a program that are no state. */
struct face {
  edgeopt_tensor inputs[MOST_PORTS], outputs[MOST_PORTS];
  int32_t output_at[MOST_PORTS]; /* of each output, where it is among all of the program's */
  int32_t input_count, output_count;
};

struct session {
  edgeopt_model **models; /* one a program, made when it is first called */
  void **states;
  int32_t threads;
};

/* Returns the programs of a method; of the first one, where `name` is NULL. */
struct choice programs_of(const char *name);

/* Returns program `number` (from 1 on) alone, whose state is among its inputs and outputs. */
struct choice program_alone(long number);

struct face face_of(const struct entry *entry);

/* Returns a session whose states are as before the first call. */
struct session session_begin(int32_t threads);
void session_end(struct session *session);

/* Calls a program that takes such inputs, and makes the outputs. What it writes to states is kept. */
void session_call(struct session *session, struct choice choice, const struct array *inputs,
                  struct array *outputs);

/* Returns the program for just these inputs, else the smallest that they can be filled up to; ends the
 * program where there is none. */
const struct entry *fitting_program(struct choice choice, const struct array *inputs);

/* Returns how many rows the largest program takes, where there are more; 0 where they go at once. */
int64_t rows_in_turn(struct choice choice, const struct array *inputs);

/* Returns output `place` without what comes of zeros that inputs were filled up with. */
struct array cut_back(struct choice choice, const struct array *inputs, int32_t place,
                      const struct array *output);

#endif
