"""From data files to a weights folder that the service can load: the whole of the `train` command but its options."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..analysis.method_reports import chosen_default
from ..checkpoint.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ..checkpoint.manifest import FeatureEntry, Manifest
from ..errors import TrainingError
from ..text.features import Feature
from .calibration import temperature
from .card import CARD, write_card
from .data import Corpus, prepare, read_rows
from .evaluate import evaluate, store
from .measured import measure
from .pictures import CONFUSION, CURVE, draw_confusion, draw_curve
from .recipe import Recipe
from .train import Progress, Trained, Trainer, quiet


@dataclass(frozen=True)
class Files:
    """What a run reads and where it writes. vectors: (``.npy``, forms one a line); start: a language model."""

    train: Path
    dev: Path
    out: Path
    extra: tuple[Path, ...] = ()
    vectors: tuple[Path, Path] | None = None
    state: Path | None = None
    start: Path | None = None


def produce(
    recipe: Recipe,
    files: Files,
    device: torch.device,
    command: str,
    replace: bool = False,
    progress: Progress[Any] = quiet,
) -> Checkpoint:
    """Train, measure on dev, and write `files.out`/<name>; an older folder of that name gives way only if `replace`.

    Raises: TrainingError, BadRow.
    """
    folder = files.out / recipe.name
    if folder.exists() and not replace:
        raise TrainingError(f"{folder} exists already: give another name, or --replace to put the new model there")
    corpus = prepare(recipe, files.train, files.dev, files.extra)
    trainer = Trainer(recipe, corpus, device, files.state)
    if files.vectors:
        trainer.use_vectors(*files.vectors)
    if files.start:
        trainer.start(files.start)
    trained = trainer.run(progress)
    aside = files.out / f".{recipe.name}.new"
    shutil.rmtree(aside, ignore_errors=True)
    saved = _save(aside, recipe, corpus, trained)
    rows = read_rows(recipe.task, recipe.language, files.dev, recipe.layout)
    evaluation = evaluate(measure(saved, rows, torch.device("cpu")))
    default = chosen_default(evaluation.faithfulness) if evaluation.faithfulness else None
    saved = save_checkpoint(aside, _with(saved, metrics=evaluation.metrics, default_attribution=default))
    store(aside, evaluation, "/".join(files.dev.parts[-2:]))
    draw_curve(aside / CURVE, trained.curve, _figure(recipe))
    draw_confusion(aside / CONFUSION, evaluation.confusion)
    write_card(aside / CARD, saved, evaluation, command, recipe.limits)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(aside, folder)
    return load_checkpoint(folder)


def _save(folder: Path, recipe: Recipe, corpus: Corpus, trained: Trained) -> Checkpoint:
    manifest = Manifest(
        name=recipe.name,
        task=recipe.task,
        cell=recipe.cell,
        language=recipe.language,
        description=recipe.description,
        tokenizer=recipe.tokenizer,
        features=tuple(map(_entry, corpus.features)),
        layers=recipe.layers,
        directions=recipe.directions,
        units=recipe.units,
        reads=recipe.reads,
        license=recipe.license,
        training_data=recipe.training_data,
        label_names=recipe.label_names,
        metrics={},
        sha256={},
        temperature=temperature(trained.dev) if trained.dev.logits is not None else 1.0,
    )
    return save_checkpoint(folder, Checkpoint(manifest, trained.network, corpus.labels))


def _figure(recipe: Recipe) -> str:
    """What the learning curve shows of dev."""
    if recipe.task == "token-classification":
        return "F1"
    return "macro F1" if recipe.balance else "accuracy"


def _entry(feature: Feature) -> FeatureEntry:
    names = {"token": "vocabulary.txt", "bigram": "bigrams.txt"}
    return FeatureEntry(
        kind=feature.kind, rows=feature.rows, dimension=feature.dimension, vocabulary=names.get(feature.kind)
    )


def _with(checkpoint: Checkpoint, **changes: Any) -> Checkpoint:
    return Checkpoint(checkpoint.manifest.model_copy(update=changes), checkpoint.network, checkpoint.labels)
