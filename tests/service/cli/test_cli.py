"""The command line as a person uses it: what it prints, and one sentence where something is wrong."""

import contextlib
import http.server
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import httpx
import numpy as np
import pytest

from gatescope import Client
from gatescope.clients import default_url
from models.runtime.cpu.kernel import choose
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
    assert re.findall(r"^(.*):$", overview, re.MULTILINE)[:4] == [
        "run a server",
        "ask a server",
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


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["predict", "--model", "nobody", "x"], "nobody"),
        (["predict", "--model", "a?b #c", "x"], "a?b #c"),
        (["predict", "--model", "tiny-zh-lstm", " "], "no token"),
        (["inspect", "--model", "tiny-zh-rnn", "x", "--tensors", "forget_gate"], "hidden_state"),
        (["inspect", "--model", "tiny-zh-lstm", "x", "--units", "999"], "999"),
        (["attribute", "--model", "tiny-zh-rnn", "--method", "cell_additive", "x"], "RNN"),
    ],
)
def test_a_refusal_of_the_server_is_one_sentence_and_status_1(
    server: httpx.Client, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main([*words, "--url", str(server.base_url)]) == 1
    captured = capsys.readouterr()
    assert says in captured.err
    assert len(captured.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "VERB"),
        (["prdict", "x"], "did you mean predict?"),
        (["predict"], "a text or --file"),
        (["predict", "--frobnicate", "x"], "no option --frobnicate"),
        (["predict", "one", "two"], "2 texts"),
        (["predict", "--top-k", "many", "x"], "'many'"),
        (["inspect", "--units", "0", "1"], "the text is missing"),
        (["inspect", "--units", "zero", "--", "x"], "'zero'"),
        (["inspect", "--tensors", "forget_gate", "foo", "--", "x"], "'foo'"),
        (["inspect", "--timesteps", "3", "x"], "START:STOP"),
        (["compare", "--models", "one", "x"], "the text is missing"),
        (["compare", "one text"], "--models"),
        (["intervene", "--op", "melt", "x"], "melt"),
        (["intervene", "--sweep", "units", "--units", "3", "--op", "zero", "x"], "leave that one out"),
        (["intervene", "--interventions", "{", "x"], "JSON list"),
        (["intervene", "--interventions", '[{"value": 1e999}]', "--model", "m", "x"], "cannot be written as JSON"),
        (["intervene", "--interventions", '["\\ud800"]', "--model", "m", "x"], "cannot be written as JSON"),
        (["intervene", "--value", "nan", "x"], "'nan'"),
        (["render", "--out", "picture.gif", "x"], ".png or .svg"),
        (["render", "--out", "no/such/folder/a.png", "x"], "no folder"),
        (["render", "--out", "/", "x"], "ends in"),
        (["inspect", "--out", "/proc/a.npz", "x"], "/proc"),
        (["predict", "--file", "no-such-file.txt"], "No such file"),
        (["predict", "\udcff"], "argument 2 is not text"),
        (["serve", "now"], "unrecognized arguments: now"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_2(
    capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    """None of them asks the server: there is none."""
    assert main(words) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1


def test_no_server_and_another_server_say_different_things(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--url", "http://127.0.0.1:9"]) == 2
    dead = capsys.readouterr().err
    assert "no server answers" in dead
    assert "gatescope serve" in dead
    with other_server() as url:
        for words in (["list"], ["predict", "--model", "m", "x"], ["inspect", "x"]):
            assert main([*words, "--url", url]) == 2
            foreign = capsys.readouterr().err
            assert "not a gatescope server" in foreign
            assert len(foreign.splitlines()) == 1
    assert main(["list", "--url", "nonsense"]) == 2
    assert "http://HOST:PORT" in capsys.readouterr().err


@contextlib.contextmanager
def other_server() -> Iterator[str]:
    """Answers everything with JSON that is no answer of ours."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(b'{"hello": "world"}')

        def do_POST(self) -> None:
            self.send_error(501)

        def log_message(self, *arguments: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"GATESCOPE_PORT": "9000"}, "http://127.0.0.1:9000"),
        ({"gatescope_port": "9000"}, "http://127.0.0.1:9000"),
        ({"GATESCOPE_HOST": "0.0.0.0", "GATESCOPE_PORT": "1"}, "http://127.0.0.1:1"),
        ({"GATESCOPE_HOST": "::"}, "http://[::1]:8000"),
        ({"GATESCOPE_HOST": "example.org"}, "http://example.org:8000"),
        ({"GATESCOPE_URL": "https://example.org/a", "GATESCOPE_PORT": "1"}, "https://example.org/a"),
    ],
)
def test_the_server_is_looked_for_where_the_settings_say(environment: dict[str, str], url: str) -> None:
    assert default_url(environment) == url


def test_the_verbs_ask_the_server_of_the_environment(
    server: httpx.Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GATESCOPE_PORT", str(server.base_url.port))
    assert main(["list"]) == 0
    monkeypatch.setenv("GATESCOPE_URL", "http://127.0.0.1:9")
    assert main(["list"]) == 2
    assert "127.0.0.1:9" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "value"), [("PORT", "many"), ("DEVICE", "tpu"), ("MAX_BODY_BYTES", "0")])
def test_a_wrong_setting_is_one_sentence_that_names_it(name: str, value: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service", "serve"], env={f"GATESCOPE_{name}": value}, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert f"GATESCOPE_{name}" in done.stderr
    assert value in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_train_and_evaluate_make_a_model_that_is_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], serve: object
) -> None:
    good, bad = ("great fine lovely", "poor awful dull")
    rows = [
        {"text": f"{w} film {i % 7}", "label": label}
        for i in range(40)
        for label, words in (("positive", good), ("negative", bad))
        for w in words.split()
    ]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    arguments = [
        "train",
        "--name",
        "mine",
        "--task",
        "text-classification",
        "--language",
        "en",
        "--units",
        "8",
        "--token-dimension",
        "8",
        "--epochs",
        "4",
        "--learning-rate",
        "0.02",
        "--batch-size",
        "16",
        "--average",
        "0.9",
        "--unknown-rate",
        "0",
        "--train",
        str(data),
        "--dev",
        str(data),
        "--out",
        str(tmp_path / "weights"),
        "--state-dir",
        str(tmp_path / "runs"),
        "--device",
        "cpu",
    ]
    assert main(arguments) == 0
    assert main(["evaluate", str(tmp_path / "weights/mine"), str(data), "--json"]) == 0
    out = capsys.readouterr().out
    assert json.loads(out[out.index("{") :])["metrics"]["accuracy"] == 1
    folder = tmp_path / "weights/mine"
    assert {"card.md", "training.png", "evaluation.json", "manifest.json"} <= {p.name for p in folder.iterdir()}
    card, stored = ((folder / name).read_text("utf-8") for name in ("card.md", "evaluation.json"))
    assert str(tmp_path) not in card
    rounded = json.loads(stored)["bfloat16"]
    assert (rounded is None) == (choose("auto") is None)
    if rounded:
        assert f"| accuracy | 1.0000 | {rounded['accuracy']:.4f} (" in card
        assert f"| texts answered otherwise |  | {rounded['texts_answered_otherwise']} |" in card
    assert main(arguments) == 2  # an older model is never replaced unasked
    assert "--replace" in capsys.readouterr().err
    with serve(weights_dir=tmp_path / "weights") as client:  # type: ignore[operator]
        answer = client.post("/v1/models/mine/predict", json={"inputs": "A LOVELY film"}).json()
        assert answer["results"][0]["labels"][0]["label"] == "positive"


def test_a_bad_row_is_an_error_with_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text('{"text": "a", "label": "x"}\n{"text": "b"}\n', "utf-8")
    arguments = ["train", "--name", "m", "--task", "text-classification", "--language", "en", "--train", str(data)]
    assert main([*arguments, "--dev", str(data), "--out", str(tmp_path)]) == 2
    assert "rows.jsonl:2:" in capsys.readouterr().err


def test_an_unknown_choice_of_a_recipe_names_the_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text('task = "text-classification"\nlanguage = "en"\nunit = 3\n', "utf-8")
    arguments = ["train", "--recipe", str(recipe), "--name", "m", "--train", str(recipe), "--dev", str(recipe)]
    assert main(arguments) == 2
    assert "unit" in capsys.readouterr().err
