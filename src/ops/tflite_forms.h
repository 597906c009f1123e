#pragma once
#include "miniten/core/foreign_tflite.h"
#include "miniten/ops/ops.h"

// Ops that stand for compositions while a .tflite file is written: tflite_forms.cpp has them, tflite_patterns.cpp finds them.
namespace miniten::to_tflite {

struct ResizeAttrs { int64_t height = 0, width = 0; bool align_corners = false, half_pixel_centers = false;
                     void fields(auto f) { f("height", height); f("width", width); f("align_corners", align_corners); f("half_pixel_centers", half_pixel_centers); } };

extern const OpDef prelu_form, tanh_gelu_form, resize_nearest_form, resize_bilinear_form;

int64_t nearest_source(int64_t o, int64_t in, int64_t out, bool half_pixel_centers);
struct Between { int64_t lower, upper; float weight; };                // weight of upper
Between linear_source(int64_t o, int64_t in, int64_t out, bool align_corners);      // half-pixel centres otherwise

}  // namespace miniten::to_tflite
