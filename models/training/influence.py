"""How much a model's output hangs on a token, against the token's distance from the end, over many texts."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ..analysis.fading import unchecked_norms
from ..network.network import Classifier, Tagger
from .batches import Example, collate

DISTANCES = (0, 1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 300)  # tokens before the last one
SAMPLE = 400  # texts, evenly spaced in the data: a backward pass each
FEWEST = 10  # texts that a figure at some distance rests on
_BATCH = 16

Influence = list[dict[str, float | int | None]]


@torch.inference_mode()
def influence(network: Classifier | Tagger, examples: Sequence[Example], device: torch.device) -> Influence:
    """The median over texts of || d output / d x_s ||_2 at each of `DISTANCES`, never scaled.

    The output is the predicted label's logit; of a tagger the best tag's emission at the last token.
    Returns: ``{"distance", "texts", "median"}``; median None where it is beyond every number.
    """
    network.eval()
    chosen = [examples[i] for i in np.linspace(0, len(examples) - 1, min(SAMPLE, len(examples))).astype(int)]
    ordered = sorted(chosen, key=len)
    norms = [n for i in range(0, len(ordered), _BATCH) for n in _norms(network, ordered[i : i + _BATCH], device)]
    return [row for distance in DISTANCES if (row := _row(distance, norms))]


def _norms(
    network: Classifier | Tagger, examples: Sequence[Example], device: torch.device
) -> list[NDArray[np.float64]]:
    batch = collate(examples).to(device)
    run = network.run(batch.ids, batch.lengths)
    outputs = network.outputs(run)
    if isinstance(network, Tagger):
        last = batch.lengths - 1
        outputs, timesteps = outputs[torch.arange(len(last), device=device), last], last.tolist()
    else:
        timesteps = None
    return unchecked_norms(network, run, network.encoder.activations(run), outputs.argmax(1).tolist(), timesteps)


def _row(distance: int, norms: Sequence[NDArray[np.float64]]) -> dict[str, float | int | None] | None:
    norms_at_distance = [n[-1 - distance] for n in norms if len(n) > distance]
    if len(norms_at_distance) < FEWEST:
        return None
    median = float(np.median(np.nan_to_num(norms_at_distance, nan=np.inf)))
    rounded = float(f"{median:.4g}") if np.isfinite(median) else None
    return {"distance": distance, "texts": len(norms_at_distance), "median": rounded}
