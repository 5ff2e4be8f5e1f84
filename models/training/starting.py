"""What a model starts from: static vectors of forms, or a language model's tables and recurrences in a file."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..checkpoint.checkpoint import to_key
from ..errors import TrainingError
from ..network.embedding import Embedding
from ..network.network import Network
from ..text.features import Feature, FeatureKind
from ..text.vocabulary import Vocabulary
from .data import static_vectors

log = logging.getLogger(__name__)

START = "start.safetensors"


def write_start(path: Path, model: nn.Module, features: Sequence[Feature]) -> None:
    """The tables and recurrences of a language model, and the forms whose rows they are."""
    kept = {to_key(k): v.detach().cpu().contiguous() for k, v in model.state_dict().items() if k[:3] in ("emb", "enc")}
    forms = {feature.kind: feature.vocabulary.dump() for feature in features if feature.vocabulary}
    save_file(kept, path, {"forms": json.dumps(forms)})


def start_vocabularies(path: Path) -> dict[FeatureKind, Vocabulary]:
    """The forms that a language model has rows for, of tokens and of bigrams.

    Raises: TrainingError where the file is none.
    """
    try:
        with safe_open(path, "pt") as file:
            return {kind: Vocabulary.parse(forms) for kind, forms in json.loads(file.metadata()["forms"]).items()}
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise TrainingError(f"{path} is not what `gatescope pretrain` wrote: {error}") from error


@torch.no_grad()
def start_from(path: Path, network: Network) -> int:
    """Fill a network's tables and recurrences from a language model: vocabularies row by row, the rest as it is.

    Returns: how many of the vocabularies' rows were found.
    Raises:  TrainingError where the file is none, or a tensor of the network has another shape than there.
    """
    started = start_vocabularies(path)
    tensors = load_file(path)
    covered = 0
    own_vocabularies = {f"embedding.{f.kind}": (f.kind, f.vocabulary) for f in network.architecture.features}
    for name, parameter in network.named_parameters():
        key = to_key(name)
        if key.startswith(("head.", "crf.")):
            continue
        kind, vocabulary = own_vocabularies.get(key, (None, None))
        compared = slice(0 if vocabulary is None else 1, None)  # a vocabulary's rows are its own
        if key not in tensors or tensors[key].shape[compared] != parameter.shape[compared]:
            found = list(tensors[key].shape) if key in tensors else "no such tensor"
            raise TrainingError(f"{path}: {key} is {found}, the recipe's is {list(parameter.shape)}: they must agree")
        if kind is None or vocabulary is None:
            parameter.copy_(tensors[key])
            continue
        places = started[kind]
        rows = [(i, places.id(form)) for i, form in enumerate(vocabulary.forms) if form in places]
        own, others = (torch.tensor(column, device=parameter.device) for column in zip(*rows, strict=True))
        parameter[own] = tensors[key].to(parameter.device)[others]
        covered += len(rows)
    return covered


@torch.no_grad()
def fill_table(embedding: Embedding, feature: Feature, vectors: Path, forms: Path) -> tuple[Tensor, Tensor]:
    """Fill the token table's rows that static vectors cover, scaled to a standard deviation of 0.1.

    Returns: which rows, int64 [n], and what they hold, float32 [n, dimension].
    Raises:  TrainingError, see `static_vectors`.
    """
    table = embedding.tables["token"]
    found, values = static_vectors(vectors, forms, feature)
    rows = torch.from_numpy(found).to(table.device)
    table[rows] = (values * (0.1 / values.std().clamp(min=1e-9))).to(table.device)
    log.info("static vectors cover %d of %d forms", len(rows), feature.rows)
    return rows, table[rows].clone()
