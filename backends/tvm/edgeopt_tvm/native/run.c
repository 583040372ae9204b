/* The program: files in, files out, without Python. */
#include <stdlib.h>
#include <string.h>

#include "program.h"

void run_once(edgeopt_model *model, const void *const *inputs, void *const *outputs) {
  if (edgeopt_run(model, inputs, outputs)) stop(WRONG, "the model failed: %s", edgeopt_error(model));
}

static void print_tensor(const char *kind, edgeopt_tensor t) {
  printf("%-9s%s %s[", kind, t.name, t.dtype);
  for (int i = 0; i < t.ndim; i++) printf("%s%lld", i ? ", " : "", (long long)t.shape[i]);
  puts("]");
}

static int print_info(void) {
  for (int i = 0; i < edgeopt_input_count(); i++) print_tensor("input", edgeopt_input(i));
  for (int i = 0; i < edgeopt_output_count(); i++) print_tensor("output", edgeopt_output(i));
  printf("steps    %d\n", (int)edgeopt_step_count());
  printf("memory   %zu bytes, and %zu of constants\n", edgeopt_arena_bytes(),
         edgeopt_constant_bytes());
  return OK;
}

/* Lays the words NAME=FILE and FILE in the places of inputs or outputs; what is left stays NULL. */
static void assign(const char **words, int count, edgeopt_tensor (*port)(int32_t), int ports,
                   const char *kind, const char **files) {
  for (int pass = 0; pass < 2; pass++)
    for (int i = 0, next = 0; i < count; i++) {
      int at = 0;
      const char *equals = strchr(words[i], '='), *name = "";
      size_t length = equals ? (size_t)(equals - words[i]) : 0;
      for (; equals && at < ports; at++) {
        name = port(at).name;
        if (strlen(name) == length && !strncmp(name, words[i], length)) break;
      }
      int named = equals && at < ports;
      if (named != !pass) continue;
      if (!named)
        for (at = next; at < ports && files[at]; at++) continue;
      if (at == ports) stop(USAGE, "%s: the model has %d %ss; --info names them", words[i], ports, kind);
      if (files[at]) stop(USAGE, "%s: %s %s is given twice", words[i], kind, name);
      files[at] = named ? equals + 1 : words[i];
      next = at + 1;
    }
}

/* Fills inputs that are only timed: noise, or zeros where it may be an index. */
static void *noise(edgeopt_tensor tensor) {
  unsigned char *data = room(tensor.bytes);
  memset(data, 0, tensor.bytes);
  uint32_t state = 1;
  if (!strcmp(tensor.dtype, "float32"))
    for (size_t i = 0; i < tensor.bytes / 4; i++) {
      state = state * 1664525u + 1013904223u;
      ((float *)(void *)data)[i] = (float)(int32_t)state / 1073741824.0f;
    }
  return data;
}

static void **rooms(edgeopt_tensor (*port)(int32_t), int ports, int64_t samples) {
  void **held = room(sizeof *held * (size_t)(ports + 1));
  for (int i = 0; i < ports; i++)
    held[i] = room(port(i).bytes * (size_t)(samples ? samples : 1));
  return held;
}

/* Runs all samples (0: the one), each where it lies in the files' content. */
static void run_all(edgeopt_model *model, void **inputs, void **outputs, int64_t samples) {
  int in = edgeopt_input_count(), out = edgeopt_output_count();
  const void **given = room(sizeof *given * (size_t)(in + 1));
  void **made = room(sizeof *made * (size_t)(out + 1));
  for (int64_t s = 0; s < (samples ? samples : 1); s++) {
    for (int i = 0; i < in; i++)
      given[i] = (char *)inputs[i] + edgeopt_input(i).bytes * (size_t)s;
    for (int i = 0; i < out; i++)
      made[i] = (char *)outputs[i] + edgeopt_output(i).bytes * (size_t)s;
    run_once(model, given, made);
  }
  free(given);
  free(made);
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

static FILE *json_file(const char *path) {
  FILE *file = path ? fopen(path, "wb") : stdout;
  if (!file) stop(USAGE, "%s: cannot be written", path);
  return file;
}

static void need_sense(const struct options *o, int inputs) {
  if (!(o->benchmark || o->profile || o->output_count || o->top))
    stop(USAGE, "nothing to do: --output FILE, --top K, --benchmark or --info");
  int measured = o->benchmark || o->profile;
  if (o->input_count != inputs && !(measured && o->input_count == 0))
    stop(USAGE, "%d inputs given, %d needed; --info names them", o->input_count, inputs);
  if (o->each && (measured || o->top)) stop(USAGE, "--each goes with --output alone");
  if (o->top && strcmp(edgeopt_output(0).dtype, "float32"))
    stop(USAGE, "--top needs an output of float32");
}

/* Returns an input of a .npy file, or of a picture where one run is asked for. */
static void *read_input(const char *path, const edgeopt_tensor *tensor, int64_t *samples,
                        const struct options *options) {
  if (!options->each && is_picture(path)) return picture_read(path, tensor, options);
  return npy_read(path, tensor, samples);
}

int main(int count, char **words) {
  struct options options = read_options(count, words);
  if (options.help) return fputs(usage, stdout) < 0;
  if (options.info) return print_info();
  int in = edgeopt_input_count(), out = edgeopt_output_count();
  need_sense(&options, in);
  const char *sources[MOST_FILES] = {0}, *results[MOST_FILES] = {0};
  if (in > MOST_FILES || out > MOST_FILES) stop(USAGE, "more than %d files", MOST_FILES);
  assign(options.inputs, options.input_count, edgeopt_input, in, "input", sources);
  assign(options.outputs, options.output_count, edgeopt_output, out, "output", results);
  int64_t samples = options.each ? -1 : 0;
  void **inputs = room(sizeof *inputs * (size_t)(in + 1));
  for (int i = 0; i < in; i++) {
    edgeopt_tensor tensor = edgeopt_input(i);
    inputs[i] = sources[i] ? read_input(sources[i], &tensor, &samples, &options) : noise(tensor);
  }
  void **outputs = rooms(edgeopt_output, out, samples);
  int64_t begun = clock_ns();
  edgeopt_model *model = edgeopt_create((int32_t)options.threads);
  if (!model) stop(WRONG, "%s", edgeopt_error(NULL));
  int64_t load_ns = clock_ns() - begun;
  if (options.benchmark || options.profile) {
    FILE *file = json_file(options.json);
    write_benchmark(file, model, &options, (const void *const *)inputs, outputs,
                    options.input_count > 0, load_ns);
    if (fflush(file)) stop(USAGE, "the JSON cannot be written");
  } else {
    run_all(model, inputs, outputs, samples);
  }
  for (int i = 0; i < out; i++) {
    edgeopt_tensor tensor = edgeopt_output(i);
    if (results[i]) npy_write(results[i], &tensor, samples, outputs[i]);
  }
  if (options.top) print_top(outputs[0], (long)(edgeopt_output(0).bytes / 4), options.top);
  edgeopt_destroy(model);
  return OK;
}
