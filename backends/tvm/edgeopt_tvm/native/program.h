/* What the files of the program `run` share. */
#ifndef EDGEOPT_PROGRAM_H
#define EDGEOPT_PROGRAM_H

#include <stdint.h>
#include <stdio.h>

#include "edgeopt_model.h"

/* Exit statuses, those of run.py. */
enum { OK = 0, WRONG = 1, USAGE = 2 };
enum { MOST_FILES = 256 };

struct options {
  const char *inputs[MOST_FILES], *outputs[MOST_FILES]; /* [NAME=]FILE */
  const char *json;
  int input_count, output_count;
  int each, benchmark, profile, info, help;
  const char *fit; /* "letterbox", "stretch", or NULL: a picture must have the model's size */
  long fill;       /* pixel around a letterbox */
  long top, threads, runs, warmup; /* warmup < 0: until the times are stable */
  double max_seconds;
};

/* Prints to standard error and ends the program. */
_Noreturn void stop(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Returns memory that starts at a multiple of 64; ends the program where there is none. */
void *room(size_t bytes);

struct options read_options(int count, char **words);
extern const char usage[];

/* Returns the content of a .npy file, which must hold `count` arrays like `tensor` along a first
 * axis of their own; with *count == 0, just one. With *count < 0 the file says how many. */
void *npy_read(const char *path, const edgeopt_tensor *tensor, int64_t *count);

/* Returns whether a file is a picture: a binary PPM or PGM. */
int is_picture(const char *path);

/* Returns its pixels in the size of `tensor`, which must take uint8 (1, height, width, channels). */
void *picture_read(const char *path, const edgeopt_tensor *tensor, const struct options *options);

/* Writes the file, whole or not at all. `count` as above. */
void npy_write(const char *path, const edgeopt_tensor *tensor, int64_t count, const void *data);

/* Runs the model once; ends the program where it fails. */
void run_once(edgeopt_model *model, const void *const *inputs, void *const *outputs);

/* Writes times and facts as JSON. */
void write_benchmark(FILE *out, edgeopt_model *model, const struct options *options,
                     const void *const *inputs, void *const *outputs, int given, int64_t load_ns);

int64_t clock_ns(void);
void json_text(FILE *out, const char *text);

/* Write members of a JSON object: what the device is, and what it is doing now. */
void write_device(FILE *out);
void write_state(FILE *out);
long peak_memory_kb(void);

#endif
