/* Pictures, and where they lie in an input. */
#ifndef EDGEOPT_PICTURE_H
#define EDGEOPT_PICTURE_H

#include <stdint.h>
#include <stdio.h>

struct picture {
  int64_t height, width, channels;
  unsigned char *pixels;
};

/* Input = picture * gain + offset, in pixels; rows before columns. */
struct placement {
  int64_t picture[2], input[2], offset[2];
  double gain[2];
};

/* Writes a binary PPM, whole or not at all. */
void picture_write(const char *path, const struct picture *picture);

#endif
