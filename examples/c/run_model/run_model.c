/* run_model MODEL.npz INPUT... > outputs: runs a model of MiniTen on files of raw numbers, one for each input, row-major, and writes
   the raw outputs one after the other. Without inputs it says what the model takes and gives. */
#include <stdio.h>
#include <stdlib.h>
#include "miniten/interchange/runner.h"

static int fail(const char *what, const char *why) {
  fprintf(stderr, "run_model: %s%s%s\n", what, *why ? ": " : "", why);
  return 1;
}
static void tell(const char *kind, const miniten_port *p) {
  fprintf(stderr, "%s %s: %s", kind, p->name, p->dtype);
  for (size_t i = 0; i < p->rank; ++i) fprintf(stderr, "%s%lld", i ? "x" : " ", (long long)p->shape[i]);
  fprintf(stderr, ", %zu bytes\n", p->bytes);
}

int main(int argc, char **argv) {
  if (argc < 2) return fail("run_model MODEL.npz INPUT... > outputs", "");
  miniten_model *model = miniten_load_path(argv[1]);
  if (!model) return fail(argv[1], miniten_error());
  size_t inputs = miniten_inputs(model), outputs = miniten_outputs(model);
  if (argc == 2 || (size_t)argc - 2 != inputs) {
    for (size_t i = 0; i < inputs; ++i) tell("input", miniten_input(model, i));
    for (size_t i = 0; i < outputs; ++i) tell("output", miniten_output(model, i));
    fprintf(stderr, "arena of %zu bytes\n", miniten_arena_bytes(model));
    return argc != 2;
  }
  void **data = calloc(inputs + outputs, sizeof *data);
  for (size_t i = 0; i < inputs + outputs; ++i) {
    const miniten_port *p = i < inputs ? miniten_input(model, i) : miniten_output(model, i - inputs);
    if (!data || !(data[i] = malloc(p->bytes + 1))) return fail("out of memory", "");
    if (i >= inputs) continue;
    FILE *file = fopen(argv[2 + i], "rb");
    if (!file || fread(data[i], 1, p->bytes + 1, file) != p->bytes) return fail(argv[2 + i], "not a file of the input's bytes");
    fclose(file);
  }
  if (miniten_run(model, (const void *const *)data, data + inputs) != 0) return fail("the model does not run", miniten_error());
  for (size_t i = 0; i < outputs; ++i)
    if (fwrite(data[inputs + i], 1, miniten_output(model, i)->bytes, stdout) != miniten_output(model, i)->bytes) return fail("the outputs could not be written", "");
  for (size_t i = 0; i < inputs + outputs; ++i) free(data[i]);
  free(data);
  miniten_free(model);
  return fflush(stdout) != 0;
}
