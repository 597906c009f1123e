#include "miniten/nn/losses.h"
#include "python/layer_binding.h"

namespace miniten::python {

using namespace nb::literals;
using nn::functional::reduction;

// A loss with nothing but a reduction, or with a number before it.
template <class M> static void reduced(nb::module_& m, const char* name, const char* doc) {
  layer<M>(m, name, doc).def("__init__", [name](nb::pointer_and_handle<M> at, std::string_view r) { construct(at, reduction(name, r)); }, "reduction"_a = "mean");
}
template <class M> static void tuned(nb::module_& m, const char* name, const char* argument, double value, const char* doc) {
  layer<M>(m, name, doc).def("__init__", [name](nb::pointer_and_handle<M> at, double v, std::string_view r) { construct(at, v, reduction(name, r)); }, nb::arg(argument) = value, "reduction"_a = "mean");
}

void bind_loss_layers(nb::module_& m) {
  layer<nn::CrossEntropyLoss>(m, "CrossEntropyLoss", "loss(logits (N, C, ..), labels (N, ..) integers in [0, C), or probabilities like the logits).")
      .def("__init__", [](nb::pointer_and_handle<nn::CrossEntropyLoss> at, ArrayLike weight, int64_t ignore, std::string_view r, double smoothing) {
          construct(at, nn::ClassOptions{weight.or_null("CrossEntropyLoss"), ignore, smoothing, reduction("CrossEntropyLoss", r)});
        }, "weight"_a = nb::none(), nb::kw_only(), "ignore_index"_a = -100, "reduction"_a = "mean", "label_smoothing"_a = 0.0)
      .def_prop_ro("label_smoothing", [](const nn::CrossEntropyLoss& l) { return l.label_smoothing; });
  layer<nn::NLLLoss>(m, "NLLLoss", "loss(log probabilities (N, C, ..), labels (N, ..)).")
      .def("__init__", [](nb::pointer_and_handle<nn::NLLLoss> at, ArrayLike weight, int64_t ignore, std::string_view r) {
          construct(at, nn::ClassOptions{weight.or_null("NLLLoss"), ignore, 0, reduction("NLLLoss", r)});
        }, "weight"_a = nb::none(), nb::kw_only(), "ignore_index"_a = -100, "reduction"_a = "mean");
  reduced<nn::MSELoss>(m, "MSELoss", "(prediction - target)^2.");
  reduced<nn::L1Loss>(m, "L1Loss", "|prediction - target|.");
  layer<nn::SmoothL1Loss>(m, "SmoothL1Loss", "Squares below beta, distances above.")
      .def("__init__", [](nb::pointer_and_handle<nn::SmoothL1Loss> at, std::string_view r, double beta) { construct(at, beta, reduction("SmoothL1Loss", r)); }, "reduction"_a = "mean", "beta"_a = 1.0);
  layer<nn::HuberLoss>(m, "HuberLoss", "Squares below delta, distances above.")
      .def("__init__", [](nb::pointer_and_handle<nn::HuberLoss> at, std::string_view r, double delta) { construct(at, delta, reduction("HuberLoss", r)); }, "reduction"_a = "mean", "delta"_a = 1.0);
  layer<nn::BCELoss>(m, "BCELoss", "Of probabilities and targets in [0, 1]; logarithms are cut at -100.")
      .def("__init__", [](nb::pointer_and_handle<nn::BCELoss> at, ArrayLike weight, std::string_view r) { construct(at, weight.or_null("BCELoss"), reduction("BCELoss", r)); },
           "weight"_a = nb::none(), "reduction"_a = "mean");
  layer<nn::BCEWithLogitsLoss>(m, "BCEWithLogitsLoss", "Of logits and targets in [0, 1]; pos_weight scales the positive part.")
      .def("__init__", [](nb::pointer_and_handle<nn::BCEWithLogitsLoss> at, ArrayLike weight, std::string_view r, ArrayLike pos_weight) {
          construct(at, weight.or_null("BCEWithLogitsLoss"), pos_weight.or_null("BCEWithLogitsLoss"), reduction("BCEWithLogitsLoss", r));
        }, "weight"_a = nb::none(), "reduction"_a = "mean", "pos_weight"_a = nb::none());
  layer<nn::KLDivLoss>(m, "KLDivLoss", "loss(log probabilities, probabilities). reduction: also 'batchmean'.")
      .def("__init__", [](nb::pointer_and_handle<nn::KLDivLoss> at, std::string_view r, bool log_target) {
          bool batch = r == "batchmean";
          construct(at, batch ? nn::Reduction::sum : reduction("KLDivLoss", r), log_target, batch);
        }, "reduction"_a = "mean", "log_target"_a = false);
  layer<nn::FocalLoss>(m, "FocalLoss", "Of logits and binary targets (Lin et al. 2017); alpha < 0: no weighting.")
      .def("__init__", [](nb::pointer_and_handle<nn::FocalLoss> at, double alpha, double gamma, std::string_view r) { construct(at, alpha, gamma, reduction("FocalLoss", r)); },
           "alpha"_a = 0.25, "gamma"_a = 2.0, "reduction"_a = "mean");
  layer<nn::TripletMarginLoss>(m, "TripletMarginLoss", "loss(anchor, positive, negative).")
      .def("__init__", [](nb::pointer_and_handle<nn::TripletMarginLoss> at, double margin, double p, double eps, bool swap, std::string_view r) {
          construct(at, margin, p, eps, swap, reduction("TripletMarginLoss", r));
        }, "margin"_a = 1.0, "p"_a = 2.0, "eps"_a = 1e-6, "swap"_a = false, "reduction"_a = "mean");
  tuned<nn::CosineEmbeddingLoss>(m, "CosineEmbeddingLoss", "margin", 0, "loss(a (N, D), b (N, D), target (N,) of 1 and -1).");
  tuned<nn::MarginRankingLoss>(m, "MarginRankingLoss", "margin", 0, "loss(a, b, target of 1 and -1).");
  tuned<nn::HingeEmbeddingLoss>(m, "HingeEmbeddingLoss", "margin", 1, "loss(distances, target of 1 and -1).");
  layer<nn::CTCLoss>(m, "CTCLoss", "loss(log probabilities (T, N, C), targets (N, S), input lengths (N,), target lengths (N,)).")
      .def("__init__", [](nb::pointer_and_handle<nn::CTCLoss> at, int64_t blank, std::string_view r, bool zero_infinity) { construct(at, blank, reduction("CTCLoss", r), zero_infinity); },
           "blank"_a = 0, "reduction"_a = "mean", "zero_infinity"_a = false);
}

}  // namespace miniten::python
