"""The loaded models, name -> Predictor, and for each model that failed to load the reason."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from models.checkpoint.checkpoint import MANIFEST, load_checkpoint
from models.errors import CheckpointError
from models.inference.inspection import Inspection, plan
from models.inference.predictor import Predictor
from models.runtime.cpu.fused import FusedRunner
from models.runtime.cpu.kernel import KernelUnavailable, choose
from models.runtime.cpu.tables import tabulate

from .errors import StartupError, UnknownModel
from .settings import Settings

log = logging.getLogger(__name__)
PREFERRED_DEFAULT = "zh-sentiment-bilstm"
_WARM_UP = "我想吃汉堡 The quick brown fox"


@dataclass
class Registry:
    """Loaded predictors by name, and the reason for each folder that could not be loaded."""

    predictors: dict[str, Predictor] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    wanted_default: str | None = None
    loaded: bool = False

    def get(self, name: str) -> Predictor:
        """Raises: UnknownModel, with the reason where the model is broken."""
        found = self.predictors.get(name)
        if found is None:
            raise UnknownModel(name, self.names, self.broken.get(name))
        return found

    @property
    def names(self) -> list[str]:
        return sorted(self.predictors)

    @property
    def default(self) -> str | None:
        """The default model's name; None where no model is loaded."""
        for name in (self.wanted_default, PREFERRED_DEFAULT):
            if name in self.predictors:
                return name
        return next(iter(self.names), None)

    def load(self, settings: Settings, device: torch.device) -> None:
        """Load and warm every model of the folder; one that fails goes into `broken` and never stops the others."""
        for folder in folders(settings.weights_dir):
            try:
                checkpoint = load_checkpoint(folder)
                name = checkpoint.manifest.name
                predictor = Predictor(
                    checkpoint,
                    device,
                    settings.max_batch_tokens,
                    settings.kernel,
                    settings.precision_of(name),
                    settings.threads,
                )
                if name in self.predictors:
                    raise CheckpointError(f"another folder holds a model of the name {name}: rename one")
                predictor.predict([_WARM_UP])
                predictor.run([predictor.prepare(_WARM_UP)], plan(Inspection(), predictor.shape))
                self.predictors[name] = predictor
                log.info("loaded %s (%d parameters)", name, predictor.checkpoint.parameters)
            except CheckpointError as error:
                self._record_broken(folder, str(error))
            except Exception as error:  # any other failure of one model must not stop the others
                log.error("%s cannot be run", folder.name, exc_info=error)
                self._record_broken(folder, "it cannot be run: the server's log has the details")
        fused = [p.runner for p in self.predictors.values() if isinstance(p.runner, FusedRunner)]
        if fused:
            table_bytes = tabulate(fused, settings.table_cache_mb * 1_000_000)
            log.info("tables of looked-up inputs take %.0f MB", table_bytes / 1e6)
        if not self.predictors:
            log.error("no model could be loaded from %s", settings.weights_dir)
        for name in set(settings.models_of_a_precision) - set(self.predictors):
            log.error("GATESCOPE_PRECISION names the model %s, which is not loaded", name)
        if self.wanted_default and self.wanted_default not in self.predictors:
            log.error(
                "the default model %s is not loaded; %s is the default instead", self.wanted_default, self.default
            )
        self.loaded = True

    def _record_broken(self, folder: Path, reason: str) -> None:
        self.broken[folder.name] = reason
        log.error("%s is broken: %s", folder.name, reason)


def folders(weights_dir: Path) -> Iterator[Path]:
    """`weights_dir` itself where it holds one model, else its subfolders sorted by name; hidden ones are skipped."""
    if (weights_dir / MANIFEST).exists():
        yield weights_dir
    elif weights_dir.is_dir():
        yield from sorted(p for p in weights_dir.iterdir() if p.is_dir() and not p.name.startswith("."))


def check_weights(settings: Settings) -> None:
    """Raises: StartupError where there is no model to load, and none is promised for later."""
    folder = settings.weights_dir
    if settings.allow_empty or any((each / MANIFEST).exists() for each in folders(folder)):
        return
    found = "holds no model" if folder.is_dir() else "is not a folder" if folder.exists() else "does not exist"
    raise StartupError(
        f"GATESCOPE_WEIGHTS_DIR is {str(folder)!r}, which {found}: name one model's folder or a folder of models, "
        "or set GATESCOPE_ALLOW_EMPTY=true where it is mounted later"
    )


def check_kernel(settings: Settings, device: torch.device) -> None:
    """Log which kernel runs the recurrences.

    Raises: StartupError where the requested kernel, or the one that bfloat16 needs, is not available.
    """
    try:
        kernel = choose(settings.kernel) if device.type == "cpu" else None
    except KernelUnavailable as error:
        raise StartupError(f"GATESCOPE_KERNEL is {settings.kernel!r}: {error}") from error
    if settings.uses_bfloat16 and not kernel:
        raise StartupError(
            f"GATESCOPE_PRECISION is {settings.precision!r}, and bfloat16 runs on the CPU's fused kernel alone: "
            "leave it out, or set GATESCOPE_DEVICE and GATESCOPE_KERNEL so that this kernel runs"
        )
    if device.type != "cpu":
        return
    if kernel:
        log.info("the recurrences run on the fused kernel for %s", kernel.name)
    elif settings.kernel == "torch":
        log.info("the recurrences run on torch's kernels")
    else:
        log.warning("the recurrences run on torch's kernels: the fused kernel was not built, for want of a compiler")


def choose_device(setting: str) -> torch.device:
    """Raises: StartupError where CUDA is asked for and there is no CUDA device."""
    if setting == "cuda" and not torch.cuda.is_available():
        raise StartupError(
            "GATESCOPE_DEVICE is cuda and no CUDA device was found: "
            "set it to auto or cpu, or run the container with --gpus all"
        )
    if setting == "auto" and not torch.cuda.is_available():
        log.info("no CUDA device was found: running on the CPU")
        return torch.device("cpu")
    return torch.device("cpu" if setting == "cpu" else "cuda")
