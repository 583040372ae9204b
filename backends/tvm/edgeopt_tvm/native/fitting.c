/* Which program takes inputs of given shapes: the same rules as edgeopt_runner/session.py. */
#include <stdlib.h>
#include <string.h>

#include "program.h"
#include "session.h"

/* An axis of an input or output, as it is in each program. */
struct axis {
  int32_t input, output; /* one of them, the other is -1 */
  int32_t number;
};

static edgeopt_tensor port_of(const struct entry *entry, struct axis axis) {
  struct face face = face_of(entry);
  return axis.input >= 0 ? face.inputs[axis.input] : face.outputs[axis.output];
}

static int64_t size_of(const struct entry *entry, struct axis axis) {
  edgeopt_tensor port = port_of(entry, axis);
  return axis.number < port.ndim ? port.shape[axis.number] : -1;
}

/* Returns whether two axes are equally long in each program. */
static int are_alike(struct choice choice, struct axis a, struct axis b) {
  for (int32_t i = 0; i < choice.count; i++)
    if (size_of(&choice.entries[i], a) != size_of(&choice.entries[i], b)) return 0;
  return 1;
}

/* Returns whether an axis is not of one size in all programs. */
static int varies(struct choice choice, struct axis axis) {
  int64_t first = size_of(&choice.entries[0], axis);
  for (int32_t i = 1; i < choice.count; i++)
    if (size_of(&choice.entries[i], axis) != first) return 1;
  return 0;
}

static int is_exact(const struct face *face, const struct array *inputs) {
  for (int32_t i = 0; i < face->input_count; i++)
    if (!array_is(&inputs[i], face->inputs[i].shape, face->inputs[i].ndim)) return 0;
  return 1;
}

/* Returns whether what varies alike between the programs is equally long in the inputs. */
static int is_even(struct choice choice, const struct array *inputs, int32_t count, struct axis axis) {
  for (int32_t i = 0; i < count; i++)
    for (int32_t a = 0; a < inputs[i].ndim; a++) {
      struct axis other = {i, -1, a};
      if (inputs[i].shape[a] != inputs[axis.input].shape[axis.number] &&
          are_alike(choice, axis, other))
        return 0;
    }
  return 1;
}

/* Returns whether inputs may be filled up to a program's: along axes where that was seen to change
 * nothing. */
static int fills(struct choice choice, const struct entry *entry, const struct array *inputs) {
  struct face face = face_of(entry);
  for (int32_t i = 0; i < face.input_count; i++)
    if (inputs[i].ndim != face.inputs[i].ndim) return 0;
  for (int32_t i = 0; i < face.input_count; i++)
    for (int32_t a = 0; a < inputs[i].ndim; a++) {
      struct axis axis = {i, -1, a};
      int64_t have = inputs[i].shape[a], want = face.inputs[i].shape[a];
      int can_vary = varies(choice, axis);
      if (have == 0 || have > want) return 0;
      if (have < want && !(can_vary && a < 32 && entry->pads >> a & 1)) return 0;
      if (can_vary && !is_even(choice, inputs, face.input_count, axis)) return 0;
    }
  return 1;
}

static double values_of(const struct entry *entry) {
  struct face face = face_of(entry);
  double sum = 0;
  for (int32_t i = 0; i < face.input_count; i++) {
    double values = 1;
    for (int32_t a = 0; a < face.inputs[i].ndim; a++) values *= (double)face.inputs[i].shape[a];
    sum += values;
  }
  return sum;
}

static size_t put_shape(char *text, size_t size, size_t used, const int64_t *shape, int32_t ndim) {
  if (used < size) used += (size_t)snprintf(text + used, size - used, "[");
  for (int32_t i = 0; i < ndim && used < size; i++)
    used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? ", " : "", (long long)shape[i]);
  if (used < size) used += (size_t)snprintf(text + used, size - used, "]");
  return used;
}

/* Ends the program: says which shapes were given, and which there are. */
static _Noreturn void no_program(struct choice choice, const struct array *inputs) {
  char given[512] = "", known[2048] = "";
  size_t used = 0, more = 0;
  for (int32_t e = 0; e < choice.count; e++) {
    struct face face = face_of(&choice.entries[e]);
    for (int32_t i = 0; i < face.input_count; i++) {
      if (i + e && more < sizeof known)
        more += (size_t)snprintf(known + more, sizeof known - more, i ? ", " : "; ");
      more = put_shape(known, sizeof known, more, face.inputs[i].shape, face.inputs[i].ndim);
      if (e) continue;
      if (i && used < sizeof given)
        used += (size_t)snprintf(given + used, sizeof given - used, ", ");
      used = put_shape(given, sizeof given, used, inputs[i].shape, inputs[i].ndim);
    }
  }
  stop(USAGE, "no program takes inputs of shape %s; there are some for: %s", given, known);
}

const struct entry *fitting_program(struct choice choice, const struct array *inputs) {
  for (int32_t i = 0; i < choice.count; i++) {
    struct face face = face_of(&choice.entries[i]);
    if (is_exact(&face, inputs)) return &choice.entries[i];
  }
  const struct entry *best = NULL;
  for (int32_t i = 0; i < choice.count; i++) {
    const struct entry *entry = &choice.entries[i];
    if (fills(choice, entry, inputs) && (!best || values_of(entry) < values_of(best))) best = entry;
  }
  if (!best) no_program(choice, inputs);
  return best;
}

int64_t rows_in_turn(struct choice choice, const struct array *inputs) {
  struct face face = face_of(&choice.entries[0]);
  struct axis first = {0, -1, 0};
  int64_t most = 0;
  for (int32_t i = 0; i < choice.count; i++) {
    if (!choice.entries[i].splits || !face.input_count) return 0;
    int64_t rows = size_of(&choice.entries[i], first);
    if (rows > most) most = rows;
  }
  for (int32_t i = 0; i < face.input_count; i++) {
    struct axis axis = {i, -1, 0};
    if (!inputs[i].ndim || !varies(choice, axis) || !are_alike(choice, first, axis)) return 0;
    if (inputs[i].shape[0] != inputs[0].shape[0]) return 0;
  }
  return inputs[0].shape[0] > most ? most : 0;
}

/* Returns the input whose axis is as long as an output's in each program, the same axis before others;
 * -1 where there is none. The axis is written to `source`. */
static int32_t source_of(struct choice choice, struct axis axis, int32_t *source) {
  struct face face = face_of(&choice.entries[0]);
  int32_t found = -1;
  for (int32_t i = 0; i < face.input_count; i++)
    for (int32_t a = 0; a < face.inputs[i].ndim; a++) {
      struct axis other = {i, -1, a};
      int is_better = found < 0 || (*source != axis.number && a == axis.number);
      if (!is_better || !are_alike(choice, axis, other)) continue;
      found = i;
      *source = a;
    }
  return found;
}

struct array cut_back(struct choice choice, const struct array *inputs, int32_t place,
                      const struct array *output) {
  int64_t shape[MOST_AXES];
  memcpy(shape, output->shape, sizeof shape);
  for (int32_t a = 0; a < output->ndim; a++) {
    struct axis axis = {-1, place, a};
    int32_t source_axis = 0;
    int32_t source = varies(choice, axis) ? source_of(choice, axis, &source_axis) : -1;
    if (source < 0) continue;
    int64_t size = inputs[source].shape[source_axis];
    if (size < shape[a]) shape[a] = size;
  }
  struct array cut = array_zeros(output->dtype, shape, output->ndim);
  array_copy(&cut, output);
  return cut;
}
