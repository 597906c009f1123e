#pragma once
#include "miniten/nn/layers.h"

namespace miniten::nn {

struct Conv1dOptions {
  int64_t kernel_size = 1, stride = 1;
  Dims padding{0, 0};                      // left, right
  int64_t dilation = 1, groups = 1;
  bool bias = true;
  std::string padding_mode = "zeros";
};
class Conv1d : public Module {             // (N, C, L) -> (N, O, L'); weight (O, C / groups, K), bias (O,)
 public:
  Conv1d(int64_t in_channels, int64_t out_channels, const Conv1dOptions&);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "Conv1d"; }
  std::string extra_repr() const override;
  int64_t in_channels, out_channels;
  Conv1dOptions options;
};
struct DilatedConv2d : Conv2d {            // Conv2d whose dilation is 2 unless said otherwise
  using Conv2d::Conv2d;
  std::string type_name() const override { return "DilatedConv2d"; }
};

// The gradient of a convolution's input as a layer; weight (C, O / groups, ..), bias (O,).
class ConvTranspose : public Module {
 public:
  ConvTranspose(int dims, int64_t in_channels, int64_t out_channels, const Conv2dOptions&, Dims output_padding);   // 1: height is 1
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return dims_ == 1 ? "ConvTranspose1d" : "ConvTranspose2d"; }
  std::string extra_repr() const override;
  int64_t in_channels, out_channels;
  Conv2dOptions options;
  Dims output_padding;

 private:
  int dims_;
};
struct ConvTranspose2d : ConvTranspose {
  ConvTranspose2d(int64_t in, int64_t out, const Conv2dOptions& o, Dims output_padding = {0, 0}) : ConvTranspose(2, in, out, o, output_padding) {}
};
struct ConvTranspose1d : ConvTranspose {   // the second entries of the options count
  ConvTranspose1d(int64_t in, int64_t out, const Conv2dOptions& o, Dims output_padding = {0, 0}) : ConvTranspose(1, in, out, o, output_padding) {}
};

struct MaxPool1d : Activation { explicit MaxPool1d(int64_t kernel, int64_t stride = 0, int64_t padding = 0, int64_t dilation = 1, bool ceil_mode = false); };
struct AvgPool1d : Activation { explicit AvgPool1d(int64_t kernel, int64_t stride = 0, int64_t padding = 0, bool ceil_mode = false, bool count_include_pad = true); };
struct AdaptiveAvgPool1d : Activation { explicit AdaptiveAvgPool1d(int64_t output_size); };
struct AdaptiveMaxPool1d : Activation { explicit AdaptiveMaxPool1d(int64_t output_size); };
struct AdaptiveMaxPool2d : Activation { explicit AdaptiveMaxPool2d(Dims output_size); };
struct PixelShuffle : Activation { explicit PixelShuffle(int64_t upscale_factor); };
struct PixelUnshuffle : Activation { explicit PixelUnshuffle(int64_t downscale_factor); };
struct ChannelShuffle : Activation { explicit ChannelShuffle(int64_t groups); };
struct ZeroPad2d : Activation { explicit ZeroPad2d(Dims left_right_top_bottom); };
struct ReflectionPad2d : Activation { explicit ReflectionPad2d(Dims left_right_top_bottom); };
struct ReplicationPad2d : Activation { explicit ReplicationPad2d(Dims left_right_top_bottom); };
struct Unfold : Activation { explicit Unfold(const functional::WindowOptions&); };
struct Fold : Activation { Fold(Dims output_size, const functional::WindowOptions&); };
struct Unflatten : Activation { Unflatten(int dim, Shape sizes); };

class Upsample : public Module {           // by size or by scale (one for each spatial axis); see functional::interpolate
 public:
  Upsample(Dims size, std::vector<double> scale_factor, std::string mode = "nearest", bool align_corners = false);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "Upsample"; }
  std::string extra_repr() const override;

 private:
  Dims size_;
  std::vector<double> scale_;
  std::string mode_;
  bool align_corners_;
};
class Embedding : public Module {          // integers (..) -> (.., embedding_dim); weight (num_embeddings, embedding_dim)
 public:
  Embedding(int64_t num_embeddings, int64_t embedding_dim, std::optional<int64_t> padding_idx = {});
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "Embedding"; }
  std::string extra_repr() const override;
  int64_t num_embeddings, embedding_dim;
  std::optional<int64_t> padding_idx;
};

}  // namespace miniten::nn
