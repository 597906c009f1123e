#include <bit>
#include <cmath>
#include <cstring>
#include "interchange/tflite/writer.h"

namespace miniten::tflite_file {

bool same(const QuantizedRef& a, const QuantizedRef& b) { return (!a && !b) || (a && b && *a == *b); }

QuantizedRef signed_form(const QuantizedRef& q) {
  if (!q || q->dtype != DType::u8) return q;
  auto s = std::make_shared<Quantized>(*q);
  s->dtype = DType::i8;
  for (int32_t& z : s->zero) z -= 128;
  return s;
}
Axes channels_last_axes(int rank) {                                  // (N, C, ..) -> (N, .., C)
  Axes order = Dims::iota(rank);
  for (int i = 1; i < rank; ++i) order[i] = i + 1 < rank ? i + 1 : 1;
  return order;
}

namespace {

// The elements of t cut as `shape`, in another order.
Tensor arranged(const Tensor& given, const Shape& shape, const Axes& order) {
  Tensor t = given.view().is_contiguous() ? given : given.clone();
  Shape to;
  Strides from = contiguous(shape), strides;
  for (Dim k : order) { to.push(shape[int(k)]); strides.push(from[int(k)]); }
  Tensor out = Tensor::empty({t.dtype(), to});
  View v = t.view();
  v.spec.shape = to;
  v.strides = strides;
  copy_values(v, out.view());
  return out;
}
Tensor reshaped_copy(const Tensor& t, const Shape& shape) {
  Tensor out = Tensor::empty({t.dtype(), shape});
  View v = t.view();
  v.spec.shape = shape;
  v.strides = contiguous(shape);
  copy_values(v, out.view());
  return out;
}
Shape ranked(const Shape& shape, int rank) {                 // ones in front
  Shape s;
  for (int i = shape.rank; i < rank; ++i) s.push(1);
  for (Dim d : shape) s.push(d);
  return s;
}
bool is_zero(const std::byte* data, size_t size) { return std::all_of(data, data + size, [](std::byte v) { return v == std::byte{}; }); }
int64_t zero_elements(const Tensor& t) {
  size_t size = t.spec().bytes() / size_t(t.numel());
  int64_t n = 0;
  const std::byte* data = t.view().data;
  for (int64_t i = 0; i < t.numel(); ++i, data += size) n += is_zero(data, size);
  return n;
}
// Of the kinds that DENSIFY takes, and its readers: behind one XNNPACK prepares no FULLY_CONNECTED of int8.
bool sparse_is_smaller(const Tensor& t, const QuantizedRef& q) {
  if (t.dtype() == DType::i8 && t.rank() < 3) return false;
  if (t.rank() < 1 || t.numel() < 64 || (t.dtype() != DType::f32 && t.dtype() != DType::f16 && t.dtype() != DType::i8)) return false;
  auto dense = int64_t(t.spec().bytes()), rows = t.numel() / t.dim(-1), size = dense / t.numel();
  return (t.numel() - zero_elements(t)) * (size + (t.dim(-1) > 256 ? 2 : 1)) + 4 * (rows + 1) + 400 + (q ? 12 * int64_t(q->scale.size()) : 0) < dense && t.dim(-1) <= 65536;
}
Tensor to_integers(const Tensor& t, const Quantized& q) {    // scales along q.axis
  Tensor wide = Tensor::empty({DType::f32, t.shape()}), out = Tensor::empty({q.dtype, t.shape()});
  copy_values(t.view(), wide.view());
  double lo = q.dtype == DType::i16 ? -32767 : q.scale.size() > 1 || q.zero[0] == 0 ? -127 : -128, hi = q.dtype == DType::i16 ? 32767 : 127;
  int64_t inner = 1;
  for (int k = q.axis + 1; q.axis >= 0 && k < t.rank(); ++k) inner *= t.dim(k);
  float* x = wide.view().f32();
  for (int64_t i = 0; i < t.numel(); ++i) {
    size_t c = q.scale.size() > 1 ? size_t(i / inner) % q.scale.size() : 0;
    x[i] = float(std::clamp(std::nearbyint(double(x[i] / q.scale[c])) + q.zero[c], lo, hi));
  }
  copy_values(wide.view(), out.view());
  return out;
}

}  // namespace

std::vector<int> Writer::emit(std::string_view type, std::vector<int> in, ForeignAttributes options, std::vector<Spec> outputs, QuantizedRef q) {
  Operator op{std::string(type), std::move(in), {}, std::move(options)};
  for (const Spec& s : outputs) op.out.push_back(add(layer_.empty() ? op.type : layer_ + "/" + op.type, s, q));
  file.operators.push_back(op);
  return op.out;
}
int Writer::constant(const Tensor& t, std::string_view hint, QuantizedRef q) {
  return named_constant(t, (layer_.empty() ? "" : layer_ + "/") + std::string(hint), std::move(q));
}
int Writer::variable(const Spec& spec, std::string_view hint) {
  int id = add((layer_.empty() ? "" : layer_ + "/") + std::string(hint), spec, nullptr);
  file.tensors[size_t(id)].variable = true;
  return id;
}
int Writer::sparse_constant(const Tensor& given, std::string name, QuantizedRef q) {
  Tensor t = given.view().is_contiguous() ? given : given.clone();
  auto s = std::make_shared<Sparsity>();
  s->shape = t.shape();
  size_t size = t.spec().bytes() / size_t(t.numel()), length = size_t(t.dim(-1)), used = 0;
  const std::byte* data = t.view().data;
  Tensor values = Tensor::empty({t.dtype(), {t.numel() - zero_elements(t)}});
  for (size_t i = 0, n = size_t(t.numel()); i < n; ++i) {
    if (!is_zero(data + i * size, size)) {
      std::memcpy(values.view().data + size * used++, data + i * size, size);
      s->indices.push_back(uint16_t(i % length));
    }
    if ((i + 1) % length == 0) s->segments.push_back(int32_t(used));
  }
  int id = add(std::move(name), values.spec(), std::move(q));
  file.tensors[size_t(id)].data = values;
  file.tensors[size_t(id)].sparse = s;
  return id;
}
int Writer::named_constant(const Tensor& given, std::string name, QuantizedRef q) {
  Tensor t = given.view().is_contiguous() ? given : given.clone();
  std::string_view bytes(reinterpret_cast<const char*>(t.view().data), t.spec().bytes());
  auto [first, last] = contents_.equal_range(std::hash<std::string_view>()(bytes));
  for (; first != last; ++first) {                               // the same numbers stand once
    const FileTensor& known = file.tensors[size_t(first->second)];
    if (known.spec == t.spec() && !known.sparse && same(known.quantized, q) && std::memcmp(known.data.view().data, t.view().data, t.spec().bytes()) == 0) return first->second;
  }
  contents_.emplace(std::hash<std::string_view>()(bytes), int(file.tensors.size()));
  int id = add(std::move(name), t.spec(), std::move(q));
  file.tensors[size_t(id)].data = t;
  return id;
}
const Spec& Writer::spec(int tensor) const {
  return file.tensors[size_t(tensor)].spec;
}
QuantizedRef Writer::quantized(int tensor) const {
  return file.tensors[size_t(tensor)].quantized;
}
int Writer::reshaped(int tensor, const Shape& shape) {
  if (spec(tensor).shape == shape) return tensor;
  if (auto known = reshaped_from_.find(tensor); known != reshaped_from_.end()) return reshaped(known->second, shape);
  auto [at, fresh] = reshapes_.try_emplace({tensor, shape.text()}, -1);
  if (!fresh) return at->second;
  std::vector<int32_t> sizes(shape.begin(), shape.end());
  int to = constant(Tensor::of<int32_t>({int64_t(sizes.size())}, sizes), "shape", nullptr);
  int out = emit_one("RESHAPE", {tensor, to}, {{"new_shape", std::vector<int64_t>(shape.begin(), shape.end())}}, {spec(tensor).dtype, shape}, quantized(tensor));
  reshaped_from_[out] = tensor;
  return at->second = out;
}
int Writer::stored(int i, const Shape& shape, const Axes& order, QuantizedRef as, std::optional<Shape> to) {
  int id = node_->in[size_t(i)];
  if (values_[size_t(id)].tensor < 0) return stored_constant(id, shape, order, as, to);
  int t = stored_value(values_[size_t(id)], shape, order);
  return to ? reshaped(t, *to) : t;
}
int Writer::broadcast(int i, const Shape& shape, const TfliteValue& result, QuantizedRef as) {
  int id = node_->in[size_t(i)];
  Shape own = ranked(g_.values[size_t(id)].spec.shape, shape.rank), cut = own;
  Axes order;
  if (auto axes = stored_axes(result, shape)) order = *axes;
  else {                                                         // by pieces
    TfliteValue r = result;
    if (!refine(r, shape)) throw Error(ErrorKind::unsupported, "export_tflite", "axes that can be cut alike", shape.text() + " in layer \"" + layer_ + "\"");
    order = r.order;
    cut = {};
    int at = 0;
    for (int k = 0; k < shape.rank; ++k)
      for (int64_t n = 1; at < r.pieces.rank && (n < shape[k] || (shape[k] == 1 && n == 1 && r.pieces[at] == 1)); ++at) {
        cut.push(own[k] == 1 ? 1 : r.pieces[at]);
        n *= r.pieces[at];
        if (shape[k] == 1) { ++at; break; }
      }
    while (cut.rank < r.pieces.rank) cut.push(1);
  }
  if (values_[size_t(id)].tensor >= 0) return stored_value(values_[size_t(id)], cut, order);
  int front = 0;                                                 // leading ones say nothing
  while (front < order.rank && cut[int(order[front])] == 1) ++front;
  Shape to;
  for (int k = front; k < order.rank; ++k) to.push(cut[int(order[k])]);
  return stored_constant(id, cut, order, as, to);
}
int Writer::add(std::string name, const Spec& spec, QuantizedRef q) {
  std::string base = name.empty() ? "tensor" : name;
  int& n = names_[base];
  file.tensors.push_back({n ? base + "_" + std::to_string(n) : base, spec, std::move(q), {}});
  ++n;
  return int(file.tensors.size()) - 1;
}
int Writer::stored_constant(int id, const Shape& shape, const Axes& order, const QuantizedRef& as, const std::optional<Shape>& to) {
  std::string key = std::to_string(id) + shape.text() + order.text() + (to ? to->text() : "");
  if (as) for (size_t i = 0; i < as->scale.size(); ++i) key += " " + std::to_string(std::bit_cast<uint32_t>(as->scale[i])) + "," + std::to_string(as->zero[i]);
  if (as) key += std::string(name_of(as->dtype));
  auto [at, fresh] = constants_.try_emplace(key, -1);
  if (!fresh) return at->second;
  const Value& v = g_.values[size_t(id)];
  Tensor t = arranged(v.constant, shape, order);
  if (to) t = reshaped_copy(t, *to);
  std::string name = v.name.empty() ? layer_ + "/constant" : v.name;
  auto put = [&](const Tensor& value, const QuantizedRef& q) {
    int x = values_[size_t(node_->in[0])].tensor;                // and nothing that mixes int8 weights with floats
    bool mixed = value.dtype() == DType::i8 && (x < 0 || spec(x).dtype != DType::i8), sparse = o_.sparse && !mixed && sparse_is_smaller(value, q);
    return sparse ? emit_one("DENSIFY", {sparse_constant(value, name, q)}, {}, value.spec(), q) : named_constant(value, name, q);
  };
  if (as && is_float(t.dtype())) return at->second = put(to_integers(t, *as), as);
  if (o_.float16 && t.dtype() == DType::f32 && t.numel() > 1) {
    Tensor half = Tensor::empty({DType::f16, t.shape()});
    copy_values(t.view(), half.view());
    for (int64_t i = 0; i < t.numel(); ++i)
      if (std::abs(t.view().f32()[i]) > 65504)
        throw Error(ErrorKind::value, "export_tflite", "constants that float16 holds, up to 65504", std::to_string(t.view().f32()[i]) + " in \"" + v.name + "\"", "leave quantize=\"float16\" out");
    int stored = put(half, nullptr);
    return at->second = emit_one("DEQUANTIZE", {stored}, {}, t.spec());
  }
  return at->second = put(t, as);
}
int Writer::stored_value(const TfliteValue& given, const Shape& shape, const Axes& order) {
  TfliteValue v = given;
  Shape target;
  for (Dim k : order) target.push(shape[int(k)]);
  if (is_stored(v, shape, order) || shape.count() <= 1) return reshaped(v.tensor, target);
  if (!refine(v, shape)) {                                       // to its own row-major order first
    int t = stored_value(given, given.pieces, Dims::iota(given.pieces.rank));
    return stored_value(TfliteValue::plain(t, shape), shape, order);
  }
  std::vector<int> wanted, is;                                   // pieces that count
  int at = 0;
  std::vector<std::vector<int>> of(size_t(shape.rank));
  for (int k = 0; k < shape.rank; ++k)
    for (int64_t n = 1; n < shape[k] && at < v.pieces.rank; ++at) {
      if (v.pieces[at] != 1) of[size_t(k)].push_back(at);
      n *= v.pieces[at];
    }
  for (Dim k : order) wanted.insert(wanted.end(), of[size_t(k)].begin(), of[size_t(k)].end());
  for (Dim p : v.order) if (v.pieces[int(p)] != 1) is.push_back(int(p));
  // Neighbours that stay neighbours are one axis.
  std::vector<std::vector<int>> blocks;
  for (size_t i = 0; i < is.size(); ++i) {
    auto place = size_t(std::find(wanted.begin(), wanted.end(), is[i]) - wanted.begin());
    bool joined = i > 0 && place > 0 && wanted[place - 1] == is[i - 1];
    if (joined) blocks.back().push_back(is[i]);
    else blocks.push_back({is[i]});
  }
  Shape from;
  for (auto& b : blocks) { int64_t n = 1; for (int p : b) n *= v.pieces[p]; from.push(n); }
  std::vector<int32_t> perm;
  Shape to;
  for (int p : wanted)
    for (size_t b = 0; b < blocks.size(); ++b)
      if (blocks[b][0] == p) { perm.push_back(int32_t(b)); to.push(from[int(b)]); }
  std::string key = std::to_string(v.tensor) + from.text();
  for (int32_t p : perm) key += " " + std::to_string(p);
  auto [known, fresh] = transposes_.try_emplace(key, -1);
  if (fresh) {
    // With the sizes that the reader wants, where it is one permutation of axes as they stand.
    int source = v.tensor, t;
    Axes own = axes_between(spec(source).shape, given, shape, order);
    if (own.rank) {
      std::vector<int32_t> p(own.begin(), own.end());
      t = emit_one("TRANSPOSE", {source, constant(Tensor::of<int32_t>({own.rank}, p), "order", nullptr)}, {}, {spec(source).dtype, target}, quantized(source));
    } else {
      source = reshaped(source, from);
      t = emit_one("TRANSPOSE", {source, constant(Tensor::of<int32_t>({int64_t(perm.size())}, perm), "order", nullptr)}, {}, {spec(source).dtype, to}, quantized(source));
    }
    known->second = t;
  }
  return reshaped(known->second, target);
}
Axes Writer::axes_between(const Shape& file, const TfliteValue& v, const Shape& shape, const Axes& order) {
  auto axes = stored_axes(v, shape);
  if (!axes || file.rank != shape.rank) return {};
  for (int i = 0; i < file.rank; ++i) if (file[i] != shape[int((*axes)[i])]) return {};
  Axes perm;
  for (Dim k : order) for (int i = 0; i < file.rank; ++i) if ((*axes)[i] == k) perm.push(i);
  return perm;
}

}  // namespace miniten::tflite_file
