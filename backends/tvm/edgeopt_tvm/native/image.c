/* Reads a picture (binary PPM or PGM) for a model that takes pixels, (1, height, width, channels) uint8,
 * and brings it to the model's size: the same pixels as run.py's with antialias=False, which are OpenCV's
 * bilinear resize in fixed point, columns first, then rows. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"

/* A product and a sum are rounded one after the other, as numpy does. */
#pragma STDC FP_CONTRACT OFF

enum { MOST_PIXELS = 1 << 27, WEIGHT = 2048 };

/* Where each new pixel of an axis lies: the two old ones, and the weight of the second. */
struct place {
  int64_t first, second;
  int32_t one, other;
};

int is_picture(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) stop(USAGE, "%s: %s", path, strerror(errno));
  int first = fgetc(file), second = fgetc(file);
  fclose(file);
  return first == 'P' && (second == '5' || second == '6');
}

/* Returns the next number of the header; comments go from # to the end of a line. */
static int64_t number(const char *path, FILE *file) {
  int c = fgetc(file);
  while (isspace(c) || c == '#') {
    if (c == '#')
      while (c != '\n' && c != EOF) c = fgetc(file);
    c = fgetc(file);
  }
  int64_t value = 0;
  if (!isdigit(c)) stop(USAGE, "%s: not a picture: an odd header", path);
  for (; isdigit(c); c = fgetc(file)) {
    value = 10 * value + (c - '0');
    if (value > MOST_PIXELS) stop(USAGE, "%s: a picture too large", path);
  }
  if (!isspace(c)) stop(USAGE, "%s: not a picture: an odd header", path);
  return value;
}

static struct picture read_picture(const char *path) {
  struct picture picture;
  FILE *file = fopen(path, "rb");
  if (!file) stop(USAGE, "%s: %s", path, strerror(errno));
  fgetc(file);
  picture.channels = fgetc(file) == '6' ? 3 : 1;
  picture.width = number(path, file);
  picture.height = number(path, file);
  if (number(path, file) != 255) stop(USAGE, "%s: pixels of another depth than 8 bits", path);
  if (picture.width < 1 || picture.height < 1) stop(USAGE, "%s: the picture is empty", path);
  if (picture.width > MOST_PIXELS / picture.height) stop(USAGE, "%s: a picture too large", path);
  size_t bytes = (size_t)(picture.width * picture.height * picture.channels);
  picture.pixels = room(bytes);
  if (fread(picture.pixels, 1, bytes, file) != bytes) stop(USAGE, "%s: ends early", path);
  if (fgetc(file) != EOF) stop(USAGE, "%s: longer than its header says", path);
  fclose(file);
  return picture;
}

static int64_t within(int64_t value, int64_t size) {
  return value < 0 ? 0 : value >= size ? size - 1 : value;
}

/* Returns the places of `count` new pixels among `size` old ones. At the ends of a row one pixel has all
 * the weight; of a column both have, and are the same. */
static struct place *places(int64_t size, int64_t count, int row) {
  struct place *result = room(sizeof *result * (size_t)count);
  double scale = (double)size / (double)count;
  for (int64_t i = 0; i < count; i++) {
    float at = (float)(((double)i + 0.5) * scale - 0.5);
    int64_t before = (int64_t)floorf(at);
    float beyond = at - (float)before;
    if (row && (before < 0 || before >= size - 1)) beyond = 0;
    result[i].first = within(before, size);
    result[i].second = within(before + 1, size);
    result[i].one = (int32_t)rintf((1.0f - beyond) * WEIGHT);
    result[i].other = (int32_t)rintf(beyond * WEIGHT);
  }
  return result;
}

/* Writes one old row in its new width: sums of 19 bits, less four. */
static void widen(const unsigned char *row, int64_t channels, const struct place *columns,
                  int64_t width, int32_t *sums) {
  for (int64_t x = 0; x < width; x++)
    for (int64_t c = 0; c < channels; c++)
      *sums++ = (row[columns[x].first * channels + c] * columns[x].one +
                 row[columns[x].second * channels + c] * columns[x].other) >> 4;
}

/* Resizes into the rectangle that starts at `to`; a row there has `stride` bytes. */
static void resize(const struct picture *from, unsigned char *to, int64_t height, int64_t width,
                   int64_t stride) {
  struct place *rows = places(from->height, height, 0), *columns = places(from->width, width, 1);
  int64_t count = width * from->channels, line = from->width * from->channels;
  int32_t *sums[2] = {room(sizeof(int32_t) * (size_t)count), room(sizeof(int32_t) * (size_t)count)};
  for (int64_t y = 0; y < height; y++, to += stride) {
    widen(from->pixels + rows[y].first * line, from->channels, columns, width, sums[0]);
    widen(from->pixels + rows[y].second * line, from->channels, columns, width, sums[1]);
    for (int64_t i = 0; i < count; i++) {
      int32_t value = ((sums[0][i] * rows[y].one) >> 16) + ((sums[1][i] * rows[y].other) >> 16);
      value = (value + 2) >> 2;
      to[i] = (unsigned char)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
  }
  free(sums[0]);
  free(sums[1]);
  free(rows);
  free(columns);
}

static int64_t least_one(double value) { return value < 1 ? 1 : (int64_t)value; }

/* Fits the picture into the model's input, the ratio kept and `fill` around it where that is asked for. */
static void fit(const struct picture *from, unsigned char *to, int64_t height, int64_t width,
                const char *how, int fill, struct placement *placement) {
  int64_t rows = height, columns = width, top = 0, left = 0, line = width * from->channels;
  if (!strcmp(how, "letterbox")) {
    double down = (double)height / (double)from->height, across = (double)width / (double)from->width;
    double ratio = down < across ? down : across;
    rows = least_one(rint((double)from->height * ratio));
    columns = least_one(rint((double)from->width * ratio));
    top = (int64_t)rint((double)(height - rows) / 2 - 0.1);
    left = (int64_t)rint((double)(width - columns) / 2 - 0.1);
    memset(to, fill, (size_t)(height * line));
  }
  resize(from, to + top * line + left * from->channels, rows, columns, line);
  placement->gain[0] = (double)rows / (double)from->height;
  placement->gain[1] = (double)columns / (double)from->width;
  placement->offset[0] = top;
  placement->offset[1] = left;
}

struct array picture_input(const char *path, const edgeopt_tensor *tensor,
                           const struct options *options, struct picture *picture,
                           struct placement *placement) {
  if (strcmp(tensor->dtype, "uint8") || tensor->ndim != 4 || tensor->shape[0] != 1)
    stop(USAGE, "%s: input %s takes no pixels; run.py --image prepares them", path, tensor->name);
  *picture = read_picture(path);
  int64_t height = tensor->shape[1], width = tensor->shape[2];
  if (picture->channels != tensor->shape[3])
    stop(USAGE, "%s: %lld channels, input %s takes %lld", path, (long long)picture->channels,
         tensor->name, (long long)tensor->shape[3]);
  struct placement here = {{picture->height, picture->width}, {height, width}, {0, 0}, {1, 1}};
  *placement = here;
  struct array array = array_like(tensor);
  const char *how = options->fit ? options->fit : bundle.before.fit;
  int fill = options->fill >= 0 ? (int)options->fill : bundle.before.fill;
  if (picture->height == height && picture->width == width)
    memcpy(array.data, picture->pixels, array.bytes);
  else if (how) fit(picture, array.data, height, width, how, fill, placement);
  else
    stop(USAGE, "%s: %lld x %lld pixels, the model takes %lld x %lld: --fit letterbox or stretch",
         path, (long long)picture->width, (long long)picture->height, (long long)width,
         (long long)height);
  return array;
}

static int put_picture(FILE *file, const void *content) {
  const struct picture *picture = content;
  size_t bytes = (size_t)(picture->width * picture->height * picture->channels);
  return fprintf(file, "P%c\n%lld %lld\n255\n", picture->channels == 3 ? '6' : '5',
                 (long long)picture->width, (long long)picture->height) > 0 &&
         fwrite(picture->pixels, 1, bytes, file) == bytes;
}

void picture_write(const char *path, const struct picture *picture) {
  write_whole(path, put_picture, picture);
}
