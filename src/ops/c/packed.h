#pragma once
#include "miniten/core/c_form.h"

namespace miniten::c {

// How the weights of a product, n outputs of k inputs, lie in flash: units of a few outputs x a few inputs, one row of units
// after the other. Units of zeros alone may be left out; values may be indices of few bits into codebooks.
struct Unit { int64_t outputs, inputs; bool inputs_first; };                   // inputs_first: of one output, then of the next
constexpr Unit float_unit{4, 1, false}, float_index_unit{4, 2, false}, integer_unit{2, 4, true};

struct WeightForm {
  int bits = 0;                                          // of an index; eight take as many bytes. 0: values as they are
  bool skips = false;
  bool packed() const { return bits || skips; }
  bool operator==(const WeightForm&) const = default;
  std::string suffix() const;                            // "", "_4bit", "_skip", "_4bit_skip"
  std::string type(DType) const;                         // of a pointer's target: "int8_t", "struct packed_s8_4bit"
};
// The smallest, where it takes a good part less than values as they are.
WeightForm choose_form(const std::vector<float>& w, int64_t n, int64_t k, DType);
Unit unit_of(const WeightForm&, DType);
void define_packed(CWriter&, const WeightForm&, DType);  // its record's type
// w packed: the record's address.
std::string store_packed(CWriter&, const WeightForm&, const std::vector<float>& w, int64_t n, int64_t k, DType);
std::string index_text(int bits, int i, std::string_view bytes = "u");          // the index of weight i of a unit: "u[0] >> 4"

}  // namespace miniten::c
