"""Tiny models with seeded weights, made once: every task, language, cell and head that the library knows."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

import models.runtime.cpu.kernel
from models.checkpoint.checkpoint import Checkpoint, architecture, save_checkpoint
from models.checkpoint.manifest import FeatureEntry, Manifest
from models.network.network import Reads, Task, build
from models.recurrence.cells import Cell
from models.recurrence.layer import Direction
from models.text.features import GAP_ROWS, Feature, FeatureKind, bigram_forms
from models.text.tokenizers import TOKENIZERS
from models.text.vocabulary import Vocabulary

collect_ignore = [] if "GATESCOPE_IMAGE" in os.environ else ["image"]  # `make image-test` sets it to a built image


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--without-kernel", action="store_true", help="as on a machine without a compiler: only torch's kernels"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--without-kernel"):
        models.runtime.cpu.kernel.LIBRARY = Path("not/built")  # in this process; the setting is for processes it starts
        os.environ["GATESCOPE_KERNEL"] = "torch"


SENTENCES = {
    "zh": ["我想吃汉堡", "酒店不错，服务很好。", "中国女排在北京战胜了巴西队", "服务很差！"],
    "en": ["The service was good", "John Smith from Google doesn't live in London .", "a b c d e f g", "It 's not bad"],
}
LABELS = {"text-classification": ("negative", "neutral", "positive"), "token-classification": ("LOC", "PER")}
LABEL_NAMES = {"negative": "差评", "positive": "好评"}  # of the Chinese classifiers; neutral has none


@dataclass(frozen=True)
class Tiny:
    """The properties of a tiny model."""

    task: Task = "text-classification"
    cell: Cell = "lstm"
    language: str = "zh"
    layers: int = 1
    directions: tuple[Direction, ...] = ("forward",)
    units: int = 7
    reads: Reads = "last_state"
    kinds: tuple[FeatureKind, ...] = ("token", "bigram")
    seed: int = 0


def make_checkpoint(name: str, tiny: Tiny) -> Checkpoint:
    """A network with weights of about the size of trained ones; not yet on disk, so its digests are empty."""
    tokenizer = "characters" if tiny.language == "zh" else "words"
    tokens = [TOKENIZERS[tokenizer](s) for s in SENTENCES[tiny.language]]
    forms = Vocabulary.count(t.form for text in tokens for t in text)
    pairs = Vocabulary.count(pair for text in tokens for pair in bigram_forms(text))
    known = {"token": ("vocabulary.txt", forms), "bigram": ("bigrams.txt", pairs)}
    features, entries = [], []
    for n, kind in enumerate(tiny.kinds):
        file, vocabulary = known.get(kind, (None, None))
        rows, dimension = len(vocabulary) if vocabulary else GAP_ROWS if kind == "gap" else 50, 5 + n
        features.append(Feature(kind, rows, dimension, vocabulary))
        entries.append(FeatureEntry(kind=kind, rows=rows, dimension=dimension, vocabulary=file))
    manifest = Manifest(
        name=name,
        task=tiny.task,
        cell=tiny.cell,
        language=tiny.language,
        description="tiny",
        tokenizer=tokenizer,
        features=tuple(entries),
        layers=tiny.layers,
        directions=tiny.directions,
        units=tiny.units,
        reads=tiny.reads,
        max_tokens=600,
        max_characters=2000,
        license="none",
        training_data="none",
        metrics={"accuracy": 0.5},
        sha256={},
        label_names=LABEL_NAMES if (tiny.language, tiny.task) == ("zh", "text-classification") else {},
        temperature=1.3 if tiny.task == "text-classification" else 1.0,
    )
    labels = LABELS[tiny.task]
    torch.manual_seed(tiny.seed)
    network = build(architecture(manifest, tuple(features), labels)).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.normal_(std=0.6)
    for table in network.embedding.tables.values():
        table[0] = 0
    return Checkpoint(manifest, network, labels)


BOTH: tuple[Direction, ...] = ("forward", "reverse")
NER: Task = "token-classification"
WORDS: tuple[FeatureKind, ...] = ("token", "subword", "affix", "shape")
TINY = {
    "tiny-zh-rnn": Tiny(cell="rnn"),
    "tiny-zh-lstm": Tiny(),
    "tiny-zh-pooled": Tiny(reads="mean_max"),
    "tiny-zh-ner-rnn": Tiny(task=NER, cell="rnn"),
    "tiny-zh-ner-lstm": Tiny(task=NER, seed=3),
    "tiny-en-bilstm": Tiny(language="en", layers=2, directions=BOTH, reads="mean_max", kinds=WORDS),
    "tiny-en-birnn": Tiny(language="en", cell="rnn", layers=2, directions=BOTH, kinds=WORDS),
    "tiny-en-ner-bilstm": Tiny(task=NER, language="en", layers=2, directions=BOTH, kinds=WORDS, seed=5),
}


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def weights_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all tiny models; tests must not write to it."""
    folder = tmp_path_factory.mktemp("weights")
    for name, tiny in TINY.items():
        save_checkpoint(folder / name, make_checkpoint(name, tiny), torch.float32)
    return folder


@pytest.fixture
def tiny_checkpoint(tmp_path: Path) -> Callable[..., Checkpoint]:
    """``tiny_checkpoint(cell="rnn", layers=2)``: a tiny model, saved to and loaded from a folder, ``tmp_path / "tiny"``."""

    def make(**changes: object) -> Checkpoint:
        return save_checkpoint(tmp_path / "tiny", make_checkpoint("tiny", replace(Tiny(), **changes)), torch.float32)  # type: ignore[arg-type]

    return make
