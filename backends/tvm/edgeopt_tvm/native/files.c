/* Files to inputs, outputs to files: by name, or in their order. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "program.h"

enum { MOST_PATH = 4096 };

/* Lays the words NAME=FILE and FILE in the places of inputs or outputs; what is left stays NULL. */
static void assign(const char *const *words, int count, const edgeopt_tensor *ports, int port_count,
                   const char *kind, const char **files) {
  for (int pass = 0; pass < 2; pass++)
    for (int i = 0, next = 0; i < count; i++) {
      int at = 0;
      const char *equals = strchr(words[i], '='), *name = "";
      size_t length = equals ? (size_t)(equals - words[i]) : 0;
      for (; equals && at < port_count; at++) {
        name = ports[at].name;
        if (strlen(name) == length && !strncmp(name, words[i], length)) break;
      }
      int named = equals && at < port_count;
      if (named != !pass) continue;
      if (!named)
        for (at = next; at < port_count && files[at]; at++) continue;
      if (at == port_count)
        stop(USAGE, "%s: the model has %d %ss; --info names them", words[i], port_count, kind);
      if (files[at]) stop(USAGE, "%s: %s %s is given twice", words[i], kind, name);
      files[at] = named ? equals + 1 : words[i];
      next = at + 1;
    }
}

/* Returns an input that is only timed: noise, or zeros where it may be an index. */
static struct array noise(const edgeopt_tensor *tensor) {
  struct array array = array_like(tensor);
  uint32_t state = 1;
  if (!strcmp(tensor->dtype, "float32"))
    for (size_t i = 0; i < tensor->bytes / 4; i++) {
      state = state * 1664525u + 1013904223u;
      ((float *)array.data)[i] = (float)(int32_t)state / 1073741824.0f;
    }
  return array;
}

/* Returns how many values are NaN or infinite: all bits of their exponent are set. */
static size_t count_odd(const struct array *array) {
  size_t size = item_bytes(array->dtype), count = 0;
  const unsigned char *last = (const unsigned char *)array->data + size - 1;
  int exponent = size == 2 ? 0x7c00 : size == 4 ? 0x7f80 : 0x7ff0;
  if (strncmp(array->dtype, "float", 5)) return 0;
  for (size_t at = 0; at < array->bytes; at += size)
    count += ((last[at] << 8 | last[at - 1]) & exponent) == exponent;
  return count;
}

/* An integer model would answer as if it had seen a number. */
static void need_finite(const char *path, const char *name, const struct array *array) {
  size_t odd = bundle.finite ? count_odd(array) : 0;
  if (odd)
    stop(USAGE, "%s: input %s: %zu of %zu values are NaN or infinite: a model on integers has no such numbers",
         path, name, odd, array->bytes / item_bytes(array->dtype));
}

void read_inputs(const struct face *face, const struct options *options, int any_shape,
                 struct array *inputs, struct seen *seen) {
  const char *files[MOST_PORTS] = {0};
  assign(options->inputs, options->input_count, face->inputs, face->input_count, "input", files);
  for (int32_t i = 0; i < face->input_count; i++) {
    const edgeopt_tensor *tensor = &face->inputs[i];
    if (!files[i]) inputs[i] = noise(tensor);
    else if (!options->each && is_picture(files[i]))
      inputs[i] = picture_input(files[i], tensor, options, &seen->picture, &seen->placement);
    else inputs[i] = npy_read(files[i], tensor, options->each, any_shape);
    if (files[i]) need_finite(files[i], tensor->name, &inputs[i]);
    if (options->each && inputs[i].shape[0] != inputs[0].shape[0])
      stop(USAGE, "%s: %lld samples, the other inputs have %lld", files[i],
           (long long)inputs[i].shape[0], (long long)inputs[0].shape[0]);
  }
}

void name_outputs(const struct face *face, const struct options *options, const char **files) {
  assign(options->outputs, options->output_count, face->outputs, face->output_count, "output", files);
}

void write_whole(const char *path, int (*put)(FILE *file, const void *content), const void *content) {
  char draft[MOST_PATH];
  int length = snprintf(draft, sizeof draft, "%s.%ld.tmp", path, (long)getpid());
  if (length < 0 || length >= MOST_PATH) stop(USAGE, "%s: a name too long", path);
  FILE *file = fopen(draft, "wb");
  if (!file) stop(USAGE, "%s: cannot be written: %s", path, strerror(errno));
  int whole = put(file, content);
  if (fclose(file) || !whole || rename(draft, path)) {
    int reason = errno;
    remove(draft);
    stop(USAGE, "%s: cannot be written: %s", path, strerror(reason));
  }
}

FILE *json_file(const char *path) {
  FILE *file = path && strcmp(path, "-") ? fopen(path, "wb") : stdout;
  if (!file) stop(USAGE, "%s: cannot be written", path);
  return file;
}
