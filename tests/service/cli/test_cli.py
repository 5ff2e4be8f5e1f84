"""The command line as a person uses it: what it prints, and one sentence where something is wrong."""

import json
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import httpx
import numpy as np
import pytest

from gatescope import Client
from service.cli import changing
from service.cli.main import main


def test_list_shows_every_model_and_marks_the_default(server: httpx.Client, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--url", str(server.base_url)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(server.get("/v1/models").json()["models"])
    assert sum(line.startswith("*") for line in lines) == 1


def test_predict_prints_labels_and_entities(server: httpx.Client, capsys: pytest.CaptureFixture[str]) -> None:
    url = ["--url", str(server.base_url)]
    assert main(["predict", "--model", "tiny-zh-lstm", "我想吃汉堡", *url]) == 0
    labels = server.get("/v1/models/tiny-zh-lstm").json()["labels"]
    assert sorted(line.split()[1] for line in capsys.readouterr().out.splitlines()) == sorted(labels)
    assert main(["predict", "--model", "tiny-zh-ner-lstm", "我想吃汉堡", "--json", *url]) == 0
    assert "entities" in json.loads(capsys.readouterr().out)["results"][0]


Printed = Callable[..., str]


def test_a_label_is_printed_with_its_name_in_the_models_language(printed: "Printed", server: httpx.Client) -> None:
    lines = [line.split()[1:] for line in printed("predict", "--model", "tiny-zh-lstm", "我想吃汉堡").splitlines()]
    assert sorted(lines) == [["negative", "差评"], ["neutral"], ["positive", "好评"]]
    assert server.get("/v1/models/tiny-zh-lstm").json()["label_names"] == {"negative": "差评", "positive": "好评"}
    assert server.get("/v1/models/tiny-zh-ner-lstm").json()["label_names"] == {}


@pytest.fixture
def printed(server: httpx.Client, capsys: pytest.CaptureFixture[str]) -> Printed:
    """``printed("list")``: what a verb prints when the tiny models are served."""

    def run(*words: str) -> str:
        status = main([words[0], "--url", str(server.base_url), *words[1:]])
        captured = capsys.readouterr()
        assert status == 0, captured.err
        return captured.out

    return run


def test_inspect_shows_for_each_token_the_forget_gate_and_the_units_that_moved_most(
    printed: Printed, server: httpx.Client
) -> None:
    lines = printed("inspect", "--model", "tiny-zh-lstm", "我想").splitlines()[2:4]
    body = {"inputs": "我想", "tensors": ["hidden_state", "forget_gate"]}
    tensors = server.post("/v1/models/tiny-zh-lstm/inspect", json=body).json()["results"][0]["tensors"]
    states, gates = (np.array(tensors[name]["data"])[0, 0] for name in ("hidden_state", "forget_gate"))
    for t, line in enumerate(lines):
        assert line.endswith("我想"[t])
        assert "█" in line
        assert f"{gates[t].mean():.2f} ± {gates[t].std():.2f}" in line
        moved = states[t] - (states[t - 1] if t else 0)
        largest = int(np.abs(moved).argmax())
        assert line.split("  ")[line.split("  ").index(f"#{largest} {moved[largest]:+.2f}") - 1] in line
        assert line.index(f"#{largest} ") == line.index("#")


def test_inspect_of_an_rnn_shows_the_units_alone(printed: Printed) -> None:
    out = printed("inspect", "--model", "tiny-zh-rnn", "我想")
    assert "forget gate" not in out
    assert "#" in out


def test_a_reverse_direction_moves_from_the_token_after(printed: Printed, server: httpx.Client) -> None:
    body = {"inputs": "a b", "tensors": ["hidden_state"], "select": {"layers": [0], "directions": ["reverse"]}}
    result = server.post("/v1/models/tiny-en-birnn/inspect", json=body).json()["results"][0]
    moved = np.subtract(*np.array(result["tensors"]["hidden_state"]["data"])[0, 0])
    out = printed("inspect", "--model", "tiny-en-birnn", "--layers", "0", "--directions", "reverse", "a b")
    first = out.splitlines()[2]
    assert first.endswith("a")
    assert f"{moved[np.abs(moved).argmax()]:+.2f}" in first.split("  ")[1]


def test_the_text_may_stand_after_a_list_as_usage_prints_it(printed: Printed) -> None:
    model = ("--model", "tiny-zh-lstm")
    out = printed("inspect", *model, "--tensors", "forget_gate", "--units", "0", "1", "2", "我想")
    assert "#0     #1     #2" in out
    assert printed("inspect", "我想", *model, "--units", "0", "1", "2", "--tensors", "forget_gate") == out
    assert printed("inspect", *model, "--units", "0", "1", "--units", "2", "--tensors", "forget_gate", "我想") == out
    assert printed("inspect", *model, "--units", "0", "1", "2", "--tensors", "forget_gate", "--", "我想") == out
    assert "mean ± spread" in printed("inspect", *model, "--tensors", "forget_gate", "cell_state", "我想")
    compared = printed("compare", "--models", "tiny-zh-rnn", "tiny-zh-lstm", "我想")
    assert [line.split()[0] for line in compared.splitlines()] == ["tiny-zh-rnn", "tiny-zh-lstm"]
    assert printed("compare", "我想", "--models", "tiny-zh-rnn", "tiny-zh-lstm") == compared


def test_without_a_model_the_default_one_answers(printed: Printed, server: httpx.Client) -> None:
    default = next(m["name"] for m in server.get("/v1/models").json()["models"] if m["default"])
    answer = json.loads(printed("predict", "--json", "a b"))
    assert answer["model"]["name"] == default
    with Client(str(server.base_url)) as client:
        assert client.inspect("a b").model.name == default


def test_compare_of_two_texts_shows_the_distance_at_each_common_token(printed: Printed, server: httpx.Client) -> None:
    out = printed("compare", "--model", "tiny-en-bilstm", "a b c", "a c")
    want = server.post("/v1/models/tiny-en-bilstm/compare", json={"inputs": ["a b c", "a c"]}).json()["distance"]
    assert [float(line.split()[0]) for line in out.splitlines()[3:]] == pytest.approx(want, abs=1e-4)


def test_intervene_prints_before_after_and_every_step_of_a_sweep(printed: Printed, server: httpx.Client) -> None:
    change = ("--target", "forget_gate", "--op", "zero", "--units", "1", "2")
    out = printed("intervene", "--model", "tiny-zh-lstm", *change, "我想吃")
    body = {"input": "我想吃", "interventions": [{"target": "forget_gate", "op": "zero", "units": [1, 2]}]}
    want = server.post("/v1/models/tiny-zh-lstm/intervene", json=body).json()
    assert [float(x) for x in out.splitlines()[2].split()[3:]] == pytest.approx(want["delta_logits"], abs=1e-3)
    swept = printed("intervene", "--model", "tiny-zh-lstm", "--op", "zero", "--sweep", "timesteps", "我想吃")
    assert [line.split()[:2] for line in swept.splitlines()[3:]] == [["timesteps", str(n)] for n in range(3)]
    many = json.dumps(body["interventions"])
    assert printed("intervene", "--model", "tiny-zh-lstm", "--interventions", many, "我想吃") == out


def test_top_names_the_tokens_of_several_texts(printed: Printed, server: httpx.Client) -> None:
    texts = ["我想吃", "汉堡"]
    out = printed("top", "--model", "tiny-zh-lstm", "--unit", "3", "--top-k", "4", *texts)
    path = "/v1/models/tiny-zh-lstm/units/0/forward/3/top"
    want = server.post(path, json={"inputs": texts, "top_k": 4}).json()["top"]
    assert [line.split()[1] for line in out.splitlines()] == [found["text"] for found in want]


def test_render_takes_every_choice_of_the_route(printed: Printed, tmp_path: Path, server: httpx.Client) -> None:
    out = tmp_path / "gates.svg"
    choice = ("--layer", "1", "--direction", "reverse", "--timesteps", "0:3:2", "--language", "zh")
    printed("render", "--model", "tiny-en-bilstm", *choice, "--units", "0", "2", "--out", str(out), "a b c d")
    assert out.read_bytes().startswith(b"<?xml")
    target = server.get("/v1/models/tiny-zh-lstm").json()["labels"][0]
    picture = tmp_path / "attribution.png"
    options = ("--view", "attribution", "--target", target, "--out", str(picture))
    printed("render", "--model", "tiny-zh-lstm", *options, "我想吃")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_views_are_those_of_the_table() -> None:
    """The command line names them itself: the table imports torch, which takes seconds."""
    from service.pictures import views

    assert tuple(views.VIEWS) == changing.VIEWS


def test_inspect_writes_raw_tensors_into_a_file(printed: Printed, tmp_path: Path) -> None:
    out = tmp_path / "gates.npz"
    printed("inspect", "--model", "tiny-zh-lstm", "--tensors", "forget_gate", "--out", str(out), "我想")
    assert np.load(out)["r0.forget_gate"].shape == (1, 1, 2, 7)


def test_no_half_life_says_why(printed: Printed, server: httpx.Client) -> None:
    assert "no half-life: a half-life needs 3 tokens" in printed("memory", "--model", "tiny-zh-lstm", "我")
    fading = server.post("/v1/models/tiny-zh-lstm/memory", json={"inputs": "我"}).json()["results"][0]["fading"]
    assert fading["half_life_tokens"] is None
    assert "needs 3 tokens" in fading["half_life_note"]


def test_top_k_and_json_and_version(printed: Printed, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(printed("predict", "--model", "tiny-zh-lstm", "--top-k", "1", "我想").splitlines()) == 1
    for verb in (
        ["list"],
        ["memory", "我想"],
        ["attribute", "我想"],
        ["compare", "--models", "tiny-zh-rnn", "tiny-zh-lstm", "我"],
    ):
        assert json.loads(
            printed(
                verb[0],
                "--json",
                *(["--model", "tiny-zh-lstm"] if verb[0] in ("memory", "attribute") else []),
                *verb[1:],
            )
        )
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"gatescope {version('gatescope-server')}\n"


def test_help_groups_the_verbs_and_each_ends_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    overview = capsys.readouterr().out
    verbs = re.findall(r"^  (\w+)  +\S", overview.split("options:")[0], re.MULTILINE)
    assert {"serve", "settings", "list", "predict", "inspect", "intervene", "top", "compare", "render"} <= set(verbs)
    assert re.findall(r"^(.*):$", overview, re.MULTILINE)[:5] == [
        "run a server",
        "ask a server",
        "answer files",
        "look inside",
        "make models",
    ]
    for verb in set(verbs) - {"train", "evaluate"}:
        assert main([verb, "--help"]) == 0
        text = capsys.readouterr().out
        assert re.search(r"examples?:\n(  .*\n?)+$", text), f"{verb} ends without an example"
        assert f"gatescope {verb}" in text.split("example")[1]


def test_help_shows_choices_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    main(["intervene", "--help"])
    text = capsys.readouterr().out
    assert "{set,add,scale,zero}" in text
    assert "(default: forget_gate)" in text
    assert "(default: 0)" in text


@pytest.mark.parametrize("verb", ["train", "robustness", "average"])
def test_help_does_not_show_that_nothing_is_the_default(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([verb, "--help"])
    assert not re.search(r"default:\s+(\(\)|\[\]|None|False)", capsys.readouterr().out)
