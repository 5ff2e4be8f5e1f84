"""Rows of text -> features, labels and examples: everything that training decides before its first step."""

import hashlib
import itertools
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import BadRow, TrainingError
from ..network.constraints import barred, possible
from ..network.network import Task
from ..network.spans import bio_tags
from ..text.features import GAP_ROWS, Feature, FeatureKind, bigram_forms, text_ids
from ..text.tokenizers import KIND_FORMS, TOKENIZERS
from ..text.tokens import Tokens
from ..text.vocabulary import Vocabulary
from .augmentation import Augmenter, nothings
from .batches import Example
from .corpora import LabelledText, TaggedText, labels_of, ordered_labels, split_long, tags_of
from .notices import class_weights, notices
from .readers import USUAL, Layout, read_labelled, read_tagged
from .recipe import Recipe, Source

log = logging.getLogger(__name__)

Rows = Sequence[LabelledText | TaggedText]
Vocabularies = Mapping[FeatureKind, Vocabulary]
_NONE: Vocabularies = MappingProxyType({})
NEUTRAL = np.array(-1)  # the target of a text that has no label: the answer to it is how frequent each label is


@dataclass(frozen=True)
class Part:
    """The rows of one training file, and how they are read."""

    rows: Rows
    source: Source

    def drawn(self, random: np.random.Generator) -> Rows:
        """The rows of one epoch: each as often as the weight says, a fraction of it by chance."""
        rows = _even(self.rows, random) if self.source.even else self.rows
        whole, share = divmod(self.source.weight, 1)
        chosen = random.permutation(len(rows))[: round(share * len(rows))]
        return [*itertools.chain(*[rows] * int(whole)), *(rows[i] for i in sorted(chosen))]


def _even(rows: Rows, random: np.random.Generator) -> Rows:
    """Of texts of 1, 2 to 3, 4 to 7, 8 to 15 ... characters as many rows of each label as the rarest has."""
    groups: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, row in enumerate(rows):
        groups[len(row.text).bit_length()][" ".join(labels_of(row))].append(i)
    labels = {label for group in groups.values() for label in group}
    kept: list[int] = []
    for group in groups.values():
        fewest = min(len(group[label]) for label in labels)
        kept += [i for label in sorted(labels) for i in random.permutation(group[label])[:fewest]]
    return [rows[i] for i in sorted(kept)]


@dataclass(frozen=True)
class Corpus:
    """What one run trains on and is measured with. extra is read in the recipe's first epochs alone."""

    recipe: Recipe
    features: tuple[Feature, ...]
    labels: tuple[str, ...]
    train: tuple[Part, ...]
    extra: tuple[Part, ...]
    dev: list[Example]
    class_weights: tuple[float, ...] | None = None  # of a classifier's labels in the loss, where they are balanced
    teachers: tuple[str, ...] = ()  # SHA-256 of the weights of those whose answers stand beside the labels

    @cached_property
    def sha256(self) -> str:
        """Of all that a run learns from and is measured with."""
        digest = hashlib.sha256("\n".join((*self.labels, *self.teachers)).encode())
        for feature in self.features:
            digest.update(f"{feature}{feature.vocabulary.dump() if feature.vocabulary else ''}".encode())
        for part in (*self.train, *self.extra):
            digest.update(f"{part.source}{part.rows}".encode("utf-8", "surrogatepass"))
        for example in self.dev:
            for values in (*example.ids.values(), example.target):
                digest.update(f"{values.shape}".encode() + values.tobytes())
        return digest.hexdigest()

    def rows(self, epoch: int) -> int:
        """How many rows an epoch reads."""
        drawn = np.random.default_rng(0)
        rows = sum(len(part.drawn(drawn)) for part in self._parts(epoch))
        return rows + (round(self.recipe.noise.nothing * rows) if self.recipe.task == "text-classification" else 0)

    def examples(self, epoch: int, random: np.random.Generator) -> list[Example]:
        """The texts of one epoch, drawn and augmented."""
        augmenter, recipe = Augmenter(self.recipe.noise, self.recipe.language), self.recipe
        out: list[Example] = []
        for part in self._parts(epoch):
            rows = part.drawn(random)
            if recipe.noise != type(recipe.noise)():
                rows = augmenter.rows(rows, random)
            found = encode_rows(rows, recipe.tokenizer, self.features, self.labels, recipe.max_tokens)
            if part.source.without:
                found = [replace(e, allowed=_allowed(e, self.labels, part.source.without)) for e in found]
            if recipe.adjust_priors and not part.source.neutral:
                offset = self._offset(part)
                found = [replace(e, offset=offset) for e in found]
            out += found
        if recipe.noise.nothing and recipe.task == "text-classification":
            rows = [LabelledText(text, "") for text in nothings(round(recipe.noise.nothing * len(out)), random)]
            out += encode_rows(rows, recipe.tokenizer, self.features, self.labels, recipe.max_tokens)
        return out

    @property
    def prior(self) -> NDArray[np.float32]:
        """The share of each label in train."""
        return _frequencies([row for part in self.train for row in part.rows], self.labels).astype(np.float32)

    def _parts(self, epoch: int) -> tuple[Part, ...]:
        extra = self.extra if epoch < self.recipe.extra_epochs else ()
        return tuple(p for p in (*self.train, *extra) if p.source.epochs is None or epoch < p.source.epochs)

    def _offset(self, part: Part) -> NDArray[np.float32]:
        """log P(label) in this part minus that in train: what a label's frequency says of the file alone."""
        own, train = (_frequencies(rows, self.labels) for rows in (part.rows, [r for p in self.train for r in p.rows]))
        return np.log(own / train).astype(np.float32)


def _frequencies(rows: Rows, labels: Sequence[str]) -> NDArray[np.float64]:
    """Of each label, one row added to each so that none is zero."""
    counts = np.ones(len(labels))
    for row in rows:
        if isinstance(row, LabelledText) and row.label:
            counts[labels.index(row.label)] += 1
    frequencies: NDArray[np.float64] = counts / counts.sum()
    return frequencies


def _allowed(example: Example, labels: Sequence[str], without: Sequence[str]) -> NDArray[np.bool_]:
    """The example's tags, and where it says O also those of the kinds that were not annotated."""
    tags = bio_tags(labels)
    out = np.zeros((len(example), len(tags)), np.bool_)
    out[np.arange(len(example)), example.target] = True
    out[np.ix_(example.target == 0, [k for k, tag in enumerate(tags) if tag[2:] in without])] = True
    return out


def read_rows(task: Task, language: str, path: Path, layout: Layout = USUAL) -> Rows:
    """JSON lines, CSV or TSV for a classifier; for a tagger columns, tokens joined as the language writes.

    Raises: BadRow, TrainingError.
    """
    if task == "text-classification":
        return read_labelled(path, layout)
    return read_tagged(path, "" if language == "zh" else " ", layout)


def prepare(
    recipe: Recipe,
    train: Path,
    dev: Path,
    extra: Sequence[Path] = (),
    vocabularies: Vocabularies = _NONE,
) -> Corpus:
    """Read the files, choose the vocabularies, see `choose_features`, and turn every dev row into ids.

    Raises: BadRow, TrainingError (a dev label that train does not have, fewer than two labels, a file that the recipe
    names and that is not among these).
    """
    given = {name for path in (train, *extra) for name in (path.name, "/".join(path.parts[-2:]))}
    if unknown := sorted(recipe.files.keys() - given):
        raise TrainingError(f"the recipe says how to read {unknown[0]}, which is none of the training files")
    files = {path: _training_rows(recipe, path) for path in (train, *extra)}
    dev_rows = read_rows(recipe.task, recipe.language, dev, recipe.layout)
    labels = _labels(row for path, rows in files.items() if not recipe.source(path).neutral for row in rows)
    if recipe.task == "text-classification" and len(labels) < 2:
        raise TrainingError(f"{train} has the single label {labels[0]!r}: a classifier needs two or more")
    if not labels:
        raise TrainingError(f"{train} has no entity: a tagger needs rows with tags other than O")
    if unknown := sorted(set(_labels(dev_rows)) - set(labels)):
        line = next(row.line for row in dev_rows if unknown[0] in labels_of(row))
        raise BadRow(dev, line, f"found the label {unknown[0]!r}, which no training row has: mend or remove the row")
    for notice in notices(recipe, list(files.values()), dev_rows):
        log.warning(notice)
    parts = [Part(_split(recipe, rows), recipe.source(path)) for path, rows in files.items()]
    features = choose_features(recipe, [row.text for part in parts for row in part.rows], vocabularies)
    return Corpus(
        recipe,
        features,
        labels,
        train=tuple(parts[:1]),
        extra=tuple(parts[1:]),
        dev=encode_rows(dev_rows, recipe.tokenizer, features, labels, None),
        class_weights=class_weights(files[train], labels) if recipe.balance else None,
    )


def _training_rows(recipe: Recipe, path: Path) -> Rows:
    if recipe.source(path).neutral:
        return [LabelledText(text, "") for text in read_texts(recipe.language, path, recipe.layout)]
    return read_rows(recipe.task, recipe.language, path, recipe.layout)


def _split(recipe: Recipe, rows: Rows) -> Rows:
    """Tagged rows in parts of at most the recipe's `max_tokens`; labelled ones are cut when they are encoded."""
    cut = partial(split_long, tokenizer=TOKENIZERS[recipe.tokenizer], longest=recipe.max_tokens)
    return [piece for row in rows for piece in (cut(row) if isinstance(row, TaggedText) else (row,))]


def read_texts(language: str, path: Path, layout: Layout = USUAL) -> list[str]:
    """The texts alone of a file: JSON lines, CSV or TSV, else columns of tokens."""
    labelled = path.suffix in (".jsonl", ".json", ".csv", ".tsv")
    task: Task = "text-classification" if labelled else "token-classification"
    return [row.text for row in read_rows(task, language, path, layout)]


def choose_features(recipe: Recipe, texts: Iterable[str], vocabularies: Vocabularies = _NONE) -> tuple[Feature, ...]:
    """The tables of x_t. Vocabularies that are not given: of the training texts, and of what augmentation puts in."""
    tokenize = TOKENIZERS[recipe.tokenizer]
    tokens = [tokenize(text)[: recipe.max_tokens] for text in texts]
    vocabulary = vocabularies.get("token")
    if vocabulary is None:
        forms = (token for text in tokens for token in text.forms)
        kinds = sorted(KIND_FORMS) * recipe.token_min_count if recipe.tokenizer == "mixed" else ()
        vocabulary = Vocabulary.count(itertools.chain(forms, kinds), recipe.token_min_count, recipe.token_rows)
    out = [Feature("token", len(vocabulary), recipe.token_dimension, vocabulary)]
    if recipe.bigram_dimension:
        bigrams = vocabularies.get("bigram")
        if bigrams is None:
            pairs = (pair for text in tokens for pair in bigram_forms(text))
            bigrams = Vocabulary.count(pairs, recipe.bigram_min_count, recipe.bigram_rows)
        out.append(Feature("bigram", len(bigrams), recipe.bigram_dimension, bigrams))
    hashed: tuple[FeatureKind, ...] = ("subword", "affix", "shape")
    for kind in hashed:
        if dimension := getattr(recipe, f"{kind}_dimension"):
            out.append(Feature(kind, getattr(recipe, f"{kind}_rows"), dimension))
    if recipe.gap_dimension:
        out.append(Feature("gap", GAP_ROWS, recipe.gap_dimension))
    return tuple(out)


def encode_rows(
    rows: Rows, tokenizer: str, features: Sequence[Feature], labels: Sequence[str], longest: int | None
) -> list[Example]:
    """Rows as ids and targets. With `longest`, a text is read up to so many tokens."""
    tokenize = TOKENIZERS[tokenizer]
    out = []
    index = {label: i for i, label in enumerate(labels)}
    tags = bio_tags(labels)
    places = {tag: i for i, tag in enumerate(tags)}
    for row in rows:
        tokens: Tokens = tokenize(row.text)[:longest]
        if not tokens:
            continue
        ids = text_ids(features, tokens)
        if isinstance(row, LabelledText):
            taught = None if row.taught is None else np.array(row.taught, np.float32)
            out.append(Example(ids, np.array(index[row.label]) if row.label else NEUTRAL, taught=taught))
        else:
            target = np.array([places[tag] for tag in possible(tags_of(row, tokens), tokens)])
            out.append(Example(ids, target, barred=barred(tokens, tags)))
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
