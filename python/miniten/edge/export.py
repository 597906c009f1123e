"""ONNX, TFLite and native files, both ways: docs/edge/export.md. C: docs/edge/export_c.md. Bundles: docs/edge/package.md."""

from miniten._core import DiffReport, DiffRow, ExportCheck, ExportCheckRow, ExportCReport, ExportReport, ExportedPort, OnnxModule, PackageReport, TfliteModule, diff, export_c, export_check, export_miniten, export_onnx, export_tflite, load_miniten, load_onnx, load_tflite, package, with_preprocessing
from miniten.edge._frameworks import from_keras, from_torch

__all__ = ["DiffReport", "DiffRow", "ExportCheck", "ExportCheckRow", "ExportCReport", "ExportReport", "ExportedPort", "OnnxModule", "PackageReport", "TfliteModule", "diff", "export_c", "export_check", "export_miniten", "export_onnx", "export_tflite", "from_keras", "from_torch", "load_miniten", "load_onnx", "load_tflite", "package", "with_preprocessing"]
