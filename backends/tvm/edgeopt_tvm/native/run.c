/* The program: files in, files out, without Python. */
#include <stdlib.h>
#include <string.h>

#include "program.h"

void run_once(edgeopt_model *model, const void *const *inputs, void *const *outputs) {
  if (edgeopt_run(model, inputs, outputs)) stop(WRONG, "the model failed: %s", edgeopt_error(model));
}

/* Runs all samples, with the state from one to the next; outputs are stacked. */
static void run_each(struct session *session, struct choice choice, const struct face *face,
                     const struct array *inputs, struct array *outputs) {
  struct array given[MOST_PORTS], made[MOST_PORTS];
  int64_t samples = face->input_count ? inputs[0].shape[0] : 0;
  if (!samples) stop(USAGE, "--each needs an input");
  memset(outputs, 0, sizeof *outputs * (size_t)face->output_count);
  for (int64_t s = 0; s < samples; s++) {
    for (int32_t i = 0; i < face->input_count; i++) given[i] = array_part(&inputs[i], s, 0);
    session_call(session, choice, given, made);
    for (int32_t i = 0; i < face->output_count; i++) {
      array_append(&outputs[i], &made[i], 1);
      free(made[i].data);
    }
  }
}

/* Prints the highest scores of the first output: rank, score, class. */
static void print_top(const float *scores, long count, long top) {
  char *taken = room((size_t)count);
  memset(taken, 0, (size_t)count);
  for (long rank = 1; rank <= top && rank <= count; rank++) {
    long best = -1;
    for (long i = 0; i < count; i++)
      if (!taken[i] && (best < 0 || scores[i] > scores[best])) best = i;
    taken[best] = 1;
    printf("%3ld  %12.6g  %ld\n", rank, (double)scores[best], best);
  }
  free(taken);
}

static void need_sense(const struct options *o, const struct face *face) {
  if (!(o->benchmark || o->profile || o->output_count || o->top))
    stop(USAGE, "nothing to do: --output FILE, --top K, --benchmark or --info");
  int measured = o->benchmark || o->profile;
  if (o->input_count != face->input_count && !(measured && o->input_count == 0))
    stop(USAGE, "%d inputs given, %d needed; --info names them", o->input_count, face->input_count);
  if (o->each && (measured || o->top)) stop(USAGE, "--each goes with --output alone");
  if (o->top && (!face->output_count || strcmp(face->outputs[0].dtype, "float32")))
    stop(USAGE, "--top needs an output of float32");
}

static void predict(const struct options *options, struct choice choice, const struct face *face,
                    const struct array *inputs) {
  const char *files[MOST_PORTS] = {0};
  struct array outputs[MOST_PORTS];
  name_outputs(face, options, files);
  struct session session = session_begin((int32_t)options->threads);
  if (options->each) run_each(&session, choice, face, inputs, outputs);
  else session_call(&session, choice, inputs, outputs);
  for (int32_t i = 0; i < face->output_count; i++)
    if (files[i]) npy_write(files[i], &outputs[i]);
  if (options->top) print_top(outputs[0].data, (long)(outputs[0].bytes / 4), options->top);
  session_end(&session);
}

int main(int count, char **words) {
  struct options options = read_options(count, words);
  if (options.help) return fputs(usage, stdout) < 0;
  if (edgeopt_abi() != EDGEOPT_ABI || edgeopt_program_count() != bundle.entry_count)
    stop(WRONG, "model.so is of another bundle: copy both again");
  if (options.info) return print_info();
  int measured = options.benchmark || options.profile;
  struct choice choice = measured || options.program
                             ? program_alone(options.program ? options.program : 1)
                             : programs_of(options.method);
  struct face face = face_of(&choice.entries[0]);
  need_sense(&options, &face);
  struct array inputs[MOST_PORTS];
  read_inputs(&face, &options, choice.count > 1, inputs);
  if (measured) benchmark(&choice.entries[0], inputs, &options);
  else predict(&options, choice, &face, inputs);
  return OK;
}
