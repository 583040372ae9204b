/* What outputs mean: as edgeopt_runner/answers.py has it. */
#ifndef EDGEOPT_ANSWER_H
#define EDGEOPT_ANSWER_H

#include "picture.h"
#include "session.h"

/* Channels of an output: `rows` of `count` numbers. */
struct view {
  const float *data;
  int64_t rows, channels, inner, start, count;
};

/* A class, and its probability or share. */
struct score {
  int64_t number;
  double value;
};

/* A box in pixels of the picture: left, top, right, bottom. */
struct found {
  float box[4];
  float score;
  int64_t number, row;
};

/* Where the keypoints of a box are: `count` of `size` numbers each. */
struct keypoints {
  const float *data;
  int64_t count, size;
};

struct answer {
  enum meaning meaning;
  struct placement placement;
  struct score *scores;   /* CLASSES: of all rows, one after the other; AREAS: the shares */
  int64_t *score_counts;  /* CLASSES: of each row */
  int64_t rows, score_count;
  struct found *found;    /* BOXES, the highest score first */
  float *points;          /* BOXES: keypoints of all, or NULL */
  int64_t found_count, point_count;
  int32_t *classes;       /* AREAS: of each pixel of the picture, -1 where none was seen */
  struct array vectors;   /* VECTORS: (rows, size) float32 */
};

/* Returns the values of an array in float32. */
const float *floats_of(const struct array *array);

/* Returns the output of a name; ends the program where the bundle names none of these. */
const struct array *named_output(const char *name, const struct face *face,
                                 const struct array *outputs);

/* Returns some channels of an output. */
struct view view_of(const struct columns *columns, const struct face *face,
                    const struct array *outputs);
float view_at(const struct view *view, int64_t row, int64_t channel);

/* Writes probabilities over values. */
void activate(float *values, int64_t count, enum activation activation);

/* Returns what the outputs mean. `top`: how many classes are told, 0 as the bundle says. */
struct answer answer_of(const struct face *face, const struct array *outputs,
                        const struct placement *placement, long top);

/* Returns the highest scores of an output, as they are. */
struct answer top_scores(const struct array *output, long top);

/* Fill in what a detector or a segmentation found. */
void detect(struct answer *answer, const struct face *face, const struct array *outputs);
/* The highest value first; of equal ones the lowest number. */
int by_value(const void *a, const void *b);

void segment(struct answer *answer, const struct face *face, const struct array *outputs);

/* Print an answer for people, or as JSON: the same numbers as run.py. */
void print_lines(FILE *out, const struct answer *answer);
void print_json(FILE *out, const struct answer *answer);

/* Draws boxes, or areas, on a picture. */
void draw(struct picture *picture, const struct answer *answer);

/* Writes classes as a .pgm, or vectors as a .npy. */
void write_result(const char *path, const struct answer *answer);

#endif
