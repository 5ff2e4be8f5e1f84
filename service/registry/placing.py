"""Where a model runs: on one device, or on the CPU and a card with each batch on the faster of the two."""

from copy import deepcopy
from dataclasses import replace

import torch

from models.checkpoint.checkpoint import Checkpoint
from models.inference.predictor import Predictor
from models.inference.routing import RoutedPredictor

from ..engine.pace import Pace
from ..settings import Settings

WARM_UP = "我想吃汉堡 The quick brown fox"


def make_predictor(checkpoint: Checkpoint, settings: Settings, device: torch.device) -> Predictor:
    """On the device; where it is `auto`'s card, on the CPU too, and the crossing of the two is measured."""
    precision = settings.precision_of(checkpoint.manifest.name)

    def on(device: torch.device, checkpoint: Checkpoint, kernel: str) -> Predictor:
        return Predictor(checkpoint, device, settings.max_batch_tokens, kernel, precision, settings.threads)

    if settings.device != "auto" or device.type == "cpu":
        return on(device, checkpoint, settings.kernel)
    cpu = on(torch.device("cpu"), checkpoint, "auto" if settings.kernel == "cuda" else settings.kernel)
    card = on(device, replace(checkpoint, network=deepcopy(checkpoint.network)), settings.kernel)
    routed = RoutedPredictor(cpu, card, Pace)
    routed.learn(WARM_UP)
    return routed
