"""The service's own API, from outside."""

import math
from typing import Any

import httpx
import numpy as np
import pytest

TEXT = "我想吃汉堡"
LSTM = ["hidden_state", "cell_state", "input_gate", "forget_gate", "cell_gate", "output_gate"]


def ask(client: httpx.Client, model: str, verb: str, **body: Any) -> dict[str, Any]:
    response = client.post(f"/v1/models/{model}/{verb}", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_the_list_and_each_model_tell_the_same(server: httpx.Client) -> None:
    listed = server.get("/v1/models").json()
    assert listed["broken"] == []
    assert sum(m["default"] for m in listed["models"]) == 1
    for m in listed["models"]:
        assert server.get(f"/v1/models/{m['name']}").json().items() <= m.items()
        assert m["streamable"] == (m["directions"] == ["forward"])
        assert m["tensors"] == (LSTM if m["cell"] == "lstm" else ["hidden_state"])
        assert (m.get("tags") is not None) == (m["task"] == "token-classification")


def test_predict_answers_in_input_order_with_scores_that_sum_to_one(server: httpx.Client) -> None:
    texts = [TEXT, "好", TEXT * 9, "不"]
    answer = ask(server, "tiny-zh-lstm", "predict", inputs=texts)
    assert [r["tokens"] for r in answer["results"]] == [5, 1, 45, 1]
    assert answer["usage"]["tokens"] == 52
    assert answer["usage"]["compute_ms"] > 0
    for result, text in zip(answer["results"], texts, strict=True):
        scores = [x["score"] for x in result["labels"]]
        assert math.isclose(sum(scores), 1, abs_tol=1e-9)
        assert scores == sorted(scores, reverse=True)
        assert set(result) == {"labels", "tokens", "known_fraction"}
        alone = ask(server, "tiny-zh-lstm", "predict", inputs=text)["results"][0]["labels"]
        assert np.allclose([x["score"] for x in alone], scores, atol=1e-6)


def test_top_k_cuts_the_list_and_nothing_else(server: httpx.Client) -> None:
    whole = ask(server, "tiny-zh-lstm", "predict", inputs=TEXT)["results"][0]["labels"]
    assert ask(server, "tiny-zh-lstm", "predict", inputs=TEXT, top_k=1)["results"][0]["labels"] == whole[:1]


def test_predict_with_inspect_adds_what_inspect_gives(server: httpx.Client) -> None:
    options = {"tensors": ["forget_gate"], "reduce": ["mean"], "prefix_predictions": True}
    predicted = ask(server, "tiny-zh-lstm", "predict", inputs=TEXT, inspect=options, top_k=1)["results"][0]
    inspected = ask(server, "tiny-zh-lstm", "inspect", inputs=TEXT, **options)["results"][0]
    assert len(predicted.pop("labels")) == 1
    inspected.pop("labels")
    assert predicted == inspected


def test_the_selection_is_what_is_sent_in_the_order_asked(server: httpx.Client) -> None:
    select = {"units": [2, 0], "timesteps": {"start": 1, "stop": 99, "stride": 2}, "directions": ["reverse", "forward"]}
    whole = ask(server, "tiny-en-bilstm", "inspect", inputs="a b c d e f")["results"][0]
    part = ask(server, "tiny-en-bilstm", "inspect", inputs="a b c d e f", select=select)["results"][0]
    assert part["selection"] == {
        "layers": whole["selection"]["layers"],
        "directions": ["reverse", "forward"],
        "timesteps": [1, 3, 5],
        "units": [2, 0],
    }
    for name in LSTM:
        full = np.array(whole["tensors"][name]["data"])
        want = full[:, [1, 0]][:, :, [1, 3, 5]][:, :, :, [2, 0]]
        assert part["tensors"][name]["shape"] == list(want.shape)
        assert np.array_equal(np.array(part["tensors"][name]["data"]), want)


def test_candidate_is_answered_as_cell_gate(server: httpx.Client) -> None:
    assert list(
        ask(server, "tiny-zh-lstm", "inspect", inputs=TEXT, tensors=["candidate"])["results"][0]["tensors"]
    ) == ["cell_gate"]


def test_reduce_without_tensors_sends_only_reductions_of_every_tensor(server: httpx.Client) -> None:
    result = ask(server, "tiny-zh-lstm", "inspect", inputs=TEXT, reduce=["mean", "phases", "saturation"])["results"][0]
    assert result["tensors"] == {}
    assert set(result["reductions"]) == {*LSTM, "phases"}
    assert set(result["reductions"]["cell_state"]) == {"mean"}
    spent = sum(np.array(v) for v in result["reductions"]["phases"].values())
    assert np.allclose(spent, 1, atol=1e-5)


def test_offsets_count_utf16_units_when_asked(server: httpx.Client) -> None:
    text = "😀 北京 London 😀"
    raw = text.encode("utf-16-le")
    for model in ("tiny-zh-ner-lstm", "tiny-en-ner-bilstm"):
        result = ask(server, model, "inspect", inputs=text, offset_unit="utf16")["results"][0]
        for token in result["token_list"] + result["entities"]:
            assert raw[2 * token["start"] : 2 * token["end"]].decode("utf-16-le") == token["text"]


def test_token_scores_are_emissions_and_marginals_of_every_tag(server: httpx.Client) -> None:
    tags = server.get("/v1/models/tiny-zh-ner-lstm").json()["tags"]
    scores = ask(server, "tiny-zh-ner-lstm", "inspect", inputs=TEXT, token_scores=True)["results"][0]["token_scores"]
    assert np.shape(scores["emissions"]) == np.shape(scores["marginals"]) == (5, len(tags))
    assert np.allclose(np.sum(scores["marginals"], axis=1), 1, atol=1e-5)


def test_an_answer_over_the_budget_is_413_that_says_what_would_fit(serve: Any) -> None:
    with serve(max_answer_bytes=2000) as client:
        response = client.post("/v1/models/tiny-zh-lstm/inspect", json={"inputs": TEXT * 4})
        detail = response.json()["detail"]
        assert response.status_code == 413
        assert "values" in detail
        assert "bytes" in detail
        assert "application/vnd.safetensors" in detail
        select = {"units": [0], "timesteps": {"stop": 3}}
        small = client.post("/v1/models/tiny-zh-lstm/inspect", json={"inputs": TEXT * 4, "select": select})
        assert small.status_code == 200


@pytest.mark.parametrize(
    "model", ["tiny-zh-rnn", "tiny-zh-lstm", "tiny-en-bilstm", "tiny-zh-ner-lstm", "tiny-en-ner-bilstm"]
)
def test_every_answer_is_certified(server: httpx.Client, model: str) -> None:
    certificate = ask(server, model, "inspect", inputs="a bc 北京 d" * 5)["results"][0]["certificate"]
    assert 0 <= certificate["recurrence_max_abs_error"] < 2e-6
    assert certificate["dtype"] == "float32"
    assert certificate["device"] == "cpu"
    assert certificate["kernel"]


def test_a_rerun_prefix_is_charged_for_what_it_reads(serve: Any) -> None:
    with serve(max_queue_tokens=100) as client:
        body = {"inputs": "a b c d e f g h i j k l m n o p", "prefix_predictions": True, "tensors": []}
        response = client.post("/v1/models/tiny-en-bilstm/inspect", json=body)
        assert response.status_code == 413
        assert "tokens to read" in response.json()["detail"]
