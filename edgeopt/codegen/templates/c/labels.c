#include "answer.h"

#include <stddef.h>

const char *const answer_labels[] = {
$labels    NULL};
