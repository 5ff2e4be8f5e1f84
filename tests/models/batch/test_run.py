"""A batch gives each row what the predictor says of its text alone, in order, whatever the file and the processes."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.analysis.reductions import reduce
from models.batch.blocks import load_predictor
from models.batch.columns import columns_of
from models.batch.run import Outcome, Request
from models.errors import ActivationsUnavailable, BatchError, InputError, OptionError
from models.inference.inspection import Inspection
from models.inference.predictor import Predictor
from tests.models.batch.files import Row, read
from tests.models.batch.requests import answered, rows_for


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
@pytest.mark.parametrize("model", ["tiny-zh-lstm", "tiny-en-bilstm", "tiny-zh-ner-lstm", "tiny-en-ner-bilstm"])
def test_each_row_has_the_answer_of_its_text_alone(request_of: Callable[..., Request], model: str, suffix: str) -> None:
    tagger = "-ner" in model
    asked = ("entities", "tokens") if tagger else ("labels", "label", "score", "tokens", "known_fraction")
    request = request_of(model, suffix=suffix, asked=asked)
    assert answered(request) == Outcome(137, 0, 0)
    predictor = load_predictor(request.model)
    for given, found in zip(rows_for(model), read(request.output), strict=True):
        (alone,) = predictor.predict([given["text"]])
        expected: Row = {"tokens": len(alone.tokens)}
        if tagger:
            found_entities = [(e["label"], e["text"], e["start"], e["end"]) for e in found["entities"]]
            assert found_entities == [(e.label, e.text, e.start, e.end) for e in alone.entities or ()]
            scores = [e.score for e in alone.entities or ()]
            assert [e["score"] for e in found.pop("entities")] == pytest.approx(scores, abs=1e-6)
        else:
            assert alone.scores is not None
            assert [label["label"] for label in found["labels"]] == [label for label, _ in alone.scores]
            best = found["labels"][0]
            scores = [score for _, score in alone.scores]
            assert [label["score"] for label in found.pop("labels")] == pytest.approx(scores, abs=1e-6)
            assert (found.pop("label"), found.pop("score")) == (best["label"], best["score"])
            expected["known_fraction"] = round(alone.known_fraction, 4)
        assert found == {**given, "id": str(given["id"]) if suffix == ".csv" else given["id"], **expected}


@pytest.mark.parametrize("output", ["out.jsonl", "out.parquet"])
@pytest.mark.parametrize("model", ["tiny-zh-lstm", "tiny-en-birnn", "tiny-en-ner-bilstm"])
def test_reductions_are_those_of_the_tensors_of_the_text_alone(
    request_of: Callable[..., Request], model: str, output: str
) -> None:
    request = request_of(model, rows_for(model, 45))
    predictor = load_predictor(request.model)
    tensors = ("hidden_state", "forget_gate", "input_gate") if predictor.shape.cell == "lstm" else ("hidden_state",)
    asked = [f"{tensor}.{kind}" for tensor in tensors for kind in ("mean", "saturation", "norm")]
    asked += ["forget_gate.half_life", "phases"] if predictor.shape.cell == "lstm" else []
    request = replace(request, asked=tuple(asked), output=request.output.with_name(output))
    answered(request)
    names = columns_of(asked, predictor.shape).names
    for given, found in zip(rows_for(model, 45), read(request.output), strict=True):
        (alone,) = predictor.predict([given["text"]], Inspection(tensors))
        assert alone.inside is not None
        values = alone.inside.tensors
        kinds = ("mean", "saturation", "norm", *(("half_life", "phases") if "forget_gate" in tensors else ()))
        expected = reduce(values, kinds, values)  # type: ignore[arg-type]
        for name in names:
            tensor, _, field = name.partition(".")
            np.testing.assert_allclose(found[name], expected[tensor][field], rtol=1e-5, atol=2e-6)
    assert set(found) >= {"id", "text", *names}


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
@pytest.mark.parametrize("output", ["out.jsonl", "out.parquet"])
def test_two_processes_write_the_bytes_of_one(request_of: Callable[..., Request], suffix: str, output: str) -> None:
    request = request_of(suffix=suffix)
    one, two = (replace(request, output=request.output.with_name(f"{n}-{output}")) for n in (1, 2))
    assert answered(one, processes=1) == answered(two, processes=2)
    assert one.output.read_bytes() == two.output.read_bytes()
    assert len(read(one.output)) == 137


BAD = [
    ("good", '{"id": 0, "text": "好"}', ""),
    ("not JSON", "{", "not JSON"),
    ("empty", '{"id": 2, "text": "  "}', "no token"),
    ("null", '{"id": 3, "text": null}', "the text is null"),
    ("no text", '{"id": 4}', "no 'text' among 'id'"),
    ("too long", json.dumps({"id": 5, "text": "好" * 601}), "601 tokens and this model takes at most 600"),
    ("far too long", json.dumps({"id": 6, "text": "好" * 2001}), "2001 characters"),
    ("taken", '{"id": 7, "text": "好", "label": "mine"}', "'label', which an answer would overwrite"),
    ("surrogate", '{"id": 8, "text": "\\ud800"}', "not JSON"),
    ("good", '{"id": 9, "text": "差"}', ""),
]


@pytest.mark.parametrize("output", ["out.jsonl", "out.parquet"])
def test_a_bad_row_stands_in_its_place_with_its_error_and_line(request_of: Callable[..., Request], output: str) -> None:
    request = request_of()
    request = replace(request, output=request.output.with_name(output), block_rows=3)
    request.input.write_text("\n\n".join(["", *(line for _, line, _ in BAD)]), "utf-8")
    assert answered(request, processes=2) == Outcome(10, 8, 0)
    for n, (found, (_, line, says)) in enumerate(zip(read(request.output), BAD, strict=True)):
        if not says:
            assert {**json.loads(line), "label": found["label"]}.items() <= found.items()
            assert found.get("error") is None
            continue
        assert says in found["error"]
        assert "\n" not in found["error"]
        assert found["error_line"] == 2 * n + 3
        if says.startswith(("no token", "601", "the text")):
            assert found["id"] == n  # what could be read of the row is kept


def test_json_rows_go_out_byte_for_byte(request_of: Callable[..., Request]) -> None:
    lines = [
        '{"text": "好", "n": 1e300, "big": 123456789012345678901234567890, "a": 1, "a": 2}',
        '  {"text":"\\u597d" , "f": 1.10 }\t',
    ]
    request = request_of()
    request.input.write_text("\n".join(lines), "utf-8")
    answered(request)
    for line, found in zip(lines, request.output.read_text("utf-8").splitlines(), strict=True):
        assert found.startswith(line.strip()[:-1].rstrip() + ',"label":"')


def test_parquet_keeps_the_values_of_json_rows_whatever_their_blocks_hold(request_of: Callable[..., Request]) -> None:
    """A key that is an integer in one block and a text in another becomes JSON text; no value changes."""
    values: list[Any] = [1, 2, None, 2.5, 2**60, 2**70 + 1, "x", "1", [1, {"a": None}], True]
    rows = [
        {"text": "好", "mixed": v, **({"number": v} if type(v) in (int, float) and v < 9 else {}), **extra}
        for v, extra in zip(values, [{"late": 1}, *[{}] * 9], strict=True)
    ]
    rows[-1] |= {"long": 2**60, "flag": False}
    request = request_of(rows=rows)
    request = replace(request, output=request.output.with_name("out.parquet"), block_rows=1)
    answered(request)
    found = read(request.output)
    assert [None if row["mixed"] is None else json.loads(row["mixed"]) for row in found] == values
    assert [row["number"] for row in found] == [1.0, 2.0, None, 2.5, *[None] * 6]
    assert ([row["late"] for row in found], found[-1]["long"], found[-1]["flag"]) == ([1, *[None] * 9], 2**60, False)
    assert list(found[0])[:4] == ["text", "mixed", "number", "late"]


def test_an_output_is_written_over_only_where_that_is_asked_for(request_of: Callable[..., Request]) -> None:
    request = request_of()
    request.output.write_text("mine")
    with pytest.raises(BatchError, match="is there already: --replace"):
        answered(request)
    assert request.output.read_text() == "mine"
    assert answered(replace(request, replace=True)).rows == 137
    with pytest.raises(BatchError, match="the same file"):
        answered(replace(request, input=request.output, replace=True))


@pytest.mark.parametrize("name", ["out.csv", "no/folder.jsonl", ""])
def test_an_output_that_cannot_be_is_refused(request_of: Callable[..., Request], name: str) -> None:
    request = request_of()
    with pytest.raises(BatchError, match="OUT is"):
        answered(replace(request, output=request.output.parent / name))


@pytest.mark.parametrize(
    ("model", "asked", "says"),
    [
        ("tiny-zh-lstm", "entities", "no column 'entities' of this model: allowed are known_fraction, label, labels"),
        ("tiny-zh-ner-lstm", "labels", "allowed are entities, known_fraction, tokens"),
        ("tiny-zh-lstm", "forget_gate", "a tensor with a reduction"),
        ("tiny-zh-lstm", "forget_gate.max", "forget_gate has no reduction 'max': it has mean"),
        ("tiny-zh-lstm", "cell_state.saturation", "cell_state has no reduction 'saturation'"),
        ("tiny-zh-lstm", "hidden_state.half_life_tokens", "hidden_state has no reduction"),
        ("tiny-zh-rnn", "forget_gate.mean", "no tensor 'forget_gate'"),
        ("tiny-zh-rnn", "phases", "phases"),
        ("tiny-zh-lstm", "phases.rest", "phases has no reduction 'rest'"),
    ],
)
def test_a_column_that_the_model_has_not_is_refused(weights_dir: Path, model: str, asked: str, says: str) -> None:
    predictor = load_predictor(weights_dir / model)
    with pytest.raises((OptionError, ActivationsUnavailable, InputError)) as refused:
        columns_of([asked], predictor.shape)
    assert says in str(refused.value)


def test_a_column_is_named_once(weights_dir: Path) -> None:
    shape = load_predictor(weights_dir / "tiny-zh-lstm").shape
    with pytest.raises(OptionError, match=r"forget_gate.fraction_low is asked for twice"):
        columns_of(["forget_gate.saturation", "forget_gate.fraction_low"], shape)


def test_every_reduction_of_inspect_can_be_a_column(weights_dir: Path) -> None:
    """Held against what Inspect answers, so that a new reduction is not forgotten here."""
    predictor: Predictor = load_predictor(weights_dir / "tiny-zh-lstm")
    kinds = ("saturation", "mean", "norm", "half_life", "phases")
    (answer,) = predictor.predict(["好"], Inspection(reduce=kinds))
    assert answer.inside is not None
    reductions = answer.inside.reductions or {}
    every = [f"{tensor}.{field}" for tensor, fields in reductions.items() for field in fields]
    assert len(every) == 27
    assert columns_of(every, predictor.shape).names == tuple(every)
