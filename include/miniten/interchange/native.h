#pragma once
#include "miniten/base/file.h"
#include "miniten/core/memory_limit.h"
#include "miniten/graph/graph.h"

namespace miniten {

// MiniTen's own file: a .npz (zip of .npy) that plain NumPy reads, with "manifest.json" (format "miniten", version 1)
// beside the arrays: graph, attributes, quantisation, masks, codebooks, states, metadata, and a CRC of each array. A mask is
// told by the zeros of its constant, or stored as bits (np.unpackbits reads them); where that is smaller, the constant is
// stored as its values inside the mask alone; one with a codebook as indices of a few bits. What has a mask or a codebook
// is deflated. Arrays of 16 KB and more begin at multiples of 64 bytes and, loaded by path, stay where the file was read to; the
// tensors are their own memory all the same: no change of theirs reaches the file, nor one of the file's them.
struct NamedTensor { std::string name; Tensor tensor; };
// Indices into codebooks by their frequencies, where that is smaller: as Huffman codes, a bit or more each, or as a stream of a
// range coder (rANS), fractions of a bit.
enum class Entropy { none, huffman, rans };
Entropy entropy_named(std::string_view);         // "huffman" or "rans"; throws for others
struct NativeFile {
  Graph graph;                                   // may be empty (a state_dict file)
  bool has_graph = false;
  std::string kind;                              // "module", "graph", "quantized", "pruned", "state_dict", "tensor"
  std::string extra;                             // JSON of the room that wrote it
  Entropy entropy = Entropy::none;               // of save
  std::vector<NamedTensor> tensors;              // beyond the graph's constants: optimizer state and the like
};
size_t save_native(const NativeFile&, const std::string& path);           // atomic: temporary name, then rename; -> bytes
// Throws ErrorKind::io or value; never trusts a length. max_memory: bytes of the file, of what it unpacks to, and of its tensors.
NativeFile load_native(const std::string& path, uint64_t max_memory = default_max_memory);
NativeFile load_native(std::span<const std::byte>, uint64_t max_memory = default_max_memory);
std::vector<std::byte> native_bytes(const NativeFile&);

}  // namespace miniten
