#pragma once
#include "kernels/qdepthwise.h"
#include "kernels/qgemm.h"
#include "kernels/qpointwise.h"
#include "kernels/qpool.h"

// The int8 kernels each target provides: X(name, result, parameters). Contracts stand in the kernel headers.
#define MINITEN_INT8_KERNELS(X)                                                                                        \
  X(qgemm, void, (const QGemmShape& shape, const void* a, const std::byte* packed, void* c, const QEpilogue& e))       \
  X(qgemm_f32, void, (const QGemmShape& shape, const void* a, const std::byte* packed, float* c, const QEpilogueF32& e)) \
  X(qdepthwise, void, (const QDepthwiseShape& shape, const void* x, const int8_t* w, void* y, const QEpilogue& e))     \
  X(qdepthwise_f32, void, (const QDepthwiseShape& shape, const void* x, const int8_t* w, float* y, const QEpilogueF32& e)) \
  X(quantize, void, (const float* x, void* q, int64_t n, float scale, int32_t zero, int32_t lo, int32_t hi))           \
  X(dequantize, void, (const void* q, float* x, int64_t n, float scale, int32_t zero, bool is_signed))                 \
  X(requantize, void, (const void* x, void* y, int64_t n, const QRequantizeParams& p))                                 \
  X(qadd, void, (const void* a, const void* b, void* y, int64_t n, const QAddParams& p))                               \
  X(minmax, bool, (const float* x, int64_t n, float& lo, float& hi))                                                   \
  X(qavg_pool, void, (const PoolShape& s, const void* x, void* y, const QPoolParams& p, int64_t begin, int64_t end))   \
  X(qmax_pool, void, (const PoolShape& s, const void* x, void* y, bool is_signed, int64_t begin, int64_t end))

namespace miniten::kernels {

struct QTable {
#define MINITEN_MEMBER(name, result, parameters) result(*name) parameters;
  MINITEN_INT8_KERNELS(MINITEN_MEMBER)
#undef MINITEN_MEMBER
};

const QTable& qtable();  // of the instruction set in use

}  // namespace miniten::kernels

#ifdef MINITEN_TARGET
namespace miniten::kernels::MINITEN_TARGET {
#define MINITEN_DECLARE_Q(name, result, parameters) result name parameters;
MINITEN_INT8_KERNELS(MINITEN_DECLARE_Q)
#undef MINITEN_DECLARE_Q
}
#endif
