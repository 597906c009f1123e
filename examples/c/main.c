/* Runs a model of one input and one output on a file of raw numbers of the input's type, and prints the outputs. */
#include <stdio.h>
#include MODEL_HEADER

static MODEL_INPUT_TYPE input[MODEL_INPUT_SIZE];
static MODEL_OUTPUT_TYPE output[MODEL_OUTPUT_SIZE];

int main(int argc, char **argv) {
  if (argc == 2) {
    FILE *file = fopen(argv[1], "rb");
    if (!file || fread(input, sizeof *input, MODEL_INPUT_SIZE, file) != MODEL_INPUT_SIZE) {
      fprintf(stderr, "%s does not hold %d numbers\n", argv[1], MODEL_INPUT_SIZE);
      return 1;
    }
    fclose(file);
  }
  model_run(input, output);
  for (int i = 0; i < MODEL_OUTPUT_SIZE; ++i) printf("%g\n", (double)output[i]);
  return 0;
}
