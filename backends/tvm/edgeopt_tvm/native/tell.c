/* Answers as lines for people, and as JSON: as edgeopt_runner/tell.py. */
#include <math.h>
#include <string.h>

#include "answer.h"
#include "program.h"

enum { FIRST_VALUES = 6 };
static const float DEGREES = 57.29577951308232f;

/* Returns the name of a class; NULL where it has none. */
static const char *label_of(const struct answer *answer, int64_t number) {
  if (answer->meaning == AREAS && bundle.label_count == 1) number--; /* of one class: 1 is it */
  if (number < 0 || number >= bundle.label_count || !*bundle.labels[number]) return NULL;
  return bundle.labels[number];
}

/* Prints a class's number and name, as a terminal may have it. */
static void print_class(FILE *out, const struct answer *answer, int64_t number) {
  fprintf(out, "%lld", (long long)number);
  if (!bundle.label_count) return;
  const char *label = label_of(answer, number);
  fputs("  ", out);
  if (!label) fprintf(out, "%lld", (long long)number);
  for (; label && *label; label++) {
    unsigned char c = (unsigned char)*label;
    const char *known = c ? strchr("\tt\nn\rr", c) : NULL;
    if (known && c < 32) fprintf(out, "\\%c", known[1]);
    else if (c < 32 || c == 127) fprintf(out, "\\x%02x", c);
    else fputc(c, out);
  }
}

static void print_classes(FILE *out, const struct answer *answer) {
  const struct score *one = answer->scores;
  for (int64_t row = 0; row < answer->rows; row++) {
    if (answer->rows > 1) fprintf(out, "row %lld\n", (long long)row);
    for (int64_t rank = 1; rank <= answer->score_counts[row]; rank++, one++) {
      fprintf(out, "%3lld  %12.6g  ", (long long)rank, one->value);
      print_class(out, answer, one->number);
      fputc('\n', out);
    }
  }
}

static void print_boxes(FILE *out, const struct answer *answer) {
  if (!answer->found_count) fputs("nothing found\n", out);
  for (int64_t n = 0; n < answer->found_count; n++) {
    const struct found *one = &answer->found[n];
    fprintf(out, "%3lld  %8.6f  ", (long long)n + 1, (double)one->score);
    print_class(out, answer, one->number);
    fprintf(out, "  %.1f %.1f %.1f %.1f", (double)one->box[0], (double)one->box[1],
            (double)one->box[2], (double)one->box[3]);
    if (bundle.after.angles.output) fprintf(out, " %.1f degrees", (double)(one->angle * DEGREES));
    fputc('\n', out);
    if (!answer->points) continue;
    int64_t size = bundle.after.keypoint_size;
    const float *point = answer->points + n * answer->point_count * size;
    fputs("    ", out);
    for (int64_t i = 0; i < answer->point_count * size; i++)
      fprintf(out, "%s%.4g", i % size ? ":" : " ", (double)point[i]);
    fputc('\n', out);
  }
}

static void print_vectors(FILE *out, const struct answer *answer) {
  int64_t size = answer->vectors.shape[1];
  for (int64_t r = 0; r < answer->vectors.shape[0]; r++) {
    const float *row = (const float *)answer->vectors.data + r * size;
    double sum = 0;
    for (int64_t i = 0; i < size; i++) sum += (double)row[i] * (double)row[i];
    fprintf(out, "%lld numbers, length %.4f:", (long long)size, sqrt(sum));
    for (int64_t i = 0; i < size && i < FIRST_VALUES; i++) fprintf(out, " %.4f", (double)row[i]);
    fputs(size > FIRST_VALUES ? " \xe2\x80\xa6\n" : "\n", out);
  }
}

void print_lines(FILE *out, const struct answer *answer) {
  if (answer->meaning == CLASSES) print_classes(out, answer);
  if (answer->meaning == BOXES) print_boxes(out, answer);
  if (answer->meaning == VECTORS) print_vectors(out, answer);
  for (int64_t i = 0; answer->meaning == AREAS && i < answer->score_count; i++) {
    fprintf(out, "%7.2f%%  ", 100 * answer->scores[i].value);
    print_class(out, answer, answer->scores[i].number);
    fputc('\n', out);
  }
}

/* Writes a number that is the same when it is read again; JSON has no other. */
static void json_number(FILE *out, double value) {
  if (isfinite(value)) fprintf(out, "%.17g", value);
  else fputs(value != value ? "NaN" : value > 0 ? "Infinity" : "-Infinity", out);
}

static void json_class(FILE *out, const struct answer *answer, int64_t number, const char *name,
                       double value) {
  const char *label = label_of(answer, number);
  char digits[24];
  snprintf(digits, sizeof digits, "%lld", (long long)number);
  fprintf(out, "{\"class\": %s", digits);
  if (bundle.label_count) {
    fputs(", \"label\": ", out);
    json_text(out, label ? label : digits);
  }
  fprintf(out, ", \"%s\": ", name);
  json_number(out, value);
}

static void json_numbers(FILE *out, const float *values, int64_t count) {
  fputc('[', out);
  for (int64_t i = 0; i < count; i++) {
    if (i) fputs(", ", out);
    json_number(out, (double)values[i]);
  }
  fputc(']', out);
}

static void json_classes(FILE *out, const struct answer *answer) {
  const struct score *one = answer->scores;
  fputs("{\"kind\": \"classification\", \"rows\": [", out);
  for (int64_t row = 0; row < answer->rows; row++) {
    fputs(row ? ", [" : "[", out);
    for (int64_t rank = 0; rank < answer->score_counts[row]; rank++, one++) {
      if (rank) fputs(", ", out);
      json_class(out, answer, one->number, "probability", one->value);
      fputc('}', out);
    }
    fputc(']', out);
  }
  fputs("]}\n", out);
}

/* Writes how many pixels are out, in, out ... down the columns: COCO's uncompressed form. */
static void json_mask(FILE *out, const struct answer *answer) {
  const int64_t *size = answer->placement.picture;
  int64_t length = 0;
  int was_in = 0;
  fprintf(out, ", \"mask\": {\"size\": [%lld, %lld], \"counts\": [", (long long)size[0],
          (long long)size[1]);
  for (int64_t x = 0; x < size[1]; x++)
    for (int64_t y = 0; y < size[0]; y++, length++) {
      int is_in = is_masked(answer, y, x);
      if (is_in == was_in) continue;
      fprintf(out, "%lld, ", (long long)length);
      was_in = is_in;
      length = 0;
    }
  fprintf(out, "%lld]}", (long long)length);
}

static void json_box(FILE *out, const struct found *one) {
  int is_rotated = bundle.after.angles.output != NULL;
  fputs(is_rotated ? ", \"middle\": " : ", \"box\": ", out);
  json_numbers(out, one->box, is_rotated ? 2 : 4);
  if (!is_rotated) return;
  fputs(", \"size\": ", out);
  json_numbers(out, one->box + 2, 2);
  fputs(", \"angle\": ", out);
  json_number(out, (double)one->angle);
}

static void json_object(FILE *out, const struct answer *answer, int64_t n) {
  const struct found *one = &answer->found[n];
  json_class(out, answer, one->number, "score", (double)one->score);
  json_box(out, one);
  if (answer->masks.prototypes && make_mask(answer, one)) json_mask(out, answer);
  int64_t size = bundle.after.keypoint_size;
  if (answer->points) fputs(", \"keypoints\": [", out);
  for (int64_t p = 0; answer->points && p < answer->point_count; p++) {
    if (p) fputs(", ", out);
    json_numbers(out, answer->points + (n * answer->point_count + p) * size, size);
  }
  fputs(answer->points ? "]}" : "}", out);
}

void print_json(FILE *out, const struct answer *answer) {
  if (answer->meaning == CLASSES) {
    json_classes(out, answer);
    return;
  }
  if (answer->meaning == VECTORS) {
    fputs("{\"kind\": \"embedding\", \"rows\": [", out);
    int64_t size = answer->vectors.shape[1];
    for (int64_t r = 0; r < answer->vectors.shape[0]; r++) {
      if (r) fputs(", ", out);
      json_numbers(out, (const float *)answer->vectors.data + r * size, size);
    }
    fputs("]}\n", out);
    return;
  }
  int are_boxes = answer->meaning == BOXES;
  fprintf(out, "{\"kind\": \"%s\", \"width\": %lld, \"height\": %lld, \"%s\": [",
          are_boxes ? "detection" : "segmentation", (long long)answer->placement.picture[1],
          (long long)answer->placement.picture[0], are_boxes ? "objects" : "areas");
  int64_t count = are_boxes ? answer->found_count : answer->score_count;
  for (int64_t n = 0; n < count; n++) {
    fputs(n ? ",\n " : "\n ", out);
    if (are_boxes) json_object(out, answer, n);
    else {
      json_class(out, answer, answer->scores[n].number, "share", answer->scores[n].value);
      fputc('}', out);
    }
  }
  fputs("]}\n", out);
}
