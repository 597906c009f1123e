"""Exported C as a library: compiled with every warning an error, and UBSan."""
import ctypes
import shutil
import subprocess

import numpy as np

from miniten import nn

CC = shutil.which("gcc") or shutil.which("cc")
FLAGS = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-Wconversion", "-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all"]


def run_command(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def library(folder, name="model", extra=()):
    run_command(CC, *FLAGS, "-shared", "-fPIC", "-o", folder / f"{name}.so", folder / f"{name}.c", *extra, "-lm")
    return ctypes.CDLL(str(folder / f"{name}.so"))


def call(function, inputs, outputs):
    """One array each: run(input, output); else arrays of pointers."""
    pointers = lambda arrays: (ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays])
    if len(inputs) == len(outputs) == 1:
        function(ctypes.c_void_p(inputs[0].ctypes.data), ctypes.c_void_p(outputs[0].ctypes.data))
    else:
        function(pointers(inputs), pointers(outputs))


def macros(header):
    text = header.read_text()
    return lambda key: np.float32(text.split(f"#define {header.stem.upper()}_{key} ")[1].split("\n")[0].strip("()f"))


class Lambda(nn.Module):
    def __init__(self, f, **layers):
        super().__init__()
        self.f = f
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, *inputs):
        return self.f(self, *inputs)
