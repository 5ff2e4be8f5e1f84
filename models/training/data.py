"""Rows of text -> features, labels and examples: everything that training decides before its first step."""

import hashlib
import itertools
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import BadRow, TrainingError
from ..network.network import Task
from ..network.spans import bio_tags
from ..text.features import Feature, FeatureKind, bigram_forms, text_ids
from ..text.tokenizers import TOKENIZERS
from ..text.vocabulary import Vocabulary
from .batches import Example
from .corpora import LabelledText, TaggedText, labels_of, ordered_labels, split_long, tags_of
from .notices import class_weights, notices
from .readers import USUAL, Layout, read_labelled, read_tagged
from .recipe import Recipe

log = logging.getLogger(__name__)

Rows = Sequence[LabelledText | TaggedText]


@dataclass(frozen=True)
class Corpus:
    """What one run trains on and is measured with."""

    features: tuple[Feature, ...]
    labels: tuple[str, ...]
    train: list[Example]
    extra: list[Example]
    dev: list[Example]
    class_weights: tuple[float, ...] | None = None  # of a classifier's labels in the loss, where they are balanced

    @property
    def sha256(self) -> str:
        """Of all that a run learns from and is measured with."""
        digest = hashlib.sha256("\n".join(self.labels).encode())
        for feature in self.features:
            digest.update(f"{feature}{feature.vocabulary.dump() if feature.vocabulary else ''}".encode())
        for example in itertools.chain(self.train, self.extra, self.dev):
            for values in (*example.ids.values(), example.target):
                digest.update(f"{values.shape}".encode() + values.tobytes())
        return digest.hexdigest()


def read_rows(task: Task, language: str, path: Path, layout: Layout = USUAL) -> Rows:
    """JSON lines, CSV or TSV for a classifier; for a tagger columns, tokens joined as the language writes.

    Raises: BadRow, TrainingError.
    """
    if task == "text-classification":
        return read_labelled(path, layout)
    return read_tagged(path, "" if language == "zh" else " ", layout)


def prepare(recipe: Recipe, train: Path, dev: Path, extra: Path | None) -> Corpus:
    """Read the files, choose the vocabulary from train and extra, and turn every row into ids.

    Raises: BadRow, TrainingError (a dev label that train does not have, fewer than two labels).
    """
    read = partial(read_rows, recipe.task, recipe.language, layout=recipe.layout)
    rows: dict[str, Rows] = {"train": read(train), "dev": read(dev), "extra": read(extra) if extra else []}
    labels = _labels(itertools.chain(rows["train"], rows["extra"]))
    if recipe.task == "text-classification" and len(labels) < 2:
        raise TrainingError(f"{train} has the single label {labels[0]!r}: a classifier needs two or more")
    if not labels:
        raise TrainingError(f"{train} has no entity: a tagger needs rows with tags other than O")
    if unknown := sorted(set(_labels(rows["dev"])) - set(labels)):
        line = next(row.line for row in rows["dev"] if unknown[0] in labels_of(row))
        raise BadRow(dev, line, f"found the label {unknown[0]!r}, which no training row has: mend or remove the row")
    for notice in notices(recipe, [rows["train"], rows["extra"]], rows["dev"]):
        log.warning(notice)
    features = choose_features(recipe, [row.text for part in ("train", "extra") for row in rows[part]])
    encode = partial(encode_rows, tokenizer=recipe.tokenizer, features=features, labels=labels)
    return Corpus(
        features,
        labels,
        train=encode(rows["train"], longest=recipe.longest),
        extra=encode(rows["extra"], longest=recipe.longest),
        dev=encode(rows["dev"], longest=None),
        class_weights=class_weights(rows["train"], labels) if recipe.balance else None,
    )


def choose_features(recipe: Recipe, texts: Iterable[str]) -> tuple[Feature, ...]:
    """The tables of x_t; vocabularies from the training texts alone."""
    tokenize = TOKENIZERS[recipe.tokenizer]
    tokens = [tokenize(text)[: recipe.longest] for text in texts]
    forms = (token.form for text in tokens for token in text)
    vocabulary = Vocabulary.count(forms, recipe.token_min_count, recipe.token_rows)
    out = [Feature("token", len(vocabulary), recipe.token_dimension, vocabulary)]
    if recipe.bigram_dimension:
        pairs = (pair for text in tokens for pair in bigram_forms(text))
        bigrams = Vocabulary.count(pairs, recipe.bigram_min_count, recipe.bigram_rows)
        out.append(Feature("bigram", len(bigrams), recipe.bigram_dimension, bigrams))
    hashed: tuple[FeatureKind, ...] = ("subword", "affix", "shape")
    for kind in hashed:
        if dimension := getattr(recipe, f"{kind}_dimension"):
            out.append(Feature(kind, getattr(recipe, f"{kind}_rows"), dimension))
    return tuple(out)


def encode_rows(
    rows: Rows, tokenizer: str, features: Sequence[Feature], labels: Sequence[str], longest: int | None
) -> list[Example]:
    """Rows as ids and targets. With `longest`, a text is read up to so many tokens; a tagged one is split there."""
    tokenize = TOKENIZERS[tokenizer]
    out = []
    index = {label: i for i, label in enumerate(labels)}
    tags = {tag: i for i, tag in enumerate(bio_tags(labels))}
    for row in rows:
        if isinstance(row, LabelledText):
            if tokens := tokenize(row.text)[:longest]:
                out.append(Example(text_ids(features, tokens), np.array(index[row.label])))
            continue
        for piece in split_long(row, tokenize, longest) if longest else (row,):
            if tokens := tokenize(piece.text):
                target = np.array([tags[tag] for tag in tags_of(piece, tokens)])
                out.append(Example(text_ids(features, tokens), target))
    return out


def static_vectors(vectors: Path, forms: Path, feature: Feature) -> tuple[NDArray[np.int64], torch.Tensor]:
    """Rows of the token table that static vectors cover, and those vectors: ([n], float32 [n, dimension]).

    vectors: ``.npy`` [row, dimension], floating; forms: one form a line, the row of the same number.
    Raises:  TrainingError where the two files do not fit each other or the recipe.
    """
    try:
        table = np.load(vectors, allow_pickle=False)
        lines = forms.read_text("utf-8").removesuffix("\n").split("\n")
    except (OSError, EOFError, ValueError) as error:
        raise TrainingError(f"the static vectors cannot be read: {error}") from error
    if not isinstance(table, np.ndarray):
        raise TrainingError(f"{vectors} holds several arrays: give one as .npy")
    if table.shape != (len(lines), feature.dimension):
        raise TrainingError(
            f"{vectors} is {list(table.shape)}, {forms} has {len(lines)} lines and token_dimension is "
            f"{feature.dimension}: expected {[len(lines), feature.dimension]}"
        )
    assert feature.vocabulary is not None
    rows = [(feature.vocabulary.id(form), i) for i, form in enumerate(lines) if form in feature.vocabulary]
    places, found = np.array(rows, dtype=np.int64).reshape(-1, 2).T
    return places, torch.from_numpy(table[found].astype(np.float32))


def _labels(rows: Iterable[LabelledText | TaggedText]) -> tuple[str, ...]:
    return ordered_labels(itertools.chain.from_iterable(map(labels_of, rows)))
