#pragma once
#include "kernels/qblocks.h"
#include "kernels/qdepthwise16.h"
#include "kernels/qgemm16.h"
#include "kernels/qpointwise16.h"
#include "kernels/qpool.h"
#include "kernels/sparse.h"
#include "kernels/table_in_use.h"

// The integer kernels each target provides: X(name, result, parameters). Contracts stand in the kernel headers. A target
// that adds dot products of bytes to another, its base, has kernels of its own only where those count; one that adds
// tiles to that, its dot base, only the dense products.
#define MINITEN_INTEGER_KERNELS(X) MINITEN_PRODUCT_KERNELS(X) MINITEN_DOT_KERNELS(X) MINITEN_PLAIN_KERNELS(X)
#define MINITEN_PRODUCT_KERNELS(X)                                                                                        \
  X(qgemm, void, (const QGemmShape& shape, const void* a, const std::byte* packed, void* c, const QEpilogue& e))       \
  X(qgemm_f32, void, (const QGemmShape& shape, const void* a, const std::byte* packed, float* c, const QEpilogueF32& e)) \
  X(qgemm_flips_from, int64_t, ())
#define MINITEN_DOT_KERNELS(X)                                                                                            \
  X(sparse_qgemm, void,                                                                                                \
    (const QGemmShape& shape, const void* a, const int32_t* sums, const std::byte* packed, void* c, const QEpilogue& e)) \
  X(sparse_qgemm_f32, void,                                                                                            \
    (const QGemmShape& shape, const void* a, const int32_t* sums, const std::byte* packed, float* c, const QEpilogueF32& e)) \
  X(qdepthwise, void, (const QDepthwiseShape& shape, const void* x, const int8_t* w, void* y, const QEpilogue& e))     \
  X(qdepthwise_f32, void, (const QDepthwiseShape& shape, const void* x, const int8_t* w, float* y, const QEpilogueF32& e))
#define MINITEN_PLAIN_KERNELS(X)                                                                                          \
  X(csr_qgemm, void,                                                                                                   \
    (const QGemmShape& shape, const void* a, const int32_t* sums, const std::byte* packed, void* c, const QEpilogue& e)) \
  X(csr_qgemm_f32, void,                                                                                               \
    (const QGemmShape& shape, const void* a, const int32_t* sums, const std::byte* packed, float* c, const QEpilogueF32& e)) \
  X(quantize, void, (const float* x, void* q, int64_t n, float scale, int32_t zero, int32_t lo, int32_t hi))           \
  X(dequantize, void, (const void* q, float* x, int64_t n, float scale, int32_t zero, bool is_signed))                 \
  X(requantize, void, (const void* x, void* y, int64_t n, const QRequantizeParams& p))                                 \
  X(qadd, void, (const void* a, const void* b, void* y, int64_t n, const QAddParams& p))                               \
  X(flip_signs, void, (uint8_t* x, int64_t n))                                                                         \
  X(minmax, bool, (const float* x, int64_t n, float& lo, float& hi))                                                   \
  X(qavg_pool, void, (const PoolShape& s, const void* x, void* y, const QPoolParams& p, int64_t begin, int64_t end))   \
  X(qmax_pool, void, (const PoolShape& s, const void* x, void* y, bool is_signed, int64_t begin, int64_t end))         \
  X(qgemm16, void,                                                                                                     \
    (const QGemmShape& shape, const int16_t* a, const std::byte* packed, bool narrow, void* c, const Q16Epilogue& e))  \
  X(qgemm16_f32, void,                                                                                                 \
    (const QGemmShape& shape, const int16_t* a, const std::byte* packed, bool narrow, float* c, const Q16EpilogueF32& e)) \
  X(qdepthwise16, void,                                                                                                \
    (const QDepthwiseShape& shape, const int16_t* x, const int16_t* w, bool narrow, int16_t* y, const Q16Epilogue& e)) \
  X(qdepthwise16_f32, void,                                                                                            \
    (const QDepthwiseShape& shape, const int16_t* x, const int16_t* w, bool narrow, float* y, const Q16EpilogueF32& e)) \
  X(quantize16, void, (const float* x, int16_t* q, int64_t n, float scale, int32_t zero))                              \
  X(dequantize16, void, (const int16_t* q, float* x, int64_t n, float scale, int32_t zero))                            \
  X(qadd16, void, (const int16_t* a, const int16_t* b, int16_t* y, int64_t n, const QAddParams& p))                    \
  X(qmul, void, (const void* a, const void* b, void* y, int64_t n, const QMulParams& p))                               \
  X(qmul16, void, (const int16_t* a, const int16_t* b, int16_t* y, int64_t n, const QMulParams& p))                    \
  X(blocks_matvec, void,                                                                                               \
    (const float* x, const void* w, bool four_bits, const float* scale, int64_t rows, int64_t blocks, int64_t block, float* y))

namespace miniten::kernels {

struct QTable {
#define MINITEN_MEMBER(name, result, parameters) result(*name) parameters;
  MINITEN_INTEGER_KERNELS(MINITEN_MEMBER)
#undef MINITEN_MEMBER
};

MINITEN_TABLE_IN_USE(QTable, qtable, MINITEN_INTEGER_KERNELS)

}  // namespace miniten::kernels

#ifdef MINITEN_TARGET
#define MINITEN_DECLARE_Q(name, result, parameters) result name parameters;
#define MINITEN_USE_BASE(name, result, parameters) using MINITEN_BASE::name;
#define MINITEN_USE_DOT_BASE(name, result, parameters) using MINITEN_DOT_BASE::name;
#ifdef MINITEN_BASE
namespace miniten::kernels::MINITEN_BASE {
MINITEN_PLAIN_KERNELS(MINITEN_DECLARE_Q)
}
#ifdef MINITEN_DOT_BASE
namespace miniten::kernels::MINITEN_DOT_BASE {
MINITEN_PRODUCT_KERNELS(MINITEN_DECLARE_Q)
MINITEN_DOT_KERNELS(MINITEN_DECLARE_Q)
}
#endif
namespace miniten::kernels::MINITEN_TARGET {
MINITEN_PRODUCT_KERNELS(MINITEN_DECLARE_Q)
#ifdef MINITEN_DOT_BASE
MINITEN_DOT_KERNELS(MINITEN_USE_DOT_BASE)
#else
MINITEN_DOT_KERNELS(MINITEN_DECLARE_Q)
#endif
MINITEN_PLAIN_KERNELS(MINITEN_USE_BASE)
}
#else
namespace miniten::kernels::MINITEN_TARGET {
MINITEN_INTEGER_KERNELS(MINITEN_DECLARE_Q)
}
#endif
#undef MINITEN_USE_BASE
#undef MINITEN_USE_DOT_BASE
#undef MINITEN_DECLARE_Q
#endif
