"""The shipped models read our own sentences as people type them: every noisy version within bounds, and no junk."""

from pathlib import Path

import pytest
import torch

from models.checkpoint.checkpoint import Checkpoint, load_checkpoint
from models.inference.predictor import Predictor
from models.training.data import read_rows
from models.training.robustness import Robustness, robustness

ROOT = Path(__file__).parent
# model -> our sentences, the least figure as they are, and the most that a version may lose
SAMPLES = {
    "en-ner-bilstm": ("en-ner.bio", 0.85, 0.15),
    "zh-ner-bilstm": ("zh-ner.bio", 0.85, 0.15),
}
READERS = {name: row for name, row in SAMPLES.items() if (ROOT.parent / "weights" / name).exists()}
CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=READERS)
def checkpoint(request: pytest.FixtureRequest) -> Checkpoint:
    return load_checkpoint(ROOT.parent / "weights" / request.param)


@pytest.fixture(scope="module")
def found(checkpoint: Checkpoint) -> list[Robustness]:
    m = checkpoint.manifest
    return robustness(checkpoint, read_rows(m.task, m.language, ROOT / "samples" / READERS[m.name][0]), CPU)


def test_noise_costs_little(checkpoint: Checkpoint, found: list[Robustness]) -> None:
    _, least, most = READERS[checkpoint.manifest.name]
    assert found[0].figure >= least
    lost = {row.version: round(found[0].figure - row.figure, 3) for row in found if found[0].figure - row.figure > most}
    assert not lost


def test_no_entity_is_made_of_marks_alone(found: list[Robustness]) -> None:
    assert {row.version: row.junk for row in found if row.junk} == {}


def test_what_no_entity_can_be_is_in_none(checkpoint: Checkpoint) -> None:
    if checkpoint.manifest.task == "text-classification":
        return
    predictor = Predictor(checkpoint, CPU)
    texts = ["\ufeffAnna Smith\n\nTom Jones", "Anna\u200b Smith 😀 http://t.co/x <b>London</b>", "王明\n\n李红 😀北京"]
    for text, answer in zip(texts, predictor.predict(texts), strict=True):
        for entity in answer.entities or ():
            assert "\n\n" not in entity.text
            assert not any(c in entity.text for c in "\ufeff\u200b😀<>/")
            assert entity.text == text[entity.start : entity.end]


@pytest.mark.skipif("zh-ner-bilstm" not in READERS, reason="the model is not here")
@pytest.mark.parametrize("name", ["Michael Jackson", "Lady Gaga", "Donald Trump", "George Orwell", "Steven Spielberg"])
def test_a_latin_name_in_chinese_text_is_one_person(name: str) -> None:
    predictor = Predictor(load_checkpoint(ROOT.parent / "weights" / "zh-ner-bilstm"), CPU)
    texts = [f"歌手{name}在中国演出。", f"我在北京见到了{name}和王小明"]
    for answer in predictor.predict(texts):
        assert [e.text for e in answer.entities or () if e.label == "PER"][:1] == [name]
