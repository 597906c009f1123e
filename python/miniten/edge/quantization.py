"""Models and tensors in integers. The arithmetic is in docs/edge/quantization.md."""

from miniten._core import (
    QuantizationConfig,
    QuantizationReport,
    QuantizedModel,
    dequantize_tensor,
    quantize_model,
    quantize_tensor,
)

__all__ = ["QuantizationConfig", "QuantizationReport", "QuantizedModel", "dequantize_tensor", "quantize_model", "quantize_tensor"]
