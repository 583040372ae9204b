#include "files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *failed(const char *path, const char *why, FILE *file) {
  fprintf(stderr, "%s: %s\n", path, why);
  if (file) fclose(file);
  return NULL;
}

/* Reads `bytes` bytes, after which the file must end. */
static void *rest_of(const char *path, FILE *file, size_t bytes) {
  unsigned char *content = malloc(bytes + 1);
  size_t size = content ? fread(content, 1, bytes + 1, file) : 0;
  fclose(file);
  if (content && size == bytes) return content;
  free(content);
  return failed(path, content ? "of another size than expected" : "no memory", NULL);
}

void *read_npy(const char *path, size_t bytes) {
  FILE *file = fopen(path, "rb");
  unsigned char head[10];
  if (!file) return failed(path, "cannot be opened", NULL);
  if (fread(head, 1, sizeof head, file) != sizeof head || memcmp(head, "\x93NUMPY\x01", 7))
    return failed(path, "not a .npy file of version 1", file);
  if (fseek(file, head[8] | head[9] << 8, SEEK_CUR)) return failed(path, "cannot be read", file);
  return rest_of(path, file, bytes);
}

/* Reads a number of a picture's header, behind space and comments; -1 where there is none. */
static int64_t header_number(FILE *file) {
  int c = getc(file), is_comment = 0;
  int64_t value = 0, digits = 0;
  while (is_comment || c == '#' || c == ' ' || c == '\t' || c == '\r' || c == '\n') {
    if (c == EOF) return -1;
    is_comment = c == '#' || (is_comment && c != '\n');
    c = getc(file);
  }
  for (; c >= '0' && c <= '9' && digits < 9; c = getc(file), digits++) value = value * 10 + (c - '0');
  return digits ? value : -1;
}

uint8_t *read_picture(const char *path, int channels, int64_t *height, int64_t *width) {
  FILE *file = fopen(path, "rb");
  char head[2];
  if (!file) return failed(path, "cannot be opened", NULL);
  if (fread(head, 1, 2, file) != 2 || head[0] != 'P' || head[1] != (channels == 3 ? '6' : '5'))
    return failed(path, channels == 3 ? "not a binary .ppm" : "not a binary .pgm", file);
  *width = header_number(file), *height = header_number(file);
  if (header_number(file) != 255 || *width < 1 || *height < 1 || *width > (INT64_C(1) << 27) / *height)
    return failed(path, "expected 8 bits a channel, and at most 134 million pixels", file);
  return rest_of(path, file, (size_t)(*height * *width * channels));
}
