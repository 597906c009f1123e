/* Runs a model of one input and one output on a file of raw numbers of the input's type, and prints the outputs. */
#include <stdio.h>
#include MODEL_HEADER

#ifndef MODEL_TYPE
#define MODEL_TYPE float /* int8_t for a quantised model: -DMODEL_TYPE=int8_t */
#endif

static MODEL_TYPE input[MODEL_INPUTS], output[MODEL_OUTPUTS];

int main(int argc, char **argv) {
  if (argc == 2) {
    FILE *file = fopen(argv[1], "rb");
    if (!file || fread(input, sizeof *input, MODEL_INPUTS, file) != MODEL_INPUTS) {
      fprintf(stderr, "%s does not hold %d numbers\n", argv[1], MODEL_INPUTS);
      return 1;
    }
    fclose(file);
  }
  MODEL_RUN(input, output);
  for (int i = 0; i < MODEL_OUTPUTS; ++i) printf("%g\n", (double)output[i]);
  return 0;
}
