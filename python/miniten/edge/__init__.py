"""Quantise, prune, measure, estimate and export models. Each part is a module; the main names are here."""

from miniten.edge import benchmark, compression, export, pruning, quantization, utils
from miniten.edge.benchmark import (
    BenchmarkReport,
    benchmark_layer,
    benchmark_model,
    compare_models,
    latency_test,
    memory_benchmark,
    profile_by_layer,
    soak_test,
    throughput_test,
)
from miniten.edge.compression import LowRankApproximation, SharedModel, compress, compress_model, knowledge_distillation, low_rank, weight_sharing
from miniten.edge.export import diff as diff, export_c, export_check as export_check, export_miniten, export_onnx, export_tflite, from_keras, from_torch, load_miniten, load_onnx, load_tflite, package, with_preprocessing
from miniten.edge.pruning import GradualPruning, PrunedModel, channel_groups, magnitude_prune, prune_model, rewind, sensitivity_scan, structured_prune
from miniten.edge.quantization import (
    PreparedModel,
    QuantizationConfig,
    QuantizedConv2d,
    QuantizedGRU,
    QuantizedLinear,
    QuantizedLSTM,
    QuantizedModel,
    QuantizedRNN,
    compare_quantized,
    convert,
    dequantize_tensor,
    prepare_qat,
    quantize_model,
    quantize_tensor,
    quantize_with_accuracy,
)
from miniten.edge.utils import (
    Device,
    battery_life,
    check_edge_compatibility,
    count_flops,
    count_parameters,
    devices,
    estimate_latency,
    estimate_memory,
    estimate_power,
    estimate_training_memory,
    model_summary,
    probe,
)

__all__ = [
    "BenchmarkReport", "Device", "GradualPruning", "LowRankApproximation", "PreparedModel", "PrunedModel", "QuantizationConfig", "QuantizedConv2d",
    "QuantizedGRU", "QuantizedLSTM", "QuantizedLinear", "QuantizedModel", "QuantizedRNN", "SharedModel", "battery_life", "benchmark", "benchmark_layer", "benchmark_model", "channel_groups", "check_edge_compatibility",
    "compare_models", "compress", "compare_quantized", "compress_model", "compression", "convert", "count_flops", "count_parameters", "dequantize_tensor", "devices",
    "estimate_latency", "estimate_memory", "estimate_power", "estimate_training_memory", "export", "export_c", "export_miniten", "export_onnx",
    "export_tflite", "from_keras", "from_torch", "knowledge_distillation", "latency_test", "load_miniten", "load_onnx", "load_tflite", "low_rank", "magnitude_prune", "memory_benchmark",
    "model_summary", "package", "prepare_qat", "probe", "profile_by_layer", "prune_model", "pruning", "quantization", "quantize_model", "quantize_tensor", "rewind",
    "sensitivity_scan", "quantize_with_accuracy", "soak_test", "structured_prune", "throughput_test", "utils", "weight_sharing", "with_preprocessing",
]
