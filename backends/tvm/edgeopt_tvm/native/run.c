/* The program: files in, files and answers out, without Python. */
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "program.h"

#pragma weak edgeopt_digest /* an older model.so has none */

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

static int is_measured(const struct options *o) { return o->benchmark || o->profile; }

/* Returns what the outputs of a method mean: it is said of the first one only. */
static enum meaning meaning_of(struct choice choice) {
  return choice.entries[0].method == bundle.entries[0].method ? bundle.after.meaning : NOTHING;
}

/* Returns whether a run tells what its outputs mean: unless only files were asked for. */
static int tells(const struct options *o, enum meaning meaning) {
  if (meaning == NOTHING || is_measured(o) || !o->input_count) return 0;
  return o->draw || o->json || o->result || o->top || (!o->output_count && !o->each);
}

static void need_telling(const struct options *o, enum meaning meaning) {
  if (is_measured(o)) return;
  if ((o->draw || o->json || o->result) && meaning == NOTHING)
    stop(USAGE, "this bundle does not say what its outputs mean: pass --output FILE for themselves");
  if (o->draw && meaning != BOXES && meaning != AREAS)
    stop(USAGE, "--draw draws boxes and areas: there are none");
  if (o->result && meaning != AREAS && meaning != VECTORS)
    stop(USAGE, "--result writes areas and vectors: there are none; --json has classes and boxes");
  const char *end = o->draw ? strrchr(o->draw, '.') : NULL;
  if (o->draw && (!end || strcmp(end, ".ppm"))) stop(USAGE, "%s: .ppm expected", o->draw);
}

static void need_sense(const struct options *o, const struct face *face, enum meaning meaning) {
  need_telling(o, meaning);
  int is_told = tells(o, meaning);
  if (!(is_measured(o) || o->output_count || o->top || is_told))
    stop(USAGE, "nothing to do: --output FILE, --top K, --benchmark or --info");
  if (o->input_count != face->input_count && !(is_measured(o) && o->input_count == 0))
    stop(USAGE, "%d inputs given, %d needed; --info names them", o->input_count, face->input_count);
  if (o->each && (is_measured(o) || o->top || is_told))
    stop(USAGE, "--each goes with --output alone");
  if (o->top && !face->output_count) stop(USAGE, "--top needs an output");
}

/* Returns the placement of a picture that is the input itself. */
static struct placement whole_input(const struct face *face, const struct array *inputs) {
  struct placement placement = {{1, 1}, {1, 1}, {0, 0}, {1, 1}};
  const struct before *before = &bundle.before;
  for (int32_t i = 0; i < face->input_count; i++) {
    if (inputs[i].ndim != 4 || (before->input && strcmp(before->input, face->inputs[i].name)))
      continue;
    const int64_t *shape = inputs[i].shape;
    int first = before->channels_first >= 0 ? before->channels_first : shape[1] == 1 || shape[1] == 3;
    for (int axis = 0; axis < 2; axis++)
      placement.picture[axis] = placement.input[axis] = shape[axis + 1 + first];
    break;
  }
  return placement;
}

static int put_json(FILE *file, const void *answer) {
  print_json(file, answer);
  return !ferror(file);
}

/* Says, draws and writes what the outputs mean. */
static void tell(const struct options *options, const struct face *face, const struct array *inputs,
                 const struct array *outputs, struct seen *seen) {
  struct placement placement = seen->picture.pixels ? seen->placement : whole_input(face, inputs);
  struct answer answer = answer_of(face, outputs, &placement, options->top);
  int only_json = options->json && !strcmp(options->json, "-");
  if (only_json) print_json(stdout, &answer);
  else print_lines(stdout, &answer);
  if (options->json && !only_json) write_whole(options->json, put_json, &answer);
  if (options->result) write_result(options->result, &answer);
  if (!options->draw) return;
  draw(&seen->picture, &answer);
  picture_write(options->draw, &seen->picture);
}

static void predict(const struct options *options, struct choice choice, const struct face *face,
                    const struct array *inputs, struct seen *seen) {
  const char *files[MOST_PORTS] = {0};
  struct array outputs[MOST_PORTS];
  name_outputs(face, options, files);
  struct session session = session_begin((int32_t)options->threads);
  if (options->each) run_each(&session, choice, face, inputs, outputs);
  else session_call(&session, choice, inputs, outputs);
  for (int32_t i = 0; i < face->output_count; i++)
    if (files[i]) npy_write(files[i], &outputs[i]);
  if (tells(options, meaning_of(choice))) tell(options, face, inputs, outputs, seen);
  else if (options->top) {
    struct answer answer = top_scores(&outputs[0], options->top);
    print_lines(stdout, &answer);
  }
  session_end(&session);
}

int main(int count, char **words) {
  struct options options = read_options(count, words);
  if (options.help) return fputs(usage, stdout) < 0;
  if (edgeopt_abi() != EDGEOPT_ABI || !edgeopt_digest || strcmp(edgeopt_digest(), bundle.digest))
    stop(WRONG, "model.so is of another bundle: copy both again");
  if (options.info) return print_info();
  int alone = is_measured(&options) || options.program;
  if (alone && options.method)
    stop(USAGE, "--method goes neither with --program nor with a measurement, which takes --program N");
  struct choice choice =
      alone ? program_alone(options.program ? options.program : 1) : programs_of(options.method);
  struct face face = face_of(&choice.entries[0]);
  need_sense(&options, &face, meaning_of(choice));
  struct array inputs[MOST_PORTS];
  struct seen seen = {.picture = {.pixels = NULL}};
  read_inputs(&face, &options, choice.count > 1, inputs, &seen);
  if (options.draw && !seen.picture.pixels)
    stop(USAGE, "--draw draws on a picture: pass one with --input");
  if (is_measured(&options)) benchmark(&choice.entries[0], inputs, &options);
  else predict(&options, choice, &face, inputs, &seen);
  return fflush(stdout) || ferror(stdout) ? WRONG : OK;
}
