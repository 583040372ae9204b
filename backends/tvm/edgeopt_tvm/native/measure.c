/* Measures as run.py does, and writes the same JSON: raw times, nothing averaged away. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "program.h"

enum { LEAST_RUNS = 3, MOST_WARM_UPS = 200, WARM_UP_NS = 1000000000, FIVE = 5 };

int64_t clock_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static int64_t middle(const int64_t *times, long count) {
  int64_t *sorted = room(sizeof *sorted * (size_t)count);
  memcpy(sorted, times, sizeof *sorted * (size_t)count);
  qsort(sorted, (size_t)count, sizeof *sorted, ascending);
  int64_t value = sorted[count / 2];
  free(sorted);
  return value;
}

static int stable(const int64_t *times, long count) {
  if (count < 2 * FIVE) return 0;
  int64_t before = middle(times + count - 2 * FIVE, FIVE), last = middle(times + count - FIVE, FIVE);
  return llabs(last - before) <= before * 3 / 100;
}

static int64_t timed(edgeopt_model *model, const void *const *inputs, void *const *outputs) {
  int64_t begun = clock_ns();
  run_once(model, inputs, outputs);
  return clock_ns() - begun;
}

/* Calls it `wanted` times, or until it is stable. Returns how often. */
static long warm_up(edgeopt_model *model, const void *const *inputs, void *const *outputs,
                    long wanted, int64_t *times) {
  long done = 0;
  int64_t ends = clock_ns() + 10LL * WARM_UP_NS;
  while (wanted >= 0 ? done < wanted
                     : done < LEAST_RUNS || (done < MOST_WARM_UPS && clock_ns() < ends &&
                                             !stable(times, done)))
    times[done++] = timed(model, inputs, outputs);
  return done;
}

static void write_times(FILE *out, const char *name, const int64_t *times, long count) {
  fprintf(out, " \"%s\": [", name);
  for (long i = 0; i < count; i++) fprintf(out, "%s%lld", i ? ", " : "", (long long)times[i]);
  fputs("],\n", out);
}

/* Writes the median time of each step over `runs` calls. */
static void write_steps(FILE *out, int32_t program, edgeopt_model *model, const void *const *inputs,
                        void *const *outputs, long runs) {
  long steps = edgeopt_step_count(program);
  int64_t *times = room(sizeof *times * (size_t)(steps * runs + 1));
  int64_t *column = room(sizeof *column * (size_t)runs);
  for (long i = 0; i < runs; i++)
    if (edgeopt_profile(model, inputs, outputs, times + i * steps))
      stop(WRONG, "the model failed: %s", edgeopt_error(model));
  fputs(" \"steps\": [", out);
  for (int32_t s = 0; s < steps; s++) {
    edgeopt_call call = edgeopt_step(program, s);
    for (long i = 0; i < runs; i++) column[i] = times[i * steps + s];
    fprintf(out, "%s\n  {\"kernel\": ", s ? "," : "");
    json_text(out, call.kernel);
    fputs(", \"origins\": ", out);
    json_text(out, call.origins);
    fprintf(out, ", \"median_ns\": %lld}", (long long)middle(column, runs));
  }
  fputs("],\n", out);
  free(column);
  free(times);
}

static void write_benchmark(FILE *out, int32_t program, edgeopt_model *model,
                            const struct options *options, const void *const *inputs,
                            void *const *outputs, int64_t load_ns) {
  long most = options->warmup > MOST_WARM_UPS ? options->warmup : MOST_WARM_UPS;
  int64_t *warm = room(sizeof *warm * (size_t)most);
  int64_t *samples = room(sizeof *samples * (size_t)options->runs);
  fputs("{\n \"format\": 1,\n \"bundle\": \"\",\n \"digest\": \"\",\n \"before\": ", out);
  write_state(out);
  fprintf(out, ",\n \"memory_before_kb\": %ld,\n", peak_memory_kb());
  int64_t first = timed(model, inputs, outputs);
  long warmed = warm_up(model, inputs, outputs, options->warmup, warm), done = 0;
  int64_t ends = clock_ns() + (int64_t)(options->max_seconds * 1e9);
  while (done < options->runs && (done < LEAST_RUNS || clock_ns() < ends))
    samples[done++] = timed(model, inputs, outputs);
  write_times(out, "samples_ns", samples, done);
  write_times(out, "warmup_ns", warm, warmed);
  if (options->profile) write_steps(out, program, model, inputs, outputs, options->runs);
  fprintf(out, " \"inputs\": \"%s\",\n \"threads\": %ld,\n", options->input_count ? "given" : "noise",
          options->threads);
  fprintf(out, " \"first_inference_ns\": %lld,\n \"import_ns\": 0,\n \"load_ns\": %lld,\n",
          (long long)first, (long long)load_ns);
  fprintf(out, " \"peak_memory_kb\": %ld,\n \"requirements\": {},\n", peak_memory_kb());
  fprintf(out, " \"runtime\": {\"name\": \"edgeopt-tvm\", \"version\": \"%d\", \"threads\": %d},\n",
          (int)edgeopt_abi(), (int)edgeopt_threads(model));
  fputs(" \"device\": ", out);
  write_device(out);
  fputs(",\n \"after\": ", out);
  write_state(out);
  fputs("\n}\n", out);
  free(samples);
  free(warm);
}

void benchmark(const struct entry *entry, const struct array *inputs, const struct options *options) {
  const void *given[MOST_PORTS];
  void *made[MOST_PORTS];
  struct face face = face_of(entry);
  for (int32_t i = 0; i < face.input_count; i++) given[i] = inputs[i].data;
  for (int32_t i = 0; i < face.output_count; i++) made[i] = room(face.outputs[i].bytes);
  FILE *file = json_file(options->json);
  int64_t begun = clock_ns();
  edgeopt_model *model = edgeopt_create(entry->program, (int32_t)options->threads);
  if (!model) stop(WRONG, "%s", edgeopt_error(NULL));
  write_benchmark(file, entry->program, model, options, given, made, clock_ns() - begun);
  if (fflush(file) || ferror(file)) stop(USAGE, "the JSON cannot be written");
  edgeopt_destroy(model);
}
