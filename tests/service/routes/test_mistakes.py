"""Every mistake of a body in one sentence, and for an unknown field the one that may be meant."""

from typing import Any

import httpx
import pytest


def detail(server: httpx.Client, verb: str, body: Any, model: str = "tiny-zh-lstm") -> str:
    path = f"/v1/models/{model}/{verb}" if verb != "compare-models" else "/v1/compare"
    response = server.post(path, json=body)
    assert response.status_code == 422
    assert response.json()["error_type"] == "invalid_request"
    sentence: str = response.json()["detail"]
    return sentence


@pytest.mark.parametrize(
    ("verb", "body", "field", "meant"),
    [
        ("predict", {"text": "好"}, "text", "inputs"),
        ("predict", {"texts": ["好"]}, "texts", "inputs"),
        ("predict", {"input": "好"}, "input", "inputs"),
        ("predict", {"Inputs": "好"}, "Inputs", "inputs"),
        ("predict", {"inputs": "好", "topk": 1}, "topk", "top_k"),
        ("predict", {"inputs": "好", "inspect": {"tensor": ["forget_gate"]}}, "inspect.tensor", "tensors"),
        ("inspect", {"inputs": "好", "select": {"unit": [1]}}, "select.unit", "units"),
        (
            "inspect",
            {"inputs": "好", "select": {"timesteps": {"end": 1, "strid": 2}}},
            "select.timesteps.strid",
            "stride",
        ),
        ("inspect", {"inputs": "好", "gates": ["forget_gate"]}, "gates", "tensors"),
        ("render", {"text": "好", "view": "gates"}, "text", "input"),
        (
            "intervene",
            {"input": "好", "interventions": [{"target": "forget_gate", "op": "zero", "unit": [1]}]},
            "interventions.0.unit",
            "units",
        ),
        ("attribute", {"inputs": "好", "label": "x"}, "label", "target"),
    ],
)
def test_an_unknown_field_is_answered_with_the_nearest_known_one(
    server: httpx.Client, verb: str, body: Any, field: str, meant: str
) -> None:
    assert f"{field} is not a field of this request: did you mean {meant}?" in detail(server, verb, body)


def test_a_field_that_stands_for_a_missing_one_is_one_mistake(server: httpx.Client) -> None:
    sentence = detail(server, "predict", {"text": "好"})
    assert sentence == "text is not a field of this request: did you mean inputs?"


def test_a_field_like_no_other_is_answered_with_all_of_them(server: httpx.Client) -> None:
    sentence = detail(server, "inspect", {"inputs": "好", "select": {"xyzzy": 1}})
    assert sentence == "select.xyzzy is not a field of this request: allowed are layers, directions, timesteps, units"


def test_every_mistake_is_named(server: httpx.Client) -> None:
    body = {"inputs": 5, "top_k": "many", "tpo": 1, "inspect": {"decimals": 99, "select": {"units": [-1, "a"]}}}
    sentence = detail(server, "predict", body)
    for word in ("inputs: ", "top_k: ", "tpo is not", "inspect.decimals: ", "inspect.select.units.0: ", "units.1: "):
        assert word in sentence, sentence
    assert "'many'" in sentence
    assert "\n" not in sentence


def test_thousands_of_mistakes_are_counted(server: httpx.Client) -> None:
    sentence = detail(server, "inspect", {"inputs": "好", "select": {"units": ["x"] * 5000}})
    assert "(and 4988 more)" in sentence
    assert len(sentence) < 2000
