/* A picture in another size. */
#ifndef RESIZE_H
#define RESIZE_H

#include <stdint.h>

#include "picture.h"

typedef $sample sample; /* of a resized picture */

/* Returns (rows, columns, PICTURE_CHANNELS), to be freed; NULL without memory. */
sample *resize_picture(const uint8_t *pixels, int64_t height, int64_t width, int64_t rows,
                       int64_t columns);

#endif
