"""Noise keeps what a text means: its label, and each entity's own characters."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.network.spans import Span
from models.training.augmentation import Augmenter, Edit, edited, nothings, without_apostrophes
from models.training.corpora import LabelledText, TaggedText
from models.training.recipe import Noise

SENTENCES = {
    "en": "Mr. Smith does n't live in New York ; it 's Mary 's flat , I think .",
    "zh": "昨天王明从北京去了上海市，真好！",
}
NAMES = {
    "en": [("PER", "Smith"), ("LOC", "New York"), ("PER", "Mary")],
    "zh": [("PER", "王明"), ("LOC", "北京"), ("LOC", "上海市")],
}
RATES = st.sampled_from([0.0, 0.5, 0.99])
NOISE = st.builds(Noise, **dict.fromkeys(set(Noise.model_fields) - {"nothing"}, RATES))


def tagged(language: str) -> TaggedText:
    text = SENTENCES[language]
    return TaggedText(text, tuple(Span(k, text.index(n), text.index(n) + len(n)) for k, n in NAMES[language]))


def names(row: TaggedText) -> list[tuple[str, str]]:
    return [(e.label, " ".join(row.text[e.start : e.stop].split()).lower()) for e in row.entities]


@pytest.mark.parametrize("language", ["en", "zh"])
@given(noise=NOISE, seed=st.integers(0, 10_000))
def test_entities_keep_their_characters_and_their_order(language: str, noise: Noise, seed: int) -> None:
    row = tagged(language)
    want = [(k, n.lower()) for k, n in NAMES[language]]
    for out in Augmenter(noise, language).rows([row, row], np.random.default_rng(seed)):
        assert names(out) in [want * times for times in range(1, 5)]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_same_seed_gives_the_same_texts_and_another_gives_others(language: str) -> None:
    rows = [tagged(language)] * 40
    augmenter = Augmenter(Noise(put_in=0.5, upper=0.2, lower=0.2, lines=0.2), language)
    one, again, other = (augmenter.rows(rows, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == again
    assert one != other
    assert augmenter.rows(rows, np.random.default_rng(3)) != rows


def test_words_that_a_corpus_joined_come_apart() -> None:
    """Inside of a name the blank is the name's, at its edge it is not; addresses and names of one word stay."""
    text = "歌手MichaelJackson在AppStore见WilliamDraytonRutherford，http://t.cn/zYimvPe，McDonald与iPhone"
    found = [("PER", "MichaelJackson"), ("ORG", "AppStore"), ("PER", "William"), ("PER", "Rutherford")]
    row = TaggedText(text, tuple(Span(k, text.index(n), text.index(n) + len(n)) for k, n in found))
    (out,) = Augmenter(Noise(blanks=0.999999), "zh").rows([row], np.random.default_rng(0))
    assert out.text == (
        "歌手Michael Jackson在App Store见William Drayton Rutherford，http://t.cn/zYimvPe，McDonald与iPhone"
    )
    assert isinstance(out, TaggedText)
    assert [(e.label, out.text[e.start : e.stop]) for e in out.entities] == [
        *(("PER", "Michael Jackson"), ("ORG", "App Store"), ("PER", "William"), ("PER", "Rutherford"))
    ]


@pytest.mark.parametrize(("language", "between"), [("en", " "), ("zh", "")])
def test_a_share_of_the_sentences_is_read_with_those_that_follow(language: str, between: str) -> None:
    rows = [TaggedText(f"{i:04}", (Span("X", 1, 3),)) for i in range(3000)]
    out = Augmenter(Noise(follows=0.5), language).rows(rows, np.random.default_rng(1))
    assert between.join(row.text for row in out) == between.join(row.text for row in rows)
    sizes = [len(row.entities) for row in out if isinstance(row, TaggedText)]
    assert set(sizes) == {1, 2, 3, 4, 5}
    assert 0.45 < sizes.count(1) / len(out) < 0.55
    for row in out:
        assert isinstance(row, TaggedText)
        first = int(row.text[:4])
        assert [row.text[e.start : e.stop] for e in row.entities] == [
            f"{i:04}"[1:3] for i in range(first, first + len(row.entities))
        ]


def test_without_noise_nothing_changes() -> None:
    rows = [tagged("en"), tagged("zh")]
    assert Augmenter(Noise(), "en").rows(rows, np.random.default_rng(1)) == rows


def test_lost_apostrophes_join_no_entity_to_a_letter() -> None:
    assert without_apostrophes(LabelledText("I do n't, it's she'll", "x")).text == "I dont, its shell"
    row = without_apostrophes(tagged("en"))
    assert "doesnt" in row.text
    assert "Mary 's" in row.text
    assert names(row) == [(k, n.lower()) for k, n in NAMES["en"]]


@given(st.integers(0, 20), st.integers(0, 6), st.text("xy", max_size=4))
def test_an_edit_moves_entities_or_is_refused(start: int, length: int, put: str) -> None:
    row = TaggedText("aaaa BBBB cccc DDDD eeee", (Span("X", 5, 9), Span("Y", 15, 19)))
    end = start + length
    cuts = any(start < e.start < end or start < e.stop < end for e in row.entities)
    if cuts:
        with pytest.raises(ValueError, match="cuts through"):
            edited(row, [Edit(start, end, put)])
        return
    out = edited(row, [Edit(start, end, put)])
    assert out.text == row.text[:start] + put + row.text[end:]
    assert isinstance(out, TaggedText)
    for before, after in zip(row.entities, out.entities, strict=True):
        if end <= before.start or start >= before.stop:
            assert out.text[after.start : after.stop] == row.text[before.start : before.stop]


def test_other_ends_and_capitals_keep_the_label() -> None:
    row = LabelledText("i think it is good .", "positive")
    random = np.random.default_rng(5)
    out = {Augmenter(Noise(ends=0.99, capitals=0.5), "en").row(row, random) for _ in range(60)}
    assert all(isinstance(r, LabelledText) and r.label == "positive" for r in out)
    assert any(r.text.endswith("!!!!") for r in out)
    assert any(r.text.startswith("I think") for r in out)
    assert replace(row, text="i think it is good!") in out


def test_nothings_are_as_many_as_asked_and_differ() -> None:
    made = nothings(200, np.random.default_rng(1))
    assert len(made) == 200
    assert len(set(made)) > 150
    assert all(text.strip() for text in made)
