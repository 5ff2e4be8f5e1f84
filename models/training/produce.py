"""From data files to a weights folder that the service can load: the whole of the `train` command but its options."""

import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..checkpoint.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ..checkpoint.manifest import FeatureEntry, Manifest
from ..errors import TrainingError
from ..text.features import Feature
from .data import Corpus, prepare, read_rows
from .evaluate import evaluate, store
from .metrics import temperature
from .recipe import Recipe
from .report import CARD, CURVE, draw_curve, write_card
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
    evaluation = evaluate(saved, read_rows(recipe.task, recipe.language, files.dev), torch.device("cpu"))
    saved = save_checkpoint(aside, _with(saved, metrics=evaluation.metrics))
    store(aside, evaluation, "/".join(files.dev.parts[-2:]))
    draw_curve(aside / CURVE, trained.curve, "accuracy" if recipe.task == "text-classification" else "F1")
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


def _entry(feature: Feature) -> FeatureEntry:
    names = {"token": "vocabulary.txt", "bigram": "bigrams.txt"}
    return FeatureEntry(
        kind=feature.kind, rows=feature.rows, dimension=feature.dimension, vocabulary=names.get(feature.kind)
    )


def _with(checkpoint: Checkpoint, **changes: Any) -> Checkpoint:
    return Checkpoint(checkpoint.manifest.model_copy(update=changes), checkpoint.network, checkpoint.labels)


def shown_command(recipe_file: Path | None, files: Files, options: dict[str, Any]) -> str:
    """The command as the card tells it: files by their last two names, for where they lay is nobody's business."""
    words: list[str] = ["gatescope train"]
    if recipe_file:
        words.append(f"--recipe {_short(recipe_file)}")
    words += [f"--{key.replace('_', '-')} {shlex.quote(str(value))}" for key, value in options.items()]
    named: Sequence[tuple[str, Sequence[Path]]] = (
        ("train", [files.train]),
        ("dev", [files.dev]),
        ("extra", files.extra),
    )
    words += [f"--{key} {' '.join(map(_short, paths))}" for key, paths in named if paths]
    if files.start:
        words.append(f"--start {_short(files.start)}")
    if files.vectors:
        words.append("--vectors " + " ".join(map(_short, files.vectors)))
    return " \\\n  ".join(words)


def _short(path: Path) -> str:
    return "/".join(path.parts[-2:])
