/* What is worth knowing of the machine beside its times. Linux says it in files. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "program.h"

enum { TEXT = 8192, MOST_CORES = 256, MOST_ZONES = 32 };

void json_text(FILE *out, const char *text) {
  fputc('"', out);
  for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
    if (*c == '"' || *c == '\\') fprintf(out, "\\%c", *c);
    else if (*c < 32 || *c == 127) fprintf(out, "\\u%04x", *c);
    else fputc(*c, out);
  }
  fputc('"', out);
}

/* Reads the start of a file, without blanks at its end. Returns whether there is one. */
static int read_file(const char *path, char *text) {
  text[0] = 0;
  FILE *file = fopen(path, "rb");
  if (!file) return 0;
  size_t length = fread(text, 1, TEXT - 1, file);
  fclose(file);
  while (length && strchr("\n \t", text[length - 1])) length--;
  text[length] = 0;
  return 1;
}

/* Cuts `text` down to what follows `key` on a line; to nothing where there is no such line. */
static void keep_value(char *text, const char *key) {
  char *line = strstr(text, key);
  while (line && line != text && line[-1] != '\n') line = strstr(line + 1, key);
  if (!line) {
    text[0] = 0;
    return;
  }
  line += strlen(key);
  line += strspn(line, "\t :=\"");
  line[strcspn(line, "\"\n")] = 0;
  memmove(text, line, strlen(line) + 1);
}

static void member(FILE *out, const char *name, const char *path, const char *key) {
  char text[TEXT];
  read_file(path, text);
  if (key) keep_value(text, key);
  fprintf(out, "\"%s\": ", name);
  json_text(out, text);
}

void write_device(FILE *out) {
  struct utsname system;
  cpu_set_t set;
  memset(&system, 0, sizeof system);
  uname(&system);
  int cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  fprintf(out, "{\"cores\": %d, \"machine\": ", cores);
  json_text(out, system.machine);
  fputs(", \"kernel\": ", out);
  json_text(out, system.release);
  fputs(", ", out);
  member(out, "board", "/proc/device-tree/model", NULL);
  fputs(", ", out);
  member(out, "cpu", "/proc/cpuinfo", "model name");
  fputs(", ", out);
  member(out, "os", "/etc/os-release", "PRETTY_NAME");
  fputs("}", out);
}

void write_state(FILE *out) {
  char text[TEXT], path[96];
  double load[1];
  const char *comma = "";
  fputs("{", out);
  member(out, "governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", NULL);
  fputs(", \"clock_mhz\": [", out);
  for (int i = 0; i < MOST_CORES; i++) {
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq", i);
    if (!read_file(path, text)) break;
    fprintf(out, "%s%ld", i ? ", " : "", atol(text) / 1000);
  }
  fputs("], \"temperature_c\": {", out);
  for (int i = 0; i < MOST_ZONES; i++) {
    snprintf(path, sizeof path, "/sys/class/thermal/thermal_zone%d/temp", i);
    if (!read_file(path, text)) break;
    long heat = atol(text);
    fprintf(out, "%s\"zone%d\": %ld.%03ld", comma, i, heat / 1000, labs(heat % 1000));
    comma = ", ";
  }
  fputs("}, ", out);
  member(out, "throttled", "/sys/devices/platform/soc/soc:firmware/get_throttled", NULL);
  if (getloadavg(load, 1) == 1) fprintf(out, ", \"load_average\": %.2f", load[0]);
  fputs("}", out);
}

long peak_memory_kb(void) {
  char text[TEXT];
  read_file("/proc/self/status", text);
  keep_value(text, "VmHWM");
  return atol(text);
}
