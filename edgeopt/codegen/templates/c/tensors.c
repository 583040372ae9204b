#include "model.h"

const model_tensor model_inputs[] = {
$input_rows    {NULL, NULL, 0, {0}, 0}};

const model_tensor model_outputs[] = {
$output_rows    {NULL, NULL, 0, {0}, 0}};
