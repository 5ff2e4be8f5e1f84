"""What must hold before any model is loaded: a weights folder, a device, a kernel."""

import logging

import torch

from models.checkpoint.checkpoint import MANIFEST
from models.runtime.cpu.kernel import KernelUnavailable, choose

from ..errors import StartupError
from ..settings import Settings
from .folders import folders

log = logging.getLogger(__name__)


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
