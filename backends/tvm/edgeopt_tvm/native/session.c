/* Methods, states and the programs behind them: as edgeopt_runner/session.py has it. */
#include "session.h"

#include <stdlib.h>
#include <string.h>

#include "program.h"

struct choice programs_of(const char *name) {
  int32_t method = name ? -1 : bundle.entries[0].method;
  for (int32_t m = 0; name && m < bundle.method_count; m++)
    if (!strcmp(bundle.methods[m], name)) method = m;
  if (method < 0) {
    char known[1024] = "";
    for (int32_t m = 0; m < bundle.method_count; m++) {
      size_t used = strlen(known);
      snprintf(known + used, sizeof known - used, "%s%s", m ? ", " : "", bundle.methods[m]);
    }
    stop(USAGE, "there is no method '%s'; the methods are: %s", name, known);
  }
  struct entry *entries = room(sizeof *entries * (size_t)bundle.entry_count);
  struct choice choice = {entries, 0};
  for (int32_t i = 0; i < bundle.entry_count; i++)
    if (bundle.entries[i].method == method) entries[choice.count++] = bundle.entries[i];
  return choice;
}

struct choice program_alone(long number) {
  if (number > bundle.entry_count)
    stop(USAGE, "there is no program %ld; there are %d: see --info", number, (int)bundle.entry_count);
  struct entry *entry = room(sizeof *entry);
  *entry = bundle.entries[number - 1];
  entry->reads = entry->writes = NULL;
  struct choice choice = {entry, 1};
  return choice;
}

struct face face_of(const struct entry *entry) {
  struct face face; /* what is not counted is not looked at */
  face.input_count = face.output_count = 0;
  int32_t in = edgeopt_input_count(entry->program), out = edgeopt_output_count(entry->program);
  if (in > MOST_PORTS || out > MOST_PORTS) stop(USAGE, "more than %d inputs or outputs", MOST_PORTS);
  for (int32_t i = 0; i < in; i++) {
    if (entry->reads && entry->reads[i] >= 0) continue;
    face.inputs[face.input_count++] = edgeopt_input(entry->program, i);
  }
  for (int32_t i = 0; i < out; i++) {
    if (entry->writes && entry->writes[i] >= 0) continue;
    face.output_at[face.output_count] = i;
    face.outputs[face.output_count++] = edgeopt_output(entry->program, i);
  }
  return face;
}

struct session session_begin(int32_t threads) {
  struct session session = {.threads = threads};
  session.models = room(sizeof *session.models * (size_t)bundle.entry_count);
  memset(session.models, 0, sizeof *session.models * (size_t)bundle.entry_count);
  session.states = room(sizeof *session.states * (size_t)(bundle.state_count + 1));
  for (int32_t i = 0; i < bundle.state_count; i++) {
    const struct state *state = &bundle.states[i];
    session.states[i] = room(state->bytes);
    if (state->initial) memcpy(session.states[i], state->initial, state->bytes);
    else memset(session.states[i], 0, state->bytes);
  }
  return session;
}

void session_end(struct session *session) {
  for (int32_t i = 0; i < bundle.entry_count; i++) edgeopt_destroy(session->models[i]);
  for (int32_t i = 0; i < bundle.state_count; i++) free(session->states[i]);
  free(session->models);
  free(session->states);
}

/* Returns the model of a program, made when it is first asked for. */
static edgeopt_model *session_model(struct session *session, int32_t program) {
  if (!session->models[program]) session->models[program] = edgeopt_create(program, session->threads);
  if (!session->models[program]) stop(WRONG, "%s", edgeopt_error(NULL));
  return session->models[program];
}

/* Runs a program on states and on `given`, which has the inputs that are none. `made` gets all outputs;
 * those that are states are kept. */
static void run_program(struct session *session, const struct entry *entry, const struct array *given,
                        struct array *made) {
  int32_t in = edgeopt_input_count(entry->program), out = edgeopt_output_count(entry->program);
  const void *inputs[MOST_PORTS];
  void *outputs[MOST_PORTS];
  for (int32_t i = 0, next = 0; i < in; i++) {
    int32_t state = entry->reads ? entry->reads[i] : -1;
    inputs[i] = state < 0 ? given[next++].data : session->states[state];
  }
  for (int32_t i = 0; i < out; i++) {
    edgeopt_tensor tensor = edgeopt_output(entry->program, i);
    made[i] = array_like(&tensor);
    outputs[i] = made[i].data;
  }
  run_once(session_model(session, entry->program), inputs, outputs);
  for (int32_t i = 0; i < out; i++) {
    int32_t state = entry->writes ? entry->writes[i] : -1;
    if (state < 0) continue;
    memcpy(session->states[state], made[i].data, bundle.states[state].bytes);
    free(made[i].data);
  }
}

/* Calls the program that fits: inputs filled up, outputs cut back. */
static void call_once(struct session *session, struct choice choice, const struct array *inputs,
                      struct array *outputs) {
  const struct entry *entry = fitting_program(choice, inputs);
  struct face face = face_of(entry);
  struct array given[MOST_PORTS], made[MOST_PORTS];
  int is_exact = 1;
  for (int32_t i = 0; i < face.input_count; i++) {
    given[i] = inputs[i];
    if (array_is(&inputs[i], face.inputs[i].shape, face.inputs[i].ndim)) continue;
    is_exact = 0;
    given[i] = array_like(&face.inputs[i]);
    array_copy(&given[i], &inputs[i]);
  }
  run_program(session, entry, given, made);
  for (int32_t i = 0; i < face.output_count; i++) {
    outputs[i] = made[face.output_at[i]];
    if (is_exact) continue;
    outputs[i] = cut_back(choice, inputs, i, &made[face.output_at[i]]);
    free(made[face.output_at[i]].data);
  }
  for (int32_t i = 0; i < face.input_count; i++)
    if (given[i].data != inputs[i].data) free(given[i].data);
}

void session_call(struct session *session, struct choice choice, const struct array *inputs,
                  struct array *outputs) {
  int64_t most = rows_in_turn(choice, inputs);
  if (!most) {
    call_once(session, choice, inputs, outputs);
    return;
  }
  struct face face = face_of(&choice.entries[0]);
  struct array parts[MOST_PORTS], made[MOST_PORTS];
  memset(outputs, 0, sizeof *outputs * (size_t)face.output_count);
  for (int64_t at = 0, total = inputs[0].shape[0]; at < total; at += most) {
    for (int32_t i = 0; i < face.input_count; i++)
      parts[i] = array_part(&inputs[i], at, total - at < most ? total - at : most);
    call_once(session, choice, parts, made);
    for (int32_t i = 0; i < face.output_count; i++) {
      array_append(&outputs[i], &made[i], 0);
      free(made[i].data);
    }
  }
}
