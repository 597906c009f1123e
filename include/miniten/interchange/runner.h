#ifndef MINITEN_RUNNER_H
#define MINITEN_RUNNER_H
/* Running a model from C, or from C++ that has no exceptions: a file of MiniTen becomes a session of one thread in one planned
   arena. A function that fails returns null or -1, and miniten_error() tells why; nothing is thrown. A model may be used by one
   thread at a time. docs/packages.md */
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef struct miniten_model miniten_model;
typedef struct {              /* an input or output; lives as long as the model */
  const char *name, *dtype;   /* "float32", "int8", ... */
  const int64_t *shape;
  size_t rank, bytes;         /* bytes: of all its numbers, row-major */
} miniten_port;

miniten_model *miniten_load(const void *file, size_t bytes);   /* sizes that the model leaves open are 1 */
miniten_model *miniten_load_path(const char *path);
void miniten_free(miniten_model *);                            /* null is fine */

size_t miniten_inputs(const miniten_model *);
size_t miniten_outputs(const miniten_model *);
const miniten_port *miniten_input(const miniten_model *, size_t);    /* null: there is none */
const miniten_port *miniten_output(const miniten_model *, size_t);
size_t miniten_arena_bytes(const miniten_model *);

/* Reads the ports' bytes from each input and writes them to each output. 0: done. States stand from call to call. */
int miniten_run(miniten_model *, const void *const inputs[], void *const outputs[]);

const char *miniten_error(void);   /* of this thread's last call that failed; "" before */

#ifdef __cplusplus
}
#endif
#endif
