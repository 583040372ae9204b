/* What the outputs mean, with the numbers of the bundle's run.py. */
#ifndef ANSWER_H
#define ANSWER_H

#include <stdint.h>

#include "model.h"
#include "placement.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ANSWER_LABELS $labels
extern const char *const answer_labels[]; /* labels.c */

$declarations
/* Returns number `index` of an array of numpy's type `dtype`. */
double answer_number(const void *values, const char *dtype, int64_t index);

/* Turns `count` scores into probabilities, as the bundle says. */
void answer_activate(float *scores, int64_t count);

/* Returns the name of a class; "" where it has none. */
const char *answer_label(int64_t number);

/* Prints the name of a class, or its number where it has none; nothing where no class has one. */
void answer_print_name(int64_t number, int64_t label);

/* Returns the placement of a picture that is the input itself. */
placement answer_whole(void);

/* Prints what the outputs of one run mean. Returns 0; -1 without memory, or where they are NaN. */
int answer_print(void *const *outputs, const placement *place);

#ifdef __cplusplus
}
#endif
#endif
