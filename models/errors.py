"""What can go wrong with a model, drawn as a tree. None of these knows HTTP.

ModelError
├── CheckpointError            a weights/ folder that cannot be served
│   ├── MissingFile
│   ├── ManifestError
│   ├── DigestMismatch
│   └── WeightMismatch
├── InputError                 a text or an option that this model cannot answer
│   ├── EmptyText
│   ├── TooManyTokens
│   ├── TooManyCharacters
│   ├── ActivationsUnavailable
│   ├── NotStreamable
│   ├── SelectionError
│   └── OptionError
├── TrainingError              data or a recipe that cannot be trained on
│   ├── BadRow
│   └── RecipeError
└── BatchError                 a file of texts that cannot be answered

Every message is one sentence: what was found, what is allowed, what to do.
"""

from collections.abc import Sequence
from pathlib import Path


class ModelError(Exception):
    """The root: ``except ModelError`` catches whatever this package raises on purpose."""


class CheckpointError(ModelError):
    """A weights folder is unusable; the message says which file and why."""


class MissingFile(CheckpointError):
    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path.name} is missing in {path.parent.name}/: restore the file or remove the folder")


class ManifestError(CheckpointError):
    def __init__(self, folder: Path, problem: str) -> None:
        self.folder, self.problem = folder, problem
        super().__init__(f"the manifest of {folder.name}/ is not usable: {problem}")


class DigestMismatch(CheckpointError):
    def __init__(self, path: Path, expected: str, found: str) -> None:
        self.path, self.expected, self.found = path, expected, found
        super().__init__(
            f"{path.name} in {path.parent.name}/ has sha256 {found[:12]}…, the manifest says {expected[:12]}…: "
            "the file was changed or truncated, restore it"
        )


class WeightMismatch(CheckpointError):
    def __init__(self, path: Path, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"{path.name} in {path.parent.name}/ does not fit its manifest: {problem}")


class InputError(ModelError):
    """The request is well-formed, but not one that this model can answer."""


class EmptyText(InputError):
    def __init__(self, index: int | None = None) -> None:
        self.index = index
        which = "the text" if index is None else f"text {index}"
        super().__init__(f"{which} has no token (it is empty or white space alone): send at least one character")


class TooManyTokens(InputError):
    def __init__(self, found: int, limit: int) -> None:
        self.found, self.limit = found, limit
        super().__init__(f"the text has {found} tokens and this model takes at most {limit}: send it in parts")


class TooManyCharacters(InputError):
    def __init__(self, found: int, limit: int) -> None:
        self.found, self.limit = found, limit
        super().__init__(f"the text has {found} characters and this model takes at most {limit}: send it in parts")


class ActivationsUnavailable(InputError):
    """A tensor was asked for that this cell does not have."""

    def __init__(self, asked: str, available: Sequence[str]) -> None:
        self.asked, self.available = asked, tuple(available)
        super().__init__(f"there is no tensor {asked!r} in this model: it has {', '.join(available)}")


class NotStreamable(InputError):
    """A model that cannot be fed in chunks; streamable: those that can, where they are known."""

    def __init__(self, name: str, reason: str, streamable: Sequence[str] | None = None) -> None:
        self.name, self.reason, self.streamable = name, reason, streamable
        others = "" if streamable is None else f" ({', '.join(streamable) or 'none is loaded'})"
        super().__init__(f"{name} {reason}: ask a forward-only model{others}, or send the whole text to predict")


class SelectionError(InputError):
    """An index that does not exist, or stands twice."""


class OptionError(InputError):
    """An option that this model has no use for, or a value outside what it allows."""


class TrainingError(ModelError):
    """Training cannot start or go on; the message says what to mend."""


class BadRow(TrainingError):
    def __init__(self, path: Path, line: int, problem: str) -> None:
        self.path, self.line, self.problem = path, line, problem
        super().__init__(f"{path}:{line}: {problem}")


class RecipeError(TrainingError):
    """A hyperparameter that is unknown or out of its range."""


class BatchError(ModelError):
    """A batch cannot start or go on; the message says what to change."""
