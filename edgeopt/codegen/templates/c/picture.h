/* From a picture to the model's input: resize, letterbox or crop, then (pixel * scale - mean) / std. */
#ifndef PICTURE_H
#define PICTURE_H

#include <stdint.h>

#include "placement.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PICTURE_INPUT $input_index /* which of the model's inputs it is */
#define PICTURE_CHANNELS $source_channels /* of the pixels that are given: 3 is RGB, 1 is grey */
#define PICTURE_CELLS $cells /* numbers that the input holds */
typedef $input_type picture_cell;

/* Fills `input` from `pixels`, (height, width, PICTURE_CHANNELS). Returns 0; -1: too large, or no memory. */
int picture_prepare(const uint8_t *pixels, int64_t height, int64_t width, picture_cell *input,
                    placement *place);

#ifdef __cplusplus
}
#endif
#endif
