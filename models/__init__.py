"""Text in; predictions, hidden states and gates out. Knows torch, never HTTP.

The names that a user of the library needs. Each is imported on first access, so that a command line that only needs an
error class does not wait for torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .checkpoint.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
    from .errors import ModelError
    from .inference.analyst import Analyst
    from .inference.inspection import Inspection, Select, Timesteps
    from .inference.prediction import Prediction
    from .inference.predictor import Predictor
    from .inference.streaming import Streamer

_MODULES = {
    "Analyst": ".inference.analyst",
    "Checkpoint": ".checkpoint.checkpoint",
    "Inspection": ".inference.inspection",
    "ModelError": ".errors",
    "Prediction": ".inference.prediction",
    "Predictor": ".inference.predictor",
    "Select": ".inference.inspection",
    "Streamer": ".inference.streaming",
    "Timesteps": ".inference.inspection",
    "load_checkpoint": ".checkpoint.checkpoint",
    "save_checkpoint": ".checkpoint.checkpoint",
}

__all__ = [
    "Analyst",
    "Checkpoint",
    "Inspection",
    "ModelError",
    "Prediction",
    "Predictor",
    "Select",
    "Streamer",
    "Timesteps",
    "load_checkpoint",
    "save_checkpoint",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
