/* Reads the files of main and check: arrays (.npy) and raw pictures (binary .ppm and .pgm). */
#ifndef FILES_H
#define FILES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Returns `bytes` bytes of the array in a .npy file of version 1, to be freed; NULL, and says why on stderr. */
void *read_npy(const char *path, size_t bytes);

/* Returns the pixels, (height, width, channels), to be freed; NULL, and says why on stderr. */
uint8_t *read_picture(const char *path, int channels, int64_t *height, int64_t *width);

#ifdef __cplusplus
}
#endif
#endif
