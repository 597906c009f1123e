#include <mutex>
#include "miniten/ops/ops.h"
#include "ops/forms.h"
#include "ops/quantized/rows.h"

namespace miniten {

// An explicit list: self-registering objects would be dropped by the linker from a static archive.
#define OP(name) &name##_op,
#ifdef MINITEN_INFERENCE
static constexpr const OpDef* built_in[] = {
#include "model_ops.inc"  // generated: cmake/inference.cmake
};
static constexpr std::span<const OpDef* const> forms;
#else
static constexpr const OpDef* built_in[] = {
#include "miniten/ops/all_ops.inc"
    &quantize_rows_op,
};
// In saved graphs of sessions; nobody else asks for them.
static constexpr const OpDef* forms[] = {MINITEN_FORMS(OP)};
#endif
#undef OP

static std::mutex mutex;
static std::vector<const OpDef*>& registered() {
  static std::vector<const OpDef*> ops;
  return ops;
}

const OpDef* find_op(std::string_view name) {
  for (const OpDef* op : built_in) if (op->name == name) return op;
  for (const OpDef* op : forms) if (op->name == name) return op;
  std::lock_guard lock(mutex);
  for (const OpDef* op : registered()) if (op->name == name) return op;
  return nullptr;
}

std::vector<const OpDef*> all_ops() {
  std::vector<const OpDef*> ops(std::begin(built_in), std::end(built_in));
  std::lock_guard lock(mutex);
  ops.insert(ops.end(), registered().begin(), registered().end());
  return ops;
}

void register_op(const OpDef& op) {
  if (op.name.empty() || !op.infer || !op.eval) throw Error(ErrorKind::value, "register_op", "a name, infer and eval", "a record without");
  if (find_op(op.name)) throw Error(ErrorKind::value, "register_op", "a new name", "\"" + std::string(op.name) + "\", already registered");
  std::lock_guard lock(mutex);
  registered().push_back(&op);
}

}  // namespace miniten
