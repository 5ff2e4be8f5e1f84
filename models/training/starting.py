"""What a model starts from: static vectors of forms, a language model's tables and recurrences, or another model."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..checkpoint.checkpoint import load_checkpoint, read_manifest, to_key
from ..errors import TrainingError
from ..network.embedding import Embedding
from ..network.network import Network, Task
from ..network.spans import bio_tags
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


@dataclass(frozen=True)
class Start:
    """What a network begins from.

    tensors: by their names in a weights file; vocabularies: the forms of their rows; kinds: of its input features, in
    the order of x_t, and outputs: what the rows of its head are, tags or labels, both empty for a language model.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    vocabularies: Mapping[FeatureKind, Vocabulary]
    kinds: tuple[FeatureKind, ...] = ()
    outputs: tuple[str, ...] = ()


def read_start(path: Path) -> Start:
    """A language model's file, or the folder of a model.

    Raises: TrainingError where the file is none; CheckpointError where the folder cannot be loaded.
    """
    if path.is_dir():
        return _read_model(path)
    try:
        with safe_open(path, "pt") as file:
            forms = json.loads(file.metadata()["forms"])
        vocabularies = {kind: Vocabulary.parse(text) for kind, text in forms.items()}
        return Start(path, load_file(path), vocabularies)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise TrainingError(
            f"{path} is neither what `gatescope pretrain` wrote nor the folder of a model: {error}"
        ) from error


def _read_model(folder: Path) -> Start:
    checkpoint = load_checkpoint(folder)
    features = checkpoint.network.architecture.features
    return Start(
        folder,
        {to_key(k): v for k, v in checkpoint.network.state_dict().items()},
        {feature.kind: feature.vocabulary for feature in features if feature.vocabulary},
        tuple(feature.kind for feature in features),
        outputs_of(checkpoint.manifest.task, checkpoint.labels),
    )


def outputs_of(task: Task, labels: Sequence[str]) -> tuple[str, ...]:
    """What the rows of a head stand for: the labels of a classifier, the BIO tags of a tagger."""
    return tuple(labels) if task == "text-classification" else tuple(bio_tags(labels))


def usual_choices(start: Path) -> dict[str, Any]:
    """Of a recipe that starts from a model: its shape, words and terms; from a language model: none.

    Raises: TrainingError where there is neither; CheckpointError where the folder has no model's manifest.
    """
    if not start.exists():
        raise TrainingError(f"{start} is missing: --start is what `gatescope pretrain` wrote, or the folder of a model")
    if not start.is_dir():
        return {}
    m = read_manifest(start)
    fields = ("task", "language", "tokenizer", "cell", "units", "layers", "reads", "label_names", "license")
    tables = {f"{entry.kind}_dimension": entry.dimension for entry in m.features}
    hashed = {f"{e.kind}_rows": e.rows for e in m.features if e.vocabulary is None and e.kind != "gap"}
    return {
        **{name: getattr(m, name) for name in fields},
        **tables,
        **hashed,
        "bidirectional": len(m.directions) == 2,
        "training_data": f"what {m.name} was trained on ({m.training_data}), and then more",
        "start_forms": True,
    }


@torch.no_grad()
def start_from(start: Start, network: Network, outputs: Sequence[str]) -> int:
    """Fill a network's tables and recurrences: vocabularies row by row, the rest as it is.

    outputs: what the rows of the network's head are. Those that the start has too are filled, with the CRF's steps
    between them.
    Returns: how many of the vocabularies' rows were found.
    Raises:  TrainingError where a tensor of the network has another shape than there, or x_t another order.
    """
    kinds = tuple(feature.kind for feature in network.architecture.features)
    if start.kinds and start.kinds != kinds:
        raise TrainingError(f"{start.path} reads {list(start.kinds)}, the recipe {list(kinds)}: they must agree")
    covered = 0
    own_vocabularies = {f"embedding.{f.kind}": (f.kind, f.vocabulary) for f in network.architecture.features}
    for name, parameter in network.named_parameters():
        key = to_key(name)
        if key.startswith(("head.", "crf.")):
            _fill_outputs(start, key, parameter, outputs)
            continue
        kind, vocabulary = own_vocabularies.get(key, (None, None))
        _check_shapes(start, key, parameter, slice(0 if vocabulary is None else 1, None))  # its rows are its own
        if kind is None or vocabulary is None:
            parameter.copy_(start.tensors[key])
            continue
        own, others = _rows_of_both(vocabulary.forms, start.vocabularies[kind].forms, parameter.device)
        parameter[own] = start.tensors[key].to(parameter.device)[others]
        covered += len(own)
    return covered


def _fill_outputs(start: Start, key: str, parameter: Tensor, outputs: Sequence[str]) -> None:
    """The rows of the head, and of the CRF from row to row, of the outputs that both have."""
    own, others = _rows_of_both(outputs, start.outputs, parameter.device)
    if not len(own) or key not in start.tensors:
        return
    if key == "crf.transitions":
        parameter[own[:, None], own] = start.tensors[key].to(parameter.device)[others[:, None], others]
    else:
        _check_shapes(start, key, parameter, slice(1, None))
        parameter[own] = start.tensors[key].to(parameter.device)[others]


def _rows_of_both(names: Sequence[str], others: Sequence[str], device: torch.device) -> tuple[Tensor, Tensor]:
    """Where the names that both have stand in the one, and where in the other: int64 [n] each."""
    places = {name: i for i, name in enumerate(others)}
    rows = [(i, places[name]) for i, name in enumerate(names) if name in places]
    here, there = torch.tensor(rows, dtype=torch.int64, device=device).reshape(-1, 2).unbind(1)
    return here, there


def _check_shapes(start: Start, key: str, parameter: Tensor, compared: slice) -> None:
    if key not in start.tensors or start.tensors[key].shape[compared] != parameter.shape[compared]:
        found = list(start.tensors[key].shape) if key in start.tensors else "no such tensor"
        raise TrainingError(f"{start.path}: {key} is {found}, the recipe's is {list(parameter.shape)}: they must agree")


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
