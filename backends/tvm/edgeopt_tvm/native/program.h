/* What the files of the program `run` share. */
#ifndef EDGEOPT_PROGRAM_H
#define EDGEOPT_PROGRAM_H

#include <stdint.h>
#include <stdio.h>

#include "array.h"
#include "picture.h"
#include "session.h"

/* Exit statuses, those of run.py. */
enum { OK = 0, WRONG = 1, USAGE = 2 };
enum { MOST_FILES = 256 };

struct options {
  const char *inputs[MOST_FILES], *outputs[MOST_FILES]; /* [NAME=]FILE */
  const char *json, *method, *draw, *result;
  int input_count, output_count;
  int each, benchmark, profile, info, help;
  const char *fit; /* "letterbox", "stretch", or NULL: as the bundle says */
  long fill;       /* pixel around a letterbox; < 0: as the bundle says */
  long program; /* run alone, from 1 on; 0: as the method says */
  long top, threads, runs, warmup; /* warmup < 0: until the times are stable */
  double max_seconds;
};

/* Prints to standard error and ends the program. */
_Noreturn void stop(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct options read_options(int count, char **words);
extern const char usage[];

/* Returns the array of a .npy file, which must be like `tensor`: with `each` along a first axis of its
 * own, with `any_shape` in its dtype only. */
struct array npy_read(const char *path, const edgeopt_tensor *tensor, int each, int any_shape);

/* Writes the file, whole or not at all. */
void npy_write(const char *path, const struct array *array);

/* Writes a file through `put`, which returns whether it could: whole or not at all. */
void write_whole(const char *path, int (*put)(FILE *file, const void *content), const void *content);

/* What is known of a picture that was read: no pixels where there was none. */
struct seen {
  struct picture picture;
  struct placement placement;
};

/* Reads the inputs of `face` from the files that were named; noise where none is and times are asked for. */
void read_inputs(const struct face *face, const struct options *options, int any_shape,
                 struct array *inputs, struct seen *seen);

/* Finds the file that was named for each output; NULL where none was. */
void name_outputs(const struct face *face, const struct options *options, const char **files);

/* Prints what the programs are. */
int print_info(void);

/* Returns whether a file is a picture: a binary PPM or PGM. */
int is_picture(const char *path);

/* Returns its pixels in the size of `tensor`, which must take uint8 (1, height, width, channels); the
 * picture itself, and where it lies in the input. */
struct array picture_input(const char *path, const edgeopt_tensor *tensor,
                           const struct options *options, struct picture *picture,
                           struct placement *placement);

/* Runs the model once; ends the program where it fails. */
void run_once(edgeopt_model *model, const void *const *inputs, void *const *outputs);

/* Measures one program on its inputs; writes times and facts as JSON. */
void benchmark(const struct entry *entry, const struct array *inputs, const struct options *options);

/* Opens a file for JSON: standard output where none, or `-`, is named. */
FILE *json_file(const char *path);

int64_t clock_ns(void);
void json_text(FILE *out, const char *text);

/* Write members of a JSON object: what the device is, and what it is doing now. */
void write_device(FILE *out);
void write_state(FILE *out);
long peak_memory_kb(void);

#endif
