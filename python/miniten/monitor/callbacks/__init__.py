"""What Trainer.fit calls while it trains: docs/monitor/callbacks.md.

Epochs and batches count from 0. logs is the dict of what was measured so far; a callback may add to it. A loop of one's own
calls a CallbackList the same way.
"""

from miniten.monitor.callbacks.base import Callback, CallbackList
from miniten.monitor.callbacks.checkpoints import ModelCheckpoint
from miniten.monitor.callbacks.learning_rate import LearningRateMonitor, LearningRateScheduler, ReduceLROnPlateau
from miniten.monitor.callbacks.progress import ProgressBar
from miniten.monitor.callbacks.records import CSVLogger, GradientMonitor
from miniten.monitor.callbacks.schedules import QuantizationSchedule
from miniten.monitor.callbacks.stopping import EarlyStopping, TerminateOnNaN

__all__ = [
    "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "GradientMonitor", "LearningRateMonitor", "LearningRateScheduler", "ModelCheckpoint", "ProgressBar",
    "QuantizationSchedule", "ReduceLROnPlateau", "TerminateOnNaN",
]
