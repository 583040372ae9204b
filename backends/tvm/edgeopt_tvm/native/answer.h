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

/* An area of numbers: that of a cell lies at row * step[0] + column * step[1]. */
struct cells {
  const float *data;
  int64_t size[2]; /* height and width */
  size_t step[2];
};

/* Where a pixel lies among the cells of an axis: the two around it, the nearest, the second's share. */
struct spot {
  size_t before, after, nearest;
  double share;
  int is_seen;
};

/* A class, and its probability or share. */
struct score {
  int64_t number;
  double value;
};

/* A box in pixels of the picture: left, top, right, bottom; of a rotated one middle, width, height. */
struct found {
  float box[4];
  float inside[4]; /* the same in pixels of the input */
  float score, angle;
  int64_t number, row;
};

/* What masks of boxes are made of. */
struct masks {
  struct view coefficients;
  struct cells values;   /* of one box: coefficients times prototypes */
  const float *prototypes; /* NULL: there are no masks */
  int32_t *nearest[2];   /* to each row, or column, of the picture the one of the input */
  unsigned char *inside; /* of one box: the mask in pixels of the input */
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
  struct masks masks;     /* BOXES: without prototypes where there are none */
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

/* Returns where the first of these channels of a row is; each next one lies `inner` numbers on. */
const float *view_row(const struct view *view, int64_t row);

/* Returns the cells around a place along an axis, and the nearest one. */
struct spot spot_at(double place, int64_t cells);

/* Returns the number between cells, those that lie `offset` numbers on: columns first, then rows. */
double sampled(const struct cells *cells, const struct spot *row, const struct spot *column,
               size_t offset);

/* Returns whether a number can be a class: neither NaN nor beyond 32 bits. */
static inline int is_class(float value) { return value > -2147483648.0f && value < 2147483648.0f; }

/* Returns an index that there is. */
int64_t between(int64_t value, int64_t size);

/* As numpy's: a NaN stays one. */
static inline float larger(float a, float b) { return a != a ? a : b != b || b > a ? b : a; }
static inline float lesser(float a, float b) { return a != a ? a : b != b || b < a ? b : a; }

/* Writes probabilities over values. */
void activate(float *values, int64_t count, enum activation activation);

/* Returns what the outputs mean. `top`: how many classes are told, 0 as the bundle says. */
struct answer answer_of(const struct face *face, const struct array *outputs,
                        const struct placement *placement, long top);

/* Returns the highest scores of an output, as they are. */
struct answer top_scores(const struct array *output, long top);

/* Fill in what a detector or a segmentation found. */
void detect(struct answer *answer, const struct face *face, const struct array *outputs);
void segment(struct answer *answer, const struct face *face, const struct array *outputs);

/* Thins out sorted boxes. Returns how many stay, which come first. */
int64_t suppress(struct found *found, int64_t count);

/* Reads what masks are made of, and leaves out the boxes that have no pixel. */
void read_masks(struct answer *answer, const struct face *face, const struct array *outputs);

/* Makes the mask of a box, `masks.inside`. Returns whether it has any pixel. */
int make_mask(const struct answer *answer, const struct found *one);

/* Returns whether a pixel of the picture is in the mask that was made last. */
int is_masked(const struct answer *answer, int64_t row, int64_t column);

/* The highest value first; of equal ones the lowest number. */
int by_value(const void *a, const void *b);

/* Print an answer for people, or as JSON: the same numbers as run.py. */
void print_lines(FILE *out, const struct answer *answer);
void print_json(FILE *out, const struct answer *answer);

/* Draws boxes, masks or areas on a picture. */
void draw(struct picture *picture, const struct answer *answer);

/* Writes classes as a .pgm, or vectors as a .npy. */
void write_result(const char *path, const struct answer *answer);

#endif
