#include "ops/c/packed.h"
#include <algorithm>
#include <bit>
#include <cmath>
#include "core/c_loops.h"
#include "miniten/ops/ops.h"

namespace miniten::c {

namespace {

constexpr int64_t farthest = 255, most_units = 65535;

std::vector<float> distinct(const float* w, int64_t count) {
  std::vector<float> v(w, w + count);
  std::sort(v.begin(), v.end());
  v.erase(std::unique(v.begin(), v.end()), v.end());
  return v;
}
int bits_for(size_t values) { return std::max(1, int(std::bit_width(values - 1))); }

// One codebook for all outputs, or each its own: those of a row's folded scale are its own.
struct Codes {
  std::vector<std::vector<float>> of;                    // by output; one: shared
  int bits = 0;
  int64_t step = 0;                                      // from one output's to the next's
  const std::vector<float>& at(int64_t output) const { return of.size() == 1 ? of[0] : of[size_t(output)]; }
};
Codes codes_of(const std::vector<float>& w, int64_t n, int64_t k, size_t element) {
  Codes shared, own;
  shared.of = {distinct(w.data(), n * k)};
  shared.bits = bits_for(shared.of[0].size());
  size_t most = 0;
  for (int64_t o = 0; o < n; ++o) { own.of.push_back(distinct(w.data() + o * k, k)); most = std::max(most, own.of.back().size()); }
  own.bits = bits_for(most);
  own.step = int64_t(most);
  auto bytes = [&](const Codes& c, size_t table) { return size_t(n * k * c.bits) / 8 + table * element; };
  Codes& best = bytes(own, most * size_t(n)) < bytes(shared, shared.of[0].size()) ? own : shared;
  return best.bits > 8 ? Codes{} : best;
}

struct Encoded {
  std::vector<float> values, codes;
  std::vector<uint8_t> indices, skips;
  std::vector<uint16_t> left;
  int64_t step = 0;
  bool fits = true;
  size_t bytes(size_t element) const { return (values.size() + codes.size()) * element + indices.size() + skips.size() + left.size() * 2; }
};
Encoded encode(const WeightForm& f, const Unit& u, const Codes& codes, const std::vector<float>& w, int64_t n, int64_t k) {
  Encoded e;
  e.step = codes.step;
  const int64_t whole = k / u.inputs;
  auto at = [&](int64_t o, int64_t i) { return o < n && i < k ? w[size_t(o * k + i)] : 0.0f; };
  auto put = [&](int64_t o, int64_t j) {
    uint64_t word = 0;
    for (int64_t c = 0; c < u.outputs * u.inputs; ++c) {
      int64_t output = o + (u.inputs_first ? c / u.inputs : c % u.outputs), input = j * u.inputs + (u.inputs_first ? c % u.inputs : c / u.outputs);
      float v = at(output, input);
      if (!f.bits) { e.values.push_back(v); continue; }
      if (output >= n || input >= k) continue;           // index 0
      const std::vector<float>& table = codes.at(output);
      word |= uint64_t(std::lower_bound(table.begin(), table.end(), v) - table.begin()) << (f.bits * c);
    }
    for (int i = 0; i < f.bits; ++i) e.indices.push_back(uint8_t(word >> (8 * i)));
  };
  for (int64_t o = 0; o < n; o += u.outputs) {
    int64_t skipped = 0, kept = 0;
    for (int64_t j = 0; j < whole; ++j) {
      bool zero = f.skips && skipped < farthest;
      for (int64_t c = 0; c < u.outputs * u.inputs && zero; ++c) zero = at(o + c / u.inputs, j * u.inputs + c % u.inputs) == 0;
      if (zero) { ++skipped; continue; }
      put(o, j);
      ++kept;
      if (f.skips) e.skips.push_back(uint8_t(skipped));
      skipped = 0;
    }
    if (f.skips) e.left.push_back(uint16_t(kept));
    e.fits = e.fits && (!f.skips || kept <= most_units);
    if (whole * u.inputs < k) put(o, whole);
  }
  if (!f.bits) return e;
  if (codes.of.size() == 1) e.codes = codes.of[0];
  else
    for (int64_t o = 0; o < (n + u.outputs - 1) / u.outputs * u.outputs; ++o) {
      size_t before = e.codes.size();
      if (o < n) e.codes.insert(e.codes.end(), codes.at(o).begin(), codes.at(o).end());
      e.codes.resize(before + size_t(codes.step), 0.0f);
    }
  return e;
}

}  // namespace

std::string WeightForm::suffix() const { return (bits ? "_" + text(bits) + "bit" : "") + (skips ? "_skip" : ""); }
std::string WeightForm::type(DType t) const { return packed() ? "struct packed_" + short_name(t) + suffix() : c_type(t); }
Unit unit_of(const WeightForm& f, DType t) { return t != DType::f32 ? integer_unit : f.bits ? float_index_unit : float_unit; }

WeightForm choose_form(const std::vector<float>& w, int64_t n, int64_t k, DType t) {
  const size_t element = bytes_of(t, 1), plain = size_t(n * k) * element;
  if (plain < 256 || std::any_of(w.begin(), w.end(), [](float v) { return !std::isfinite(v); })) return {};
  const Codes codes = codes_of(w, n, k, element);
  WeightForm best;
  size_t least = plain - plain * 3 / 10;                 // less is not worth the instructions
  for (int bits : {0, codes.bits})
    for (bool skips : {false, true}) {
      WeightForm f{bits, skips};
      if (!f.packed()) continue;
      Encoded e = encode(f, unit_of(f, t), codes, w, n, k);
      if (size_t bytes = e.bytes(element); e.fits && bytes < least) { least = bytes; best = f; }
    }
  return best;
}

void define_packed(CWriter& w, const WeightForm& f, DType t) {
  const std::string element = c_type(t);
  std::string fields = f.bits ? "  const uint8_t *units; /* eight weights' indices in " + text(f.bits) + " bytes, the lowest bits first */\n  const " + element + " *codes;\n  int32_t step; /* from one output's codes to the next's */\n"
                              : "  const " + element + " *units;\n";
  if (f.skips) fields += "  const uint8_t *skips; /* units of zeros before each that is there */\n  const uint16_t *left;  /* units in each row of units */\n";
  w.include("stdint.h");
  w.define(f.type(t), f.type(t) + " {\n" + fields + "};\n");
}
std::string store_packed(CWriter& w, const WeightForm& f, const std::vector<float>& weight, int64_t n, int64_t k, DType t) {
  const Encoded e = encode(f, unit_of(f, t), f.bits ? codes_of(weight, n, k, bytes_of(t, 1)) : Codes{}, weight, n, k);
  define_packed(w, f, t);
  auto floats = [&](const std::vector<float>& v) { return miniten::cast(Tensor::of<float>({int64_t(v.size())}, v), t); };
  auto bytes = [&](const std::vector<uint8_t>& v) { return Tensor::of<uint8_t>({int64_t(v.size())}, v); };
  std::string record = join({Part("units", w.constant(f.bits ? bytes(e.indices) : floats(e.values), "weight"))});
  if (f.bits) record += join({{"codes", w.constant(floats(e.codes), "codes")}, {"step", e.step}});
  if (f.skips) record += join({{"skips", w.constant(bytes(e.skips), "skips")}, {"left", w.constant(Tensor::of<uint16_t>({int64_t(e.left.size())}, e.left), "left")}});
  const size_t element_bytes = bytes_of(t, 1), plain = size_t(n * k) * element_bytes, packed = e.bytes(element_bytes);
  if (plain > packed) w.saved(plain - packed);
  return w.record(f.type(t), "packed", record);
}

std::string index_text(int bits, int i, std::string_view bytes) {
  const int first = i * bits, at = first / 8, shift = first % 8;
  auto byte = [&](int k) { return std::string(bytes) + "[" + text(k) + "]"; };
  std::string low = shift ? byte(at) + " >> " + text(shift) : byte(at);
  if (shift + bits > 8) low = "(" + low + " | " + byte(at + 1) + " << " + text(8 - shift) + ")";
  return shift + bits == 8 ? low : low + " & " + text((1 << bits) - 1);
}

}  // namespace miniten::c
