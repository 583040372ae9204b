/* Says what the programs are. */
#include "program.h"

static void print_tensor(const char *kind, edgeopt_tensor t, const int32_t *links, int32_t at) {
  printf("%-9s%s %s[", kind, t.name, t.dtype);
  for (int i = 0; i < t.ndim; i++) printf("%s%lld", i ? ", " : "", (long long)t.shape[i]);
  if (links && links[at] >= 0) printf("] (state %s)\n", bundle.states[links[at]].name);
  else puts("]");
}

static void print_program(const struct entry *entry) {
  int32_t program = entry->program;
  if (bundle.entry_count > 1)
    printf("%-9s%d: %s\n", "program", (int)program + 1, bundle.methods[entry->method]);
  for (int32_t i = 0; i < edgeopt_input_count(program); i++)
    print_tensor("input", edgeopt_input(program, i), entry->reads, i);
  for (int32_t i = 0; i < edgeopt_output_count(program); i++)
    print_tensor("output", edgeopt_output(program, i), entry->writes, i);
  printf("steps    %d\n", (int)edgeopt_step_count(program));
  printf("memory   %zu bytes\n", edgeopt_arena_bytes(program));
}

int print_info(void) {
  for (int32_t i = 0; i < bundle.entry_count; i++) print_program(&bundle.entries[i]);
  for (int32_t i = 0; i < bundle.state_count; i++) {
    const struct state *state = &bundle.states[i];
    edgeopt_tensor tensor = {state->name, state->dtype, state->shape, state->ndim, state->bytes};
    print_tensor("state", tensor, NULL, 0);
  }
  printf("constants %zu bytes\n", edgeopt_constant_bytes());
  return OK;
}
