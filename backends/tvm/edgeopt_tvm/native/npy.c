/* Reads and writes arrays as numpy's .npy files, after checking every word of their headers. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "program.h"

enum { MAGIC = 6, MOST_HEADER = 4096 };

static const char *const descriptions[][2] = {
    {"float32", "<f4"}, {"float64", "<f8"}, {"float16", "<f2"}, {"int8", "|i1"},
    {"uint8", "|u1"},   {"int16", "<i2"},   {"uint16", "<u2"},  {"int32", "<i4"},
    {"uint32", "<u4"},  {"int64", "<i8"},   {"uint64", "<u8"},  {"bool", "|b1"}};

static const char *description(const char *dtype) {
  for (size_t i = 0; i < sizeof descriptions / sizeof *descriptions; i++)
    if (!strcmp(dtype, descriptions[i][0])) return descriptions[i][1];
  return "?";
}

/* Returns what follows `key` in the header. */
static const char *after(const char *path, const char *header, const char *key) {
  const char *at = strstr(header, key);
  if (!at) stop(USAGE, "%s: not a .npy file: its header lacks %s", path, key);
  at += strlen(key);
  while (*at == ' ' || *at == ':') at++;
  return at;
}

static void print_shape(char *text, size_t size, const int64_t *shape, int count) {
  size_t used = (size_t)snprintf(text, size, "(");
  for (int i = 0; i < count && used < size; i++)
    used += (size_t)snprintf(text + used, size - used, "%lld%s", (long long)shape[i],
                             count == 1 ? "," : i + 1 < count ? ", " : "");
  if (used < size) snprintf(text + used, size - used, ")");
}

static int read_shape(const char *path, const char *at, int64_t *shape, int most) {
  int count = 0;
  if (*at++ != '(') stop(USAGE, "%s: not a .npy file: no shape in its header", path);
  for (;;) {
    while (*at == ' ' || *at == ',') at++;
    if (*at == ')') return count;
    char *end;
    errno = 0;
    long long value = strtoll(at, &end, 10);
    if (errno || end == at || value < 0 || count == most)
      stop(USAGE, "%s: not a .npy file: an odd shape in its header", path);
    shape[count++] = value;
    at = end;
  }
}

/* Checks the header's three entries, and the shape against the tensor's unless any will do. Returns an
 * array without data. */
static struct array check(const char *path, const char *header, const edgeopt_tensor *tensor,
                          int each, int any_shape) {
  const char *descr = after(path, header, "'descr'"), *wanted = description(tensor->dtype);
  size_t length = strlen(wanted);
  if (*descr != '\'' || strncmp(descr + 1, wanted, length) || descr[1 + length] != '\'')
    stop(USAGE, "%s: input %s: dtype %.*s, expected '%s' (%s)", path, tensor->name,
         (int)strcspn(descr, ",}\n"), descr, wanted, tensor->dtype);
  if (strncmp(after(path, header, "'fortran_order'"), "False", 5))
    stop(USAGE, "%s: its columns come first; save numpy.ascontiguousarray(x)", path);
  struct array array = {.dtype = tensor->dtype};
  array.ndim = read_shape(path, after(path, header, "'shape'"), array.shape, MOST_AXES);
  if (any_shape ? array.ndim < each
                : array.ndim != tensor->ndim + each ||
                      memcmp(array.shape + each, tensor->shape,
                             sizeof *array.shape * (size_t)tensor->ndim)) {
    char got[256], want[256];
    print_shape(got, sizeof got, array.shape, array.ndim);
    print_shape(want, sizeof want, tensor->shape, tensor->ndim);
    stop(USAGE, "%s: input %s: shape %s, expected %s%s", path, tensor->name, got,
         each ? "samples times " : "", want);
  }
  if (each && array.shape[0] == 0) stop(USAGE, "%s: no samples", path);
  array.bytes = item_bytes(array.dtype);
  for (int32_t i = 0; i < array.ndim; i++)
    if (__builtin_mul_overflow(array.bytes, (size_t)array.shape[i], &array.bytes) ||
        array.bytes > SIZE_MAX / 2)
      stop(USAGE, "%s: ends early", path);
  return array;
}

/* Reads the header's text, which ends with a newline. */
static void read_header(const char *path, FILE *file, char *text) {
  unsigned char head[MAGIC + 6];
  if (fread(head, 1, MAGIC + 4, file) != MAGIC + 4 || memcmp(head, "\x93NUMPY", MAGIC) ||
      head[MAGIC] < 1 || head[MAGIC] > 3)
    stop(USAGE, "%s: not a .npy file", path);
  size_t length = head[MAGIC + 2] | (size_t)head[MAGIC + 3] << 8;
  if (head[MAGIC] > 1) {
    if (fread(head + MAGIC + 4, 1, 2, file) != 2) stop(USAGE, "%s: ends in its header", path);
    length |= (size_t)head[MAGIC + 4] << 16 | (size_t)head[MAGIC + 5] << 24;
  }
  if (length > MOST_HEADER) stop(USAGE, "%s: a header of %zu bytes", path, length);
  if (fread(text, 1, length, file) != length) stop(USAGE, "%s: ends in its header", path);
  text[length] = 0;
  if (strlen(text) != length) stop(USAGE, "%s: not a .npy file: a zero in its header", path);
}

/* Ends the program where a plain file holds less than `bytes` more, before memory is asked for. */
static void need_bytes(const char *path, FILE *file, size_t bytes) {
  struct stat info;
  long at = ftell(file);
  if (at < 0 || fstat(fileno(file), &info) || !S_ISREG(info.st_mode)) return;
  if ((uint64_t)info.st_size < (uint64_t)at + bytes) stop(USAGE, "%s: ends early", path);
}

struct array npy_read(const char *path, const edgeopt_tensor *tensor, int each, int any_shape) {
  char header[MOST_HEADER + 1];
  FILE *file = fopen(path, "rb");
  if (!file) stop(USAGE, "%s: %s", path, strerror(errno));
  read_header(path, file, header);
  struct array array = check(path, header, tensor, each, any_shape);
  need_bytes(path, file, array.bytes);
  array.data = room(array.bytes);
  if (fread(array.data, 1, array.bytes, file) != array.bytes) stop(USAGE, "%s: ends early", path);
  if (fgetc(file) != EOF) stop(USAGE, "%s: longer than its header says", path);
  fclose(file);
  return array;
}

static int put(FILE *file, const struct array *array) {
  char text[MOST_HEADER] = {0}, shape[1024];
  print_shape(shape, sizeof shape, array->shape, array->ndim);
  int used = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }",
                      description(array->dtype), shape);
  int length = (used + 1 + MAGIC + 4 + 63) / 64 * 64 - MAGIC - 4;
  memset(text + used, ' ', (size_t)(length - used));
  text[length - 1] = '\n';
  unsigned char head[] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, length & 255, length >> 8};
  return fwrite(head, 1, sizeof head, file) == sizeof head &&
         fwrite(text, 1, (size_t)length, file) == (size_t)length &&
         fwrite(array->data, 1, array->bytes, file) == array->bytes;
}

static int put_array(FILE *file, const void *array) { return put(file, array); }

void npy_write(const char *path, const struct array *array) { write_whole(path, put_array, array); }
