"""ONNX, TFLite and native files, both ways: docs/edge/export.md."""

from miniten._core import DiffReport, DiffRow, ExportCheck, ExportCheckRow, ExportReport, OnnxModule, diff, export_check, export_miniten, export_onnx, load_miniten, load_onnx, load_tflite

__all__ = ["DiffReport", "DiffRow", "ExportCheck", "ExportCheckRow", "ExportReport", "OnnxModule", "diff", "export_check", "export_miniten", "export_onnx", "load_miniten", "load_onnx", "load_tflite"]
