"""Other libraries as judges. Where one is not installed its tests are skipped by name; in CI that is a failure."""

import importlib
import os
import shutil

import pytest


class Onnxruntime:
    """onnxruntime with exact integer products: its default saturates sums of two on processors with AVX2 alone."""

    def __init__(self, module):
        self.module = module

    def __getattr__(self, name):
        return getattr(self.module, name)

    def InferenceSession(self, model, sess_options=None, **more):
        options = sess_options or self.module.SessionOptions()
        try:
            options.add_session_config_entry("session.x64quantprecision", "1")
            return self.module.InferenceSession(model, options, **more)
        except Exception:                                    # that way refuses some models that the default takes
            options.add_session_config_entry("session.x64quantprecision", "0")
            return self.module.InferenceSession(model, options, **more)


def judge(name):
    try:
        module = importlib.import_module(name)
        return Onnxruntime(module) if name == "onnxruntime" else module
    except ImportError:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the judge {name} is not installed", allow_module_level=True)


def program(name):
    if shutil.which(name) is None:
        if os.environ.get("CI"):
            raise FileNotFoundError(name)
        pytest.skip(f"the judge {name} is not installed")
    return name
