"""The shipped models: complete, small, documented, and their activations equal the float64 step loop."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models.checkpoint.checkpoint import load_checkpoint
from models.inference.inspection import Inspection
from models.inference.predictor import Predictor

from .oracles import step_loop

WEIGHTS = Path(__file__).parent.parent / "weights"
NAMES = sorted(p.parent.name for p in WEIGHTS.glob("*/manifest.json"))
PAIRS = sorted({n.removesuffix("-rnn") for n in NAMES if n.endswith("-rnn")})
TEXTS = [
    "中国女排在北京战胜了巴西队，郎平说这场比赛并不轻松。",
    "The service wasn't good at all, but John Smith helped us.",
    "好",
]


@pytest.fixture(scope="module", params=NAMES)
def predictor(request: pytest.FixtureRequest) -> Predictor:
    return Predictor(load_checkpoint(WEIGHTS / request.param), torch.device("cpu"))


def test_every_language_and_task_has_a_controlled_pair_and_a_best_model() -> None:
    kinds = [f"{language}-{task}" for language in ("en", "zh") for task in ("ner", "sentiment")]
    assert {f"{kind}-{cell}" for kind in kinds for cell in ("rnn", "lstm", "bilstm")} <= set(NAMES)


def test_gates_equal_a_float64_step_loop(predictor: Predictor) -> None:
    """Free-running over whole texts within 1e-5; the certificate holds each step within 2e-6 * max(1, |c|)."""
    for text, prediction in zip(TEXTS, predictor.predict(TEXTS, Inspection()), strict=True):
        inside = prediction.inside
        assert inside is not None
        want = step_loop(predictor.network, predictor.prepare(text).ids)
        for name, values in inside.tensors.items():
            assert np.abs(values - want[name]).max() < 1e-5 * max(1.0, np.abs(want[name]).max()), name
        largest = max(1.0, float(np.abs(inside.tensors.get("cell_state", np.zeros(1))).max()))
        assert inside.certificate.recurrence_max_abs_error < 2e-6 * largest


def test_batch_equals_single(predictor: Predictor) -> None:
    texts = [*TEXTS, *(t * 3 for t in TEXTS)]
    for text, together in zip(texts, predictor.predict(texts, Inspection()), strict=True):
        (alone,) = predictor.predict([text], Inspection())
        if alone.scores is not None and together.scores is not None:
            a, b = dict(alone.scores), dict(together.scores)
            assert max(abs(a[k] - b[k]) for k in a) < 1e-6
        else:
            assert [e[:4] for e in map(_plain, alone.entities or ())] == [
                e[:4] for e in map(_plain, together.entities or ())
            ]
        assert alone.inside is not None
        assert together.inside is not None
        for name in alone.inside.tensors:
            assert np.abs(alone.inside.tensors[name] - together.inside.tensors[name]).max() < 1e-5


@pytest.mark.parametrize("pair", PAIRS)
def test_within_a_pair_only_the_cell_differs(pair: str) -> None:
    rnn, lstm = (load_checkpoint(WEIGHTS / f"{pair}-{cell}") for cell in ("rnn", "lstm"))
    same = ("task", "language", "tokenizer", "features", "layers", "directions", "units", "reads", "training_data")
    assert {k: getattr(rnn.manifest, k) for k in same} == {k: getattr(lstm.manifest, k) for k in same}
    assert rnn.manifest.directions == ("forward",)
    assert rnn.manifest.reads == "last_state"
    assert rnn.labels == lstm.labels
    for file in ("vocabulary.txt", "labels.txt"):
        assert rnn.manifest.sha256[file] == lstm.manifest.sha256[file]
    if rnn.manifest.task == "text-classification":
        assert rnn.manifest.units <= 128
    commands = [(WEIGHTS / f"{pair}-{cell}/card.md").read_text("utf-8").split("```")[1] for cell in ("rnn", "lstm")]
    assert _recipe(commands[0]) == _recipe(commands[1])


@pytest.mark.parametrize("name", NAMES)
def test_each_folder_is_whole_small_and_readable(name: str) -> None:
    folder = WEIGHTS / name
    assert sum(p.stat().st_size for p in folder.iterdir()) < 16_000_000
    card = (folder / "card.md").read_text("utf-8")
    for part in ("## Data and terms", "## Command", "## Figures on dev", "## Limits"):
        assert part in card
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    stored = json.loads((folder / "evaluation.json").read_text("utf-8"))
    assert stored["metrics"] == manifest["metrics"]
    assert manifest["name"] == name
    assert not list(folder.glob("*.p*kl*"))


def test_all_weights_together_stay_small() -> None:
    assert sum(p.stat().st_size for p in WEIGHTS.rglob("*") if p.is_file()) < 150_000_000


def _plain(entity: object) -> tuple[object, ...]:
    return tuple(getattr(entity, k) for k in ("label", "text", "start", "end", "score"))


def _recipe(command: str) -> list[str]:
    return [line for line in command.splitlines() if not line.strip().startswith(("--cell", "--name", "--description"))]
