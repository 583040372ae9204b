/* The command line; the options are those of run.py, as far as there is no Python in them. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"

const char usage[] =
    "Runs the model that this program holds.\n"
    "\n"
    "    run --input photo.npy --output scores.npy\n"
    "    run --input photo.ppm --fit letterbox --output boxes.npy\n"
    "    run --input ids=a.npy --input mask=b.npy --output logits=c.npy\n"
    "    run --benchmark --runs 200 --threads 4 --json times.json\n"
    "\n"
    "  --input [NAME=]FILE   a .npy file for each input; without names, in the order of --info\n"
    "                        or a picture (binary .ppm, .pgm) for one that takes pixels\n"
    "  --fit letterbox       bring a picture to the model's size, its ratio kept; or stretch\n"
    "                        (as the bundle says)\n"
    "  --fill N              pixel around a letterbox (as the bundle says, else 114)\n"
    "  --output [NAME=]FILE  a .npy file for each output that is to be kept, likewise\n"
    "  --each                axis 0 of every input counts samples; run each, with the state of the one\n"
    "                        before\n"
    "  --method NAME         which method of the model (the first)\n"
    "  --program N           run one program alone, as --info counts, its state passed in\n"
    "  --draw FILE           draw what was found on the picture: a .ppm\n"
    "  --result FILE         classes of pixels as a .pgm (255: not seen), vectors as a .npy\n"
    "  --top K               print the K highest scores of the first output, or as the bundle says\n"
    "  --threads N           0: one for each core (0)\n"
    "  --benchmark           measure; JSON on standard output\n"
    "  --profile             measure each kernel; JSON on standard output\n"
    "  --runs N              runs to measure (100)\n"
    "  --warmup N            runs before (until the times are stable)\n"
    "  --max-seconds S       stop measuring then (120)\n"
    "  --json FILE           write JSON there: a measurement, or what was found (-: standard output)\n"
    "  --info                say what this model is\n"
    "\n"
    "Exit status: 0 done; 1 the model failed; 2 wrong usage or input.\n";

void stop(int status, const char *format, ...) {
  va_list values;
  va_start(values, format);
  fputs("run: ", stderr);
  vfprintf(stderr, format, values);
  fputc('\n', stderr);
  va_end(values);
  exit(status);
}

static long whole(const char *name, const char *text, long least) {
  char *end;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (errno || end == text || *end || value < least || value > 1000000000)
    stop(USAGE, "%s %s: a whole number expected, %ld or more", name, text, least);
  return value;
}

static double seconds(const char *name, const char *text) {
  char *end;
  double value = strtod(text, &end);
  if (end == text || *end || !(value >= 0)) stop(USAGE, "%s %s: seconds expected", name, text);
  return value;
}

static const char *fitting(const char *text) {
  if (strcmp(text, "letterbox") && strcmp(text, "stretch"))
    stop(USAGE, "--fit %s: letterbox or stretch expected", text);
  return text;
}

static long pixel(const char *text) {
  long value = whole("--fill", text, 0);
  if (value > 255) stop(USAGE, "--fill %s: at most 255 expected", text);
  return value;
}

static void add(const char **files, int *count, const char *word) {
  if (*count == MOST_FILES) stop(USAGE, "more than %d files", MOST_FILES);
  files[(*count)++] = word;
}

/* Takes an option that stands alone. Returns whether it was one. */
static int take_flag(struct options *o, const char *name) {
  struct {
    const char *name;
    int *place;
  } flags[] = {{"--each", &o->each},       {"--benchmark", &o->benchmark},
               {"--profile", &o->profile}, {"--info", &o->info},
               {"--help", &o->help},       {"-h", &o->help}};
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
    if (!strcmp(name, flags[i].name)) return *flags[i].place = 1;
  return 0;
}

static int take_value(struct options *o, const char *name, const char *value) {
  if (!strcmp(name, "--input")) add(o->inputs, &o->input_count, value);
  else if (!strcmp(name, "--output")) add(o->outputs, &o->output_count, value);
  else if (!strcmp(name, "--json")) o->json = value;
  else if (!strcmp(name, "--draw")) o->draw = value;
  else if (!strcmp(name, "--result")) o->result = value;
  else if (!strcmp(name, "--method")) o->method = value;
  else if (!strcmp(name, "--program")) o->program = whole(name, value, 1);
  else if (!strcmp(name, "--top")) o->top = whole(name, value, 1);
  else if (!strcmp(name, "--fit")) o->fit = fitting(value);
  else if (!strcmp(name, "--fill")) o->fill = pixel(value);
  else if (!strcmp(name, "--threads")) o->threads = whole(name, value, 0);
  else if (!strcmp(name, "--runs")) o->runs = whole(name, value, 1);
  else if (!strcmp(name, "--warmup")) o->warmup = whole(name, value, 0);
  else if (!strcmp(name, "--max-seconds")) o->max_seconds = seconds(name, value);
  else return 0;
  return 1;
}

struct options read_options(int count, char **words) {
  struct options options = {.runs = 100, .warmup = -1, .max_seconds = 120, .fill = -1};
  for (int i = 1; i < count; i++) {
    char name[32];
    const char *word = words[i], *equals = strchr(word, '=');
    if (take_flag(&options, word)) continue;
    size_t length = equals ? (size_t)(equals - word) : strlen(word);
    if (length >= sizeof name || strncmp(word, "--", 2))
      stop(USAGE, "%s: unknown; --help lists the options", word);
    memcpy(name, word, length);
    name[length] = 0;
    const char *value = equals ? equals + 1 : i + 1 < count ? words[++i] : NULL;
    if (!value) stop(USAGE, "%s: unknown, or its value is missing; --help lists the options", name);
    if (!take_value(&options, name, value))
      stop(USAGE, "%s: unknown; --help lists the options", name);
  }
  return options;
}
