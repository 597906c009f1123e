#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include "miniten/base/temporary.h"
#include "miniten/interchange/native.h"
#include "target.h"

namespace {

bool equal(const miniten::Tensor& a, const miniten::Tensor& b) {
  if (bool(a) != bool(b)) return false;
  return !a || (a.spec() == b.spec() && (!a.spec().bytes() || std::memcmp(a.view().data, b.view().data, a.spec().bytes()) == 0));
}
bool equal(const miniten::NativeFile& a, const miniten::NativeFile& b) {
  if (a.graph.to_text() != b.graph.to_text() || a.tensors.size() != b.tensors.size()) return false;
  for (size_t i = 0; i < a.graph.values.size(); ++i) if (!equal(a.graph.values[i].constant, b.graph.values[i].constant)) return false;
  for (size_t i = 0; i < a.tensors.size(); ++i) if (!equal(a.tensors[i].tensor, b.tensors[i].tensor)) return false;
  return true;
}

}  // namespace

// By bytes and by path, where large arrays stay in the pages of the file: both are read to the same, or refused.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const miniten::TemporaryFolder folder("fuzz");
  const std::string path = folder.file("model.npz");
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(data), std::streamsize(size));
  return miniten::fuzz::target(data, size, [&](std::span<const std::byte> bytes) {
    std::optional<miniten::NativeFile> other;
    try { other = miniten::load_native(path, miniten::fuzz::most_memory); } catch (const miniten::Error&) {}
    miniten::NativeFile f;
    try {
      f = miniten::load_native(bytes, miniten::fuzz::most_memory);
    } catch (const miniten::Error&) {
      if (other) std::abort();
      throw;
    }
    if (!other || !equal(f, *other)) std::abort();
    if (f.has_graph) {
      miniten::fuzz::run(std::move(f.graph));
      miniten::fuzz::run(std::move(other->graph), {.threads = 1, .keep_constants = false});
    }
  });
}
