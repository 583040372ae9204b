/* What the bundle says of its programs; `bundle.c` is generated. */
#ifndef EDGEOPT_BUNDLE_H
#define EDGEOPT_BUNDLE_H

#include <stddef.h>
#include <stdint.h>

/* A value that is kept from call to call. */
struct state {
  const char *name, *dtype;
  const int64_t *shape;
  int32_t ndim;
  size_t bytes;
  const unsigned char *initial; /* NULL: zeros */
};

/* A program: a method of the model, for inputs of one shape. */
struct entry {
  int32_t program, method;
  const int32_t *reads, *writes; /* of each input, or output: the state that it is, or -1; NULL: none */
  uint32_t pads;                 /* bits of the axes along which zeros may fill inputs up */
  int32_t splits;                /* whether rows may be computed in turns */
};

enum meaning { NOTHING, CLASSES, BOXES, AREAS, VECTORS };
enum activation { PLAIN, SIGMOID, SOFTMAX };
enum box_format { XYXY, XYWH, CXCYWH, YXYX };
enum background { NO_BACKGROUND, FIRST, LAST };
enum values { SCORES, NUMBERS, BINARY };
enum pooling { NO_POOLING, MEAN, FIRST_TOKEN };

/* Some channels of an output; `output` is NULL where there are none. */
struct columns {
  const char *output;
  int32_t start, count, axis;
};

/* What the outputs of the first method mean: the manifest's `postprocess`. */
struct after {
  enum meaning meaning;
  const char *output; /* of all but boxes */
  enum activation activation;
  int32_t axis, top;
  double threshold;
  struct columns boxes, scores, classes, keypoints, angles, masks;
  const char *prototypes; /* the output of those that masks are coefficients of */
  enum box_format format;
  enum background background;
  int32_t keypoint_size, normalized, nms, most, agnostic;
  double confidence, iou;
  enum values values;
  int32_t nearest;
  enum pooling pooling;
  int32_t unit; /* whether a vector gets length 1 */
};

/* How a picture becomes an input: the manifest's `preprocess`, as far as it is done here. */
struct before {
  const char *input; /* NULL: it is not said */
  const char *fit;   /* NULL: as run.py alone does it */
  int32_t fill;
  int32_t channels_first; /* -1: as the shape says */
};

struct bundle {
  const char *digest; /* of the programs that this is said of */
  const char *const *methods;
  const struct entry *entries;
  const struct state *states;
  const char *const *labels;
  int32_t method_count, entry_count, state_count, label_count;
  int32_t finite; /* whether inputs that are NaN or infinite are refused: integers have no such numbers */
  struct before before;
  struct after after;
};

extern const struct bundle bundle;            /* bundle.c */
extern const unsigned char bundle_states[]; /* states.S */

#endif
