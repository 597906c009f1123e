#pragma once
#include "kernels/activation.h"
#include "kernels/binary.h"
#include "kernels/convert.h"
#include "kernels/depthwise.h"
#include "kernels/gemm.h"
#include "kernels/image.h"
#include "kernels/norm.h"
#include "kernels/pool.h"
#include "kernels/recurrent.h"
#include "kernels/reduce.h"
#include "kernels/softmax.h"
#include "kernels/sparse.h"
#include "kernels/table_in_use.h"
#include "kernels/transpose.h"
#include "kernels/unary.h"
#include "kernels/update.h"
#include "kernels/winograd.h"

// The float kernels each target provides: X(name, result, parameters). Contracts stand in the public kernel headers.
#define MINITEN_FLOAT_KERNELS(X)                                                                                       \
  X(gemm, void, (const GemmShape& shape, const float* a, const float* packed, float* c, const Epilogue& epilogue))     \
  X(sparse_gemm, void,                                                                                                 \
    (const GemmShape& shape, const float* a, const std::byte* packed, int64_t panel, float* c, const Epilogue& e))     \
  X(csr_gemm, void,                                                                                                    \
    (const GemmShape& shape, const float* a, const std::byte* packed, int64_t first, float* c, const Epilogue& e))     \
  X(csr_product, void,                                                                                                 \
    (const int32_t* begin, const int32_t* column, const float* value, int64_t rows, const float* x, int64_t n, float* y)) \
  X(winograd_inputs, void,                                                                                             \
    (const WinogradShape& shape, const float* x, int64_t begin, int64_t end, const float* zeros, float* to,            \
     int64_t stride))                                                                                                  \
  X(winograd_outputs, void,                                                                                            \
    (const WinogradShape& shape, const WinogradPart& part, const float* packed, const Epilogue& e, float* y))          \
  X(depthwise, void,                                                                                                   \
    (const DepthwiseShape& shape, const float* x, const float* w, const float* bias, float lo, float hi, float* y))    \
  X(depthwise_input, void, (const DepthwiseShape& shape, const float* dy, const float* w, float* dx))                  \
  X(depthwise_weight, void, (const DepthwiseShape& shape, const float* x, const float* dy, float* dw))                 \
  X(max_pool, void, (const PoolShape& shape, const float* x, float* y, int64_t row_begin, int64_t row_end))            \
  X(avg_pool, void, (const PoolShape& shape, const float* x, float* y, int64_t row_begin, int64_t row_end))            \
  X(max_pool_scatter, void, (const PoolShape& shape, const float* x, const float* g, float* y))                        \
  X(unary, void, (Unary op, const float* x, float* y, int64_t n))                                                      \
  X(activation, void, (Activation kind, float alpha, const float* x, float* y, int64_t n))                             \
  X(activation_slope, void,                                                                                            \
    (Activation kind, float alpha, const float* g, const float* x, float* y, int64_t n))                               \
  X(clamp, void, (const float* x, float lo, float hi, float* y, int64_t n))                                            \
  X(clamp_slope, void, (const float* g, const float* x, float lo, float hi, float* y, int64_t n))                      \
  X(from_floats, void, (Stored to, const float* x, void* y, int64_t n))                                                \
  X(to_floats, void, (Stored from, const void* x, float* y, int64_t n))                                                \
  X(narrow_pairs, void, (const float* a, const float* b, uint32_t* y, int64_t n))                                      \
  X(transpose, void, (const float* x, int64_t x_row, float* y, int64_t y_row, int64_t n, int64_t m))                   \
  X(binary, void, (Binary op, const float* a, int64_t a_step, const float* b, int64_t b_step, float* y, int64_t n))    \
  X(choose, void,                                                                                                      \
    (const bool* condition, const float* a, int64_t a_step, const float* b, int64_t b_step, float* y, int64_t n))      \
  X(add_scaled, void, (const float* a, float scale, float* y, int64_t n))                                              \
  X(sum, float, (const float* x, int64_t n))                                                                           \
  X(sum_squares, float, (const float* x, int64_t n))                                                                   \
  X(max, float, (const float* x, int64_t n))                                                                           \
  X(min, float, (const float* x, int64_t n))                                                                           \
  X(sum_f64, double, (const float* x, int64_t n))                                                                      \
  X(dot_rows, void, (const float* a, int64_t a_row, int64_t rows, int64_t n, const float* x, float* y))                \
  X(add_rows, void, (const float* x, int64_t rows, int64_t row_stride, int64_t n, float* y))                           \
  X(max_rows, void, (const float* x, int64_t rows, int64_t row_stride, int64_t n, float* y))                           \
  X(min_rows, void, (const float* x, int64_t rows, int64_t row_stride, int64_t n, float* y))                           \
  X(mean_var_rows, void,                                                                                               \
    (const float* x, int64_t rows, int64_t row_stride, int64_t n, float* mean, float* var))                            \
  X(affine_rows, void,                                                                                                 \
    (const float* x, int64_t rows, int64_t n, const float* scale, const float* shift, float* y))                       \
  X(blend_rows, void,                                                                                                  \
    (const float* g, const float* x, int64_t rows, int64_t n, const float* a, const float* b, const float* c,          \
     float* y))                                                                                                        \
  X(moments_rows, void,                                                                                                \
    (const float* g, const float* x, int64_t rows, int64_t n, const float* centre, float* sum, float* product))        \
  X(softmax, void, (const float* x, float* y, int64_t rows, int64_t n))                                                \
  X(softmax_parts, void, (const float* x, float* y, float* shares, int64_t rows, int64_t n))                          \
  X(scale_rows, void, (float* y, const float* by, int64_t rows, int64_t n))                                            \
  X(log_softmax, void, (const float* x, float* y, int64_t rows, int64_t n))                                            \
  X(layer_norm_rows, void,                                                                                             \
    (const float* x, int64_t rows, int64_t n, float eps, const float* weight, const float* bias, float* y))            \
  X(lstm_cell, void,                                                                                                   \
    (const float* gates, const int* order, const float* c_before, float* c, float* h, float* saved, int64_t n,         \
     int64_t block))                                                                                                   \
  X(lstm_cell_backward, void,                                                                                          \
    (const float* saved, const float* c_before, const float* dh, const int* order, float* dc, float* dgates, int64_t n)) \
  X(gru_cell, void,                                                                                                    \
    (const float* from_x, const float* from_h, const int* order, const float* h_before, float* h, float* saved,        \
     int64_t n, int64_t block))                                                                                        \
  X(gru_cell_backward, void,                                                                                           \
    (const float* saved, const float* h_before, const int* order, float* dh, float* dfrom_x, float* dfrom_h,           \
     int64_t n))                                                                                                       \
  X(adam, void, (const AdamStep& step, const float* g, float* p, float* m, float* v, int64_t n))                       \
  X(sgd, void, (const SgdStep& step, const float* g, float* p, float* buf, int64_t n))                                 \
  X(image_rows_u8, void, (const uint8_t* const* rows, const float* weight, int taps, float* y, int64_t n))             \
  X(image_rows_u16, void, (const uint16_t* const* rows, const float* weight, int taps, float* y, int64_t n))           \
  X(image_rows_f32, void, (const float* const* rows, const float* weight, int taps, float* y, int64_t n))              \
  X(image_taps, void, (const float* x, const float* weight, int taps, int64_t step, float* y, int64_t n))              \
  X(image_columns, void,                                                                                               \
    (const float* x, const int32_t* first, const float* weight, int taps, int64_t channels, float* y, int64_t width))  \
  X(image_store, void, (const float* x, uint8_t* y, int64_t n))                                                        \
  X(image_scale_u8, void,                                                                                              \
    (const uint8_t* x, const float* scale, const float* shift, int64_t period, float* y, int64_t n))                   \
  X(image_scale_f32, void,                                                                                             \
    (const float* x, const float* scale, const float* shift, int64_t period, float* y, int64_t n))                     \
  X(image_sobel, void,                                                                                                 \
    (const uint8_t* a, const uint8_t* b, const uint8_t* e, int64_t channels, int16_t* gx, int16_t* gy, int64_t n))     \
  X(image_planes, void,                                                                                                \
    (const uint8_t* x, int64_t channels, const float* scale, const float* shift, float* y, int64_t n))                 \
  X(image_bilinear, void,                                                                                              \
    (const uint8_t* a, const uint8_t* b, int16_t down, int64_t n, const int32_t* first, const int16_t* across,         \
     int64_t channels, int16_t* line, uint8_t* y, int64_t width))                                                      \
  X(image_blur_rows, void, (const uint8_t* const* rows, const uint16_t* weight, int side, uint16_t* y, int64_t n))     \
  X(image_blur_taps, void,                                                                                             \
    (const uint16_t* x, const uint16_t* weight, int side, int64_t step, uint8_t* y, int64_t n))                        \
  X(image_luma, void, (const uint8_t* x, int64_t channels, uint8_t* y, int64_t n))                                     \
  X(image_magnitude, void, (const int16_t* gx, const int16_t* gy, int16_t* m, int64_t n))                              \
  X(image_canny, void,                                                                                                 \
    (const int16_t* above, const int16_t* m, const int16_t* below, const int16_t* gx, const int16_t* gy, int16_t low,  \
     int16_t up, uint8_t* mark, int64_t n))

namespace miniten::kernels {

struct FloatTable {
#define MINITEN_MEMBER(name, result, parameters) result(*name) parameters;
  MINITEN_FLOAT_KERNELS(MINITEN_MEMBER)
#undef MINITEN_MEMBER
};

MINITEN_TABLE_IN_USE(FloatTable, ftable, MINITEN_FLOAT_KERNELS)

}  // namespace miniten::kernels

#define MINITEN_DECLARE(name, result, parameters) result name parameters;
#ifdef MINITEN_TARGET
namespace miniten::kernels::MINITEN_TARGET {
MINITEN_FLOAT_KERNELS(MINITEN_DECLARE)
}
#endif
