/* Where a picture lies in the input. */
#ifndef PLACEMENT_H
#define PLACEMENT_H

#include <stdint.h>

/* input = picture * gain + offset; rows before columns. */
typedef struct {
  int64_t picture[2], input[2], offset[2];
  double gain[2];
} placement;

#endif
