"""A mistake, a refusal, another server: each is one sentence, and an exit status that tells them apart."""

import contextlib
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator

import httpx
import pytest

from gatescope.clients import default_url
from service.cli.main import main


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
