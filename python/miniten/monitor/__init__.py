"""Watch training: metrics on disk, runs compared, callbacks, profilers."""

from miniten._core import Experiment, MetricsLogger
from miniten.monitor import callbacks, dashboard, profiler
from miniten.monitor.callbacks import (
    Callback,
    CallbackList,
    CSVLogger,
    EarlyStopping,
    GradientMonitor,
    LearningRateMonitor,
    LearningRateScheduler,
    ModelCheckpoint,
    ProgressBar,
    QuantizationSchedule,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from miniten.monitor.dashboard import Dashboard, LiveServer
from miniten.monitor.profiler import FLOPsCounter, MemoryProfiler, PerformanceProfiler, Profile, estimate_model_size, profile_function

__all__ = [
    "CSVLogger", "Callback", "CallbackList", "Dashboard", "EarlyStopping", "Experiment", "FLOPsCounter", "GradientMonitor", "LearningRateMonitor", "LearningRateScheduler",
    "LiveServer", "MemoryProfiler", "MetricsLogger", "ModelCheckpoint", "PerformanceProfiler", "Profile", "ProgressBar", "QuantizationSchedule", "ReduceLROnPlateau", "TerminateOnNaN",
    "callbacks", "dashboard", "estimate_model_size", "profile_function", "profiler",
]
