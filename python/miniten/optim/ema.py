"""An exponential moving average of a model's parameters."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator, Mapping

from miniten import _core

__all__ = ["EMA"]


class EMA(_core._EMA):
    """average = decay * average + (1 - decay) * parameter, at each update(). Buffers stay the model's own."""

    @contextlib.contextmanager
    def average_parameters(self) -> Iterator[None]:
        """The model has the averages inside, and its own parameters again afterwards."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def state_dict(self) -> dict[str, Any]:
        return {str(i): t.detach() for i, t in enumerate(self.averages)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        n = len(self.averages)
        if set(state) != {str(i) for i in range(n)}:
            raise ValueError(f"[load_state_dict] expected the averages of {n} parameters, got {sorted(state)}")
        self._restore([state[str(i)] for i in range(n)])
