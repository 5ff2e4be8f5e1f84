"""Figures of an evaluation against what is counted by hand or by a slow loop."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.network.spans import bio_tags, to_spans
from models.training.calibration import BINS, expected_calibration_error, reliability
from models.training.card import typed_command
from models.training.confusion import NO_ENTITY, confusion
from models.training.corpora import LabelledText
from models.training.metrics import accuracy, f1, label_scores, precision_recall
from models.training.notices import class_weights
from models.training.predicted import Predicted

LABELS = ("A", "B")
TAGS = bio_tags(LABELS)
paths = st.lists(st.sampled_from(range(len(TAGS))), min_size=6, max_size=6).map(np.array)


@given(st.lists(st.tuples(paths, paths), min_size=1, max_size=6))
def test_scores_of_entities_equal_sets_of_spans_counted_label_by_label(
    pairs: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    targets, found = zip(*pairs, strict=True)
    predicted = Predicted(targets, paths=found)
    meant_spans, found_spans = (
        Counter((i, *span) for i, row in enumerate(rows) for span in to_spans([TAGS[k] for k in row]))
        for rows in (targets, found)
    )
    both = meant_spans & found_spans
    assert precision_recall(predicted, LABELS) == pytest.approx(
        (both.total() / max(1, found_spans.total()), both.total() / max(1, meant_spans.total()))
    )
    assert f1(predicted, LABELS) == pytest.approx(2 * both.total() / max(1, found_spans.total() + meant_spans.total()))
    for score in label_scores(predicted, LABELS):
        right, given_, support = (sum(span[1] == score.label for span in c) for c in (both, found_spans, meant_spans))
        assert score.support == support
        assert score.precision == pytest.approx(right / max(1, given_))
        assert score.recall == pytest.approx(right / max(1, support))


def test_what_is_taken_for_what_is_counted() -> None:
    target = [TAGS.index(tag) for tag in ("B-A", "I-A", "O", "B-B", "O", "B-B")]
    path = [TAGS.index(tag) for tag in ("B-B", "I-B", "O", "B-B", "B-A", "O")]
    table = confusion(Predicted((np.array(target),), paths=(np.array(path),)), LABELS)
    assert table.labels == ("A", "B", NO_ENTITY)
    assert table.counts.tolist() == [[0, 1, 0], [0, 1, 1], [1, 0, 0]]
    assert table.most_frequent() == [("A", "B", 1), ("B", "", 1), ("", "A", 1)]
    logits = np.array([[2, 1], [0, 1], [0, 1], [1, 0]], np.float32)
    table = confusion(Predicted(tuple(np.array(k) for k in (0, 0, 0, 1)), logits=logits), LABELS)
    assert table.counts.tolist() == [[1, 2], [1, 0]]
    assert table.most_frequent() == [("A", "B", 2), ("B", "A", 1)]


def test_the_calibration_error_is_the_mean_distance_of_score_and_accuracy_over_the_bins() -> None:
    random = np.random.default_rng(0)
    logits, temperature = random.normal(size=(500, 3)).astype(np.float32) * 2, 1.7
    targets = random.integers(0, 3, 500)
    predicted = Predicted(tuple(map(np.array, targets)), logits=logits)
    bins: dict[int, list[tuple[float, bool]]] = {}
    for z, target in zip(logits.astype(np.float64) / temperature, targets, strict=True):
        p = np.exp(z) / np.exp(z).sum()
        bins.setdefault(int(p.max() * BINS), []).append((p.max(), bool(p.argmax() == target)))
    expected = sum(
        abs(sum(s for s, _ in b) / len(b) - sum(r for _, r in b) / len(b)) * len(b) / 500 for b in bins.values()
    )
    found = reliability(predicted, ("a", "b", "c"), temperature)
    assert expected_calibration_error(found) == pytest.approx(expected)
    assert [b.answers for b in found] == [len(bins[k]) for k in sorted(bins)]
    assert sum(b.right * b.answers for b in found) / 500 == pytest.approx(accuracy(predicted))
    assert all(b.low <= b.score <= b.high for b in found)


def test_entities_are_calibrated_by_their_own_scores() -> None:
    target, path = (np.array([TAGS.index(t) for t in row]) for row in (("B-A", "O", "B-B"), ("B-A", "B-B", "B-B")))
    predicted = Predicted((target,), paths=(path,), losses=(1.0,), span_scores=((0.99, 0.99, 0.5),))
    low, high = reliability(predicted, LABELS, 1.0)
    assert (low.answers, low.right, high.answers, high.right) == (1, 1, 2, 0.5)
    assert expected_calibration_error([]) is None


def test_balanced_weights_give_each_class_the_same_part_and_a_mean_row_one() -> None:
    rows = [LabelledText("x", label) for label in "aaaaaabbc"]
    weights = dict(zip("abc", class_weights(rows, "abc"), strict=True))
    assert weights["a"] * 6 == pytest.approx(weights["b"] * 2) == pytest.approx(weights["c"])
    assert np.mean([weights[row.label] for row in rows]) == pytest.approx(1)


def test_a_typed_command_keeps_its_words_and_hides_where_files_lie() -> None:
    typed = [
        "train",
        "--name",
        "a b",
        "--train",
        "/home/anna/data/x.csv",
        "--dev=/home/anna/data/y.csv",
        "--out",
        "w",
        "--balance",
    ]
    lines = typed_command(typed).split(" \\\n  ")
    assert lines == [
        "gatescope train",
        "--name 'a b'",
        "--train data/x.csv",
        "--dev=data/y.csv",
        "--out w",
        "--balance",
    ]
