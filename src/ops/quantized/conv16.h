#pragma once
#include "base/features.h"
#include "miniten/core/op.h"

// The 16-bit forms of qconv2d, qmatmul and their dynamic kin: int16 activations without zero point, int8 or int16
// weights, int64 bias. Rows in conv.cpp and matmul.cpp come here by the dtype of x.
namespace miniten {

constexpr bool is_wide(DType x) { return has_int16 && x == DType::i16; }

Work qconv16_work(const Call&);
uint64_t qconv16_prepare(const Call&, std::span<const View> in, std::byte* to);
void qconv16_eval(const Context&);
Work qconv16_dynamic_work(const Call&);
uint64_t qconv16_dynamic_prepare(const Call&, std::span<const View> in, std::byte* to);
void qconv16_dynamic_eval(const Context&);

Work qmatmul16_work(const Call&);
uint64_t qmatmul16_prepare(const Call&, std::span<const View> in, std::byte* to);
void qmatmul16_eval(const Context&);
Work qmatmul16_dynamic_work(const Call&);
uint64_t qmatmul16_dynamic_prepare(const Call&, std::span<const View> in, std::byte* to);
void qmatmul16_dynamic_eval(const Context&);

}  // namespace miniten
