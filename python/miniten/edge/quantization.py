"""Models and tensors in integers. The arithmetic is in docs/edge/quantization.md."""

from miniten._core import (
    MixedPrecision,
    PreparedModel,
    QuantizationComparison,
    QuantizationConfig,
    QuantizationFix,
    QuantizationReport,
    QuantizedConv2d,
    QuantizedGRU,
    QuantizedLinear,
    QuantizedLSTM,
    QuantizedModel,
    QuantizedRNN,
    compare_quantized,
    convert,
    dequantize_tensor,
    fake_quantize,
    prepare_qat,
    quantize_model,
    quantize_tensor,
    quantize_with_accuracy,
)

__all__ = [
    "MixedPrecision", "PreparedModel", "QuantizationComparison", "QuantizationConfig", "QuantizationFix", "QuantizationReport",
    "QuantizedConv2d", "QuantizedGRU", "QuantizedLSTM", "QuantizedLinear", "QuantizedModel", "QuantizedRNN", "compare_quantized", "convert", "dequantize_tensor", "fake_quantize",
    "prepare_qat", "quantize_model", "quantize_tensor", "quantize_with_accuracy",
]
