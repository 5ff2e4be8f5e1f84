"""From data files to a weights folder that the service can load: the whole of the `train` command but its options."""

import contextlib
import os
import shutil
from collections.abc import Iterator
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
from .card import CARD, Origin, read_past, write_card
from .data import Corpus, Rows, prepare, read_rows
from .evaluate import evaluate, store
from .measured import measure
from .pictures import CONFUSION, CURVE, draw_confusion, draw_curve
from .recipe import Recipe
from .starting import read_start
from .teachers import ask_teachers, read_teacher
from .train import Progress, Trained, Trainer, quiet


@dataclass(frozen=True)
class Files:
    """What a run reads and writes.

    vectors: (``.npy``, forms one a line); start: a language model or a model; teachers: folders of models.
    """

    train: Path
    dev: Path
    out: Path
    extra: tuple[Path, ...] = ()
    vectors: tuple[Path, Path] | None = None
    state: Path | None = None
    start: Path | None = None
    teachers: tuple[Path, ...] = ()


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
    check_free(folder, replace)
    if recipe.start_forms and not files.start:
        raise TrainingError("start_forms keeps the words of a language model or of a model: give it as --start")
    start = read_start(files.start) if files.start else None
    teachers = [read_teacher(folder) for folder in files.teachers]
    corpus = prepare(
        recipe, files.train, files.dev, files.extra, start.vocabularies if start and recipe.start_forms else {}
    )
    if teachers:
        corpus = ask_teachers(corpus, teachers, device, progress)
    trainer = Trainer(recipe, corpus, device, files.state)
    if files.vectors:
        trainer.use_vectors(*files.vectors)
    if start:
        trainer.start(start)
    trained = trainer.run(progress)
    made = Checkpoint(_manifest(recipe, corpus, trained), trained.network, corpus.labels)
    rows = read_rows(recipe.task, recipe.language, files.dev, recipe.layout)
    with new_folder(folder) as aside:
        draw_curve(aside / CURVE, trained.curve, _figure(recipe))
        past = read_past(files.start) if files.start and files.start.is_dir() else None
        taught_by = tuple(read_past(folder) for folder in files.teachers)
        write_model(aside, made, files.dev, rows, Origin(command, recipe.limits, past, teachers=taught_by))
    return load_checkpoint(folder)


def check_free(folder: Path, replace: bool) -> None:
    """Raises: TrainingError where the folder is there and is not to be replaced."""
    if folder.exists() and not replace:
        raise TrainingError(f"{folder} exists already: give another name, or --replace to put the new model there")


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to write to, which takes the place of the older one once all of it is written."""
    aside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    yield aside
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(aside, folder)


def write_model(folder: Path, made: Checkpoint, dev: Path, rows: Rows, origin: Origin) -> Checkpoint:
    """Write weights, card, evaluation and the picture of mistakes, measured as they are stored. rows: those of dev."""
    saved = save_checkpoint(folder, made)
    evaluation = evaluate(measure(saved, rows, torch.device("cpu")))
    default = chosen_default(evaluation.faithfulness) if evaluation.faithfulness else None
    saved = save_checkpoint(folder, _with(saved, metrics=evaluation.metrics, default_attribution=default))
    store(folder, evaluation, "/".join(dev.parts[-2:]))
    draw_confusion(folder / CONFUSION, evaluation.confusion)
    write_card(folder / CARD, saved, evaluation, origin)
    return saved


def _manifest(recipe: Recipe, corpus: Corpus, trained: Trained) -> Manifest:
    return Manifest(
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
