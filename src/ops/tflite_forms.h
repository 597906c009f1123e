#pragma once
#include "miniten/core/foreign_tflite.h"
#include "miniten/ops/ops.h"

// Ops that stand for compositions while a .tflite file is written: tflite_forms.cpp has them, tflite_patterns.cpp finds them.
namespace miniten::to_tflite {

// Of rows along `axis` and columns behind it: 2, or 1 where channels come last.
struct ResizeAttrs { int64_t height = 0, width = 0; bool align_corners = false, half_pixel_centers = false; int64_t axis = 2;
                     void fields(auto f) { f("height", height); f("width", width); f("align_corners", align_corners); f("half_pixel_centers", half_pixel_centers); f("axis", axis); } };

// Blocks of images (N, H, W, C).
struct BlockAttrs { int64_t size = 1; void fields(auto f) { f("block_size", size); } };

extern const OpDef prelu_form, tanh_gelu_form, resize_nearest_form, resize_bilinear_form, depth_to_space_form, space_to_depth_form;

int64_t nearest_source(int64_t o, int64_t in, int64_t out, bool half_pixel_centers);
struct Between { int64_t lower, upper; float weight; };                // weight of upper
Between linear_source(int64_t o, int64_t in, int64_t out, bool align_corners, bool half_pixel_centers);

}  // namespace miniten::to_tflite
