"""Noisy versions keep their entities, and the shipped models read our own sentences in all of them."""

import pytest
import torch

from models.network.spans import Span
from models.training.corpora import LabelledText, TaggedText
from models.training.robustness import VERSIONS, robustness, table

ROW = TaggedText("Yesterday Anna Smith did n't fly to New York .", (Span("PER", 10, 20), Span("LOC", 36, 44)))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_keeps_its_entities(version: str) -> None:
    out = VERSIONS[version](ROW)
    assert isinstance(out, TaggedText)
    assert [out.text[e.start : e.stop].lower() for e in out.entities] == ["anna smith", "new york"]
    assert (out == ROW) == (version == "as it is")


def test_versions_are_what_their_names_say() -> None:
    row = LabelledText('It\'s "good" - no?', "x")
    made = {name: change(row).text for name, change in VERSIONS.items()}
    assert made["curly quotes and dashes"] == "It’s ”good” – no?"
    assert made["!!!! at the end"] == 'It\'s "good" - no!!!!'
    assert made["apostrophes lost"] == 'Its "good" - no?'
    assert made["CAPS"] == 'IT\'S "GOOD" - NO?'
    assert made["<br /><br /> inside"] == 'It\'s "good<br /><br />" - no?'


def test_an_entity_of_marks_alone_is_junk(tiny_checkpoint) -> None:  # type: ignore[no-untyped-def]
    checkpoint = tiny_checkpoint(task="token-classification")
    with torch.no_grad():
        checkpoint.network.head.bias[1] = 100  # B- of the first label everywhere
    rows = robustness(checkpoint, [TaggedText("，北。", (Span(checkpoint.labels[0], 1, 2),))], torch.device("cpu"))
    assert rows[0].junk == 2
    assert table("tiny", rows).splitlines()[2].startswith("| as it is | 50.00 | +0.00 | 2 |")
    other = robustness(checkpoint, [TaggedText("北", ())], torch.device("cpu"), kinds=(checkpoint.labels[1],))
    assert other[0].junk == 0
