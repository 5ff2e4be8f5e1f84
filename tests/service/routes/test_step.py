"""step over HTTP: any chunks give the answers of predict, and no other state than ours is taken."""

import contextlib
import random
import threading
from typing import Any

import httpx
import pytest

from models.runtime.cpu.kernel import choose
from tests.models.text.test_chunks import utf16
from tests.service.conftest import Serve

TEXT = "中国女排在北京战胜了巴西队，\n郎平说这场比赛😀并不轻松！！"
KEY = "k" * 32


def step(client: httpx.Client, model: str, text: str, state: str | None = None, **more: Any) -> httpx.Response:
    return client.post(f"/v1/models/{model}/step", json={"text": text, "state": state, **more})


def whole(client: httpx.Client, model: str, text: str) -> dict[str, Any]:
    answer: dict[str, Any] = client.post(f"/v1/models/{model}/predict", json={"inputs": text}).json()["results"][0]
    return answer


@pytest.mark.parametrize("model", ["tiny-zh-rnn", "tiny-zh-lstm", "tiny-zh-pooled"])
def test_every_chunk_gives_the_answer_of_the_whole_text_so_far(server: httpx.Client, model: str) -> None:
    state, fed, lengths = None, "", set()
    for chunk in (TEXT[:1], TEXT[1:5], "", TEXT[5:15], "  ", TEXT[15:]):
        answer = step(server, model, chunk, state).json()
        fed, state = fed + chunk, answer["state"]
        want = whole(server, model, fed)
        assert answer["timestep"] == want["tokens"]
        assert [x["label"] for x in answer["results"][0]["labels"]] == [x["label"] for x in want["labels"]]
        for got, expected in zip(answer["results"][0]["labels"], want["labels"], strict=True):
            assert got["score"] == pytest.approx(expected["score"], abs=1e-6)
        assert answer["results"][0]["known_fraction"] == want["known_fraction"]
        lengths.add(len(state))
    assert len(lengths) == 1
    assert lengths.pop() < 65536


def test_entities_are_given_until_they_are_final_and_together_are_predicts(server: httpx.Client) -> None:
    state, final = None, []
    for chunk in (TEXT[:3], TEXT[3:9], TEXT[9:20], TEXT[20:]):
        answer = step(server, "tiny-zh-ner-lstm", chunk, state).json()
        state, entities = answer["state"], answer["results"][0]["entities"]
        open_now = [e for e in entities if not e["final"]]
        final += [e for e in entities if e["final"]]
    got = [(e["label"], e["text"], e["start"], e["end"]) for e in final + open_now]
    want = whole(server, "tiny-zh-ner-lstm", TEXT)["entities"]
    assert got == [(e["label"], e["text"], e["start"], e["end"]) for e in want]
    assert len(got) > 3


def test_offsets_count_utf16_units_of_the_whole_text_where_asked(server: httpx.Client) -> None:
    text = "😀😀中国女排在北京战胜了巴西队"
    state, found = None, []
    for chunk in (text[:1], text[1:6], text[6:]):
        shown = {"tensors": ["hidden_state"], "select": {"units": [0]}}
        answer = step(server, "tiny-zh-ner-lstm", chunk, state, offset_unit="utf16", inspect=shown).json()
        state, result = answer["state"], answer["results"][0]
        found += [e for e in result["entities"] if e["final"]]
        for token in result["token_list"]:
            assert "".join(utf16(text)[token["start"] : token["end"]]) == "".join(utf16(token["text"]))
    found += [e for e in result["entities"] if not e["final"]]
    assert found
    for e in found:
        assert utf16(text)[e["start"] : e["end"]] == utf16(e["text"])


def test_a_chunk_may_end_within_a_surrogate_pair(server: httpx.Client) -> None:
    """As JavaScript cuts a string: the half waits, and the answer is of the text without it until the rest comes."""

    def send(body: str) -> httpx.Response:
        headers = {"content-type": "application/json"}
        return server.post("/v1/models/tiny-zh-lstm/step", content=body.encode(), headers=headers)

    first = send(r'{"text": "很好\ud83d"}')
    assert first.status_code == 200, first.text
    assert first.json()["timestep"] == 2
    second = send(rf'{{"text": "\ude00了", "state": "{first.json()["state"]}"}}')
    assert second.json()["timestep"] == whole(server, "tiny-zh-lstm", "很好😀了")["tokens"] == 4
    for bad in (
        r'{"text": "\ude00"}',
        r'{"text": "a\ud83db"}',
        r'{"text": "\ud83d", "state": "\ud83d"}',
        r'{"text": "\ud83d", "x": NaN}',
        rf'{{"text": "b", "state": "{first.json()["state"]}"}}',
        rf'{{"text": "\ud83d\ude00", "state": "{first.json()["state"]}"}}',
        '{"text": "\\ud83d", "inspect": ' + "[" * 5000 + "]" * 5000 + "}",
    ):
        assert send(bad).status_code == 400, bad
        assert send(bad).json()["error_type"] == "malformed_body"


def test_white_space_is_a_beginning_and_nothing_is_none(server: httpx.Client) -> None:
    answer = step(server, "tiny-zh-lstm", " \n").json()
    assert (answer["results"], answer["timestep"]) == ([], 0)
    after = step(server, "tiny-zh-lstm", "好", answer["state"]).json()
    assert after["timestep"] == 1
    empty = step(server, "tiny-zh-lstm", "")
    assert (empty.status_code, empty.json()["error_type"]) == (422, "empty_text")


def test_with_inspect_the_steps_that_were_read_are_shown_as_in_the_whole(server: httpx.Client) -> None:
    shown = {"tensors": ["forget_gate", "cell_state"], "select": {"units": [2, 0]}, "decimals": 9}
    state, start = None, 0
    asked = {"inputs": TEXT, **shown}
    want = server.post("/v1/models/tiny-zh-lstm/inspect", json=asked).json()["results"][0]
    for stop in (4, 11, len(TEXT)):
        answer = step(server, "tiny-zh-lstm", TEXT[start:stop], state, inspect=shown).json()
        state, start, result = answer["state"], stop, answer["results"][0]
        steps = result["selection"]["timesteps"]
        assert steps[-1] == answer["timestep"] - 1
        for name, tensor in result["tensors"].items():
            rows = want["tensors"][name]["data"][0][0]
            for got, t in zip(tensor["data"][0][0], steps, strict=True):
                assert got == pytest.approx(rows[t], abs=1e-6)
        assert [t["text"] for t in result["token_list"]] == [want["token_list"][t]["text"] for t in steps]
        assert [t["start"] for t in result["token_list"]] == [want["token_list"][t]["start"] for t in steps]
        assert result["certificate"]["recurrence_max_abs_error"] < 2e-6


@pytest.mark.parametrize(
    ("model", "body", "status", "error_type"),
    [
        ("tiny-en-bilstm", {"text": "x"}, 422, "not_streamable"),
        ("tiny-en-bilstm", {}, 422, "not_streamable"),
        ("nobody", {"text": "x"}, 404, "unknown_model"),
        ("tiny-zh-lstm", {}, 422, "invalid_request"),
        ("tiny-zh-lstm", {"text": 3}, 422, "invalid_request"),
        ("tiny-zh-lstm", {"text": "x", "inputs": "y"}, 422, "invalid_request"),
        ("tiny-zh-lstm", {"text": "好" * 2001}, 422, "too_many_characters"),
        ("tiny-zh-lstm", {"text": "好" * 700}, 422, "too_many_tokens"),
        ("tiny-zh-rnn", {"text": "x", "inspect": {"tensors": ["forget_gate"]}}, 422, "activations_unavailable"),
        ("tiny-zh-lstm", {"text": "x", "inspect": {"select": {"timesteps": {"start": 1}}}}, 422, "option_error"),
        ("tiny-zh-lstm", {"text": "x", "inspect": {"prefix_predictions": True}}, 422, "option_error"),
        ("tiny-zh-lstm", {"text": "x", "state": ""}, 422, "state_rejected"),
        ("tiny-zh-lstm", {"text": "x", "state": "A" * 70_000}, 422, "state_rejected"),
        ("tiny-zh-lstm", {"text": "x", "state": "☃" * 1000}, 422, "state_rejected"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    server: httpx.Client, model: str, body: dict[str, Any], status: int, error_type: str
) -> None:
    answer = server.post(f"/v1/models/{model}/step", json=body)
    assert (answer.status_code, answer.json()["error_type"]) == (status, error_type)


def test_who_cannot_stream_names_those_that_can(server: httpx.Client) -> None:
    detail = step(server, "tiny-en-birnn", "x").json()["detail"]
    assert "tiny-en-birnn reads both directions" in detail
    assert "(tiny-zh-lstm, tiny-zh-ner-lstm" in detail


def test_a_state_of_another_model_or_altered_is_rejected(server: httpx.Client) -> None:
    states = {m: step(server, m, "好的").json()["state"] for m in ("tiny-zh-lstm", "tiny-zh-pooled", "tiny-zh-rnn")}
    for name, state in states.items():
        for model in states:
            answer = step(server, model, "x", state)
            assert answer.status_code == (200 if model == name else 422)
            assert model == name or answer.json()["error_type"] == "state_rejected"
    draw, state = random.Random(0), states["tiny-zh-lstm"]
    for _ in range(60):
        n = draw.randrange(len(state))
        other = draw.choice([c for c in "ABCxyz019-_" if c != state[n]])
        assert step(server, "tiny-zh-lstm", "x", state[:n] + other + state[n + 1 :]).status_code == 422


def test_two_servers_with_one_key_go_on_from_each_others_states(serve: Serve) -> None:
    with contextlib.ExitStack() as stack:
        here, there = (stack.enter_context(serve(state_key=KEY)) for _ in range(2))
        stranger = stack.enter_context(serve())
        state = None
        for n in range(1, len(TEXT)):
            client = (here, there)[n % 2]
            answer = step(client, "tiny-zh-lstm", TEXT[n - 1], state).json()
            state = answer["state"]
        [alone] = step(here, "tiny-zh-lstm", TEXT[: len(TEXT) - 1]).json()["results"]
        if choose("auto"):
            assert answer["results"] == [alone]
        else:  # torch's kernels promise no bits
            assert [row["label"] for row in answer["results"][0]["labels"]] == [row["label"] for row in alone["labels"]]
            scores = ([row["score"] for row in found["labels"]] for found in (answer["results"][0], alone))
            assert next(scores) == pytest.approx(next(scores), abs=1e-6)
        refused = step(stranger, "tiny-zh-lstm", "x", state)
        assert (refused.status_code, refused.json()["error_type"]) == (422, "state_rejected")


def test_a_state_expires(serve: Serve) -> None:
    with serve(state_lifetime_s=1) as client:
        state = step(client, "tiny-zh-lstm", "好").json()["state"]
        assert step(client, "tiny-zh-lstm", "好", state).status_code == 200
        threading.Event().wait(2.1)
        answer = step(client, "tiny-zh-lstm", "好", state)
        assert answer.json()["error_type"] == "state_rejected"
        assert "GATESCOPE_STATE_LIFETIME_S" in answer.json()["detail"]


def test_the_state_has_one_length_after_ten_tokens_and_after_ten_thousand(serve: Serve) -> None:
    with serve() as client:
        for model in ("tiny-zh-lstm", "tiny-zh-ner-lstm", "tiny-zh-pooled"):
            answer = step(client, model, "好" * 10).json()
            short = len(answer["state"])
            while answer["timestep"] < 10_000:
                answer = step(client, model, "好的 吗" * 100, answer["state"]).json()
            assert len(answer["state"]) == short
