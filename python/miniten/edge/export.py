"""ONNX and native files, both ways: docs/edge/export.md."""

from miniten._core import ExportReport, OnnxModule, export_miniten, export_onnx, load_miniten, load_onnx

__all__ = ["ExportReport", "OnnxModule", "export_miniten", "export_onnx", "load_miniten", "load_onnx"]
