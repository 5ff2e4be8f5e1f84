"""The whole command line in a terminal: through a pseudo-terminal, in UTF-8, GBK and C locales, and into broken pipes."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

COMMAND = [sys.executable, "-m", "service"]
Environment = dict[str, str]


@pytest.fixture(scope="session")
def gbk(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A GBK locale, compiled for this run; where localedef has no sources the streams alone are GBK."""
    folder = tmp_path_factory.mktemp("locales")
    try:
        done = subprocess.run(["localedef", "-i", "zh_CN", "-f", "GBK", str(folder / "zh_CN.GBK")], capture_output=True)
        is_there = done.returncode in (0, 1) and (folder / "zh_CN.GBK").exists()
    except FileNotFoundError:
        is_there = False
    if is_there:
        return {"LOCPATH": str(folder), "LC_ALL": "zh_CN.GBK", "PYTHONUTF8": "0"}
    return {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "gbk"}


@pytest.fixture(params=["utf-8", "gbk", "c"])
def locale(request: pytest.FixtureRequest, gbk: Environment, server: httpx.Client) -> Environment:
    """The environment of a terminal of each kind, in which the verbs find the server of tiny models."""
    kinds = {
        "utf-8": {"LC_ALL": "C.UTF-8"},
        "gbk": gbk,
        "c": {"LC_ALL": "C"},
    }
    return {**clean(), **kinds[request.param], "GATESCOPE_URL": str(server.base_url).rstrip("/")}


def clean() -> Environment:
    return {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHON", "GATESCOPE_"))}


def encoding_of(environment: Environment) -> str:
    return "gbk" if "GBK" in environment["LC_ALL"] or "PYTHONIOENCODING" in environment else "utf-8"


def in_terminal(
    words: list[str | bytes], environment: Environment, typed: bytes = b"", stop_at: bytes | None = None
) -> tuple[int, bytes]:
    """(exit status, all that the terminal shows) of a verb whose three streams are a pseudo-terminal.

    stop_at: once it shows this, SIGINT is sent, as by Ctrl-C.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen([*COMMAND, *words], env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    if typed:
        os.write(ours, typed + b"\n\x04")
    while True:
        if not select.select([ours], [], [], 60)[0]:
            process.kill()
            raise AssertionError(f"{words} shows nothing and does not end: {shown!r}")
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # the terminal is closed: Linux says EIO
            break
        if not chunk:
            break
        shown += chunk
        if stop_at is not None and stop_at in shown:
            process.send_signal(signal.SIGINT)
            stop_at = None
    os.close(ours)
    return process.wait(30), shown


def test_every_verb_speaks_in_every_terminal(locale: Environment, tmp_path: Path) -> None:
    encoding = encoding_of(locale)
    text: str | bytes = "我想吃".encode(encoding)
    if "PYTHONIOENCODING" in locale:
        text = "我想吃"
    model = ["--model", "tiny-zh-lstm"]
    verbs: list[list[str | bytes]] = [
        ["list"],
        ["inspect", *model, text],
        ["attribute", *model, text],
        ["memory", *model, text],
        ["intervene", *model, "--op", "zero", "--sweep", "timesteps", text],
        ["compare", "--models", "tiny-zh-rnn", "tiny-zh-lstm", text],
        ["top", *model, "--unit", "1", "--top-k", "2", text],
        ["predict", *model, "--json", text],
        ["inspect", "--help"],
        ["settings"],
    ]
    for words in verbs:
        status, shown = in_terminal(words, locale)
        decoded = shown.decode(encoding)  # nothing but the terminal's own encoding
        assert "Traceback" not in decoded
        assert status == 0, decoded
        if words[0] in ("inspect", "attribute", "top") and text in words:
            assert "我" in decoded
    picture = tmp_path / "cell.svg"
    drawing = ["render", *model, "--view", "cell", "--timestep", "1", "--out", str(picture), "a b"]
    assert in_terminal([*drawing], locale)[0] == 0
    assert picture.stat().st_size > 0


def test_a_terminal_without_chinese_shows_escapes(utf8: Environment) -> None:
    """ASCII, as where Python may not choose UTF-8: an argument is no text there, standard input is."""
    ascii_only = {**utf8, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    words: list[str | bytes] = ["inspect", "--model", "tiny-zh-lstm"]
    status, shown = in_terminal([*words, "我想吃".encode()], ascii_only)
    assert status == 2
    assert "not text in" in shown.decode("ascii")
    status, shown = in_terminal([*words, "-"], ascii_only, typed="我想吃".encode())
    assert status == 0
    assert "\\u6211" in shown.decode("ascii", "replace")
    piped = subprocess.run(
        [*COMMAND, *words, "--json", "-"], env=ascii_only, input="我想吃".encode(), capture_output=True
    )
    answer = json.loads(piped.stdout.decode("ascii"))
    assert [token["text"] for token in answer["results"][0]["token_list"]] == list("我想吃")


def test_the_server_starts_says_it_is_ready_and_stops_in_every_terminal(locale: Environment, weights_dir: Path) -> None:
    words = ["serve", "--weights", str(weights_dir / "tiny-zh-lstm"), "--port", "0", "--device", "cpu"]
    status, shown = in_terminal([*words], {**locale, "GATESCOPE_DRAIN_MS": "0"}, stop_at=b"ready: 1 models")
    assert status == 0
    assert "Traceback" not in shown.decode(encoding_of(locale))
    assert b"info" in shown  # for people: text, not JSON lines


def test_evaluate_speaks_in_every_terminal(locale: Environment, weights_dir: Path, tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text('{"text": "我想吃汉堡", "label": "neutral"}\n', "utf-8")
    status, shown = in_terminal(["evaluate", str(weights_dir / "tiny-zh-lstm"), str(data), "--device", "cpu"], locale)
    assert status == 0
    assert "accuracy" in shown.decode(encoding_of(locale))


def test_what_a_person_types_is_in_the_terminals_encoding(locale: Environment) -> None:
    encoding = encoding_of(locale)
    typed = "我想吃".encode(encoding)
    status, shown = in_terminal(["predict", "--model", "tiny-zh-ner-lstm", "--json", "-"], locale, typed)
    decoded = shown.decode(encoding, "replace")
    assert status == 0, decoded
    assert '"tokens": 3' in decoded


def test_a_file_shows_a_bar_on_a_terminal_and_its_results_elsewhere(locale: Environment, tmp_path: Path) -> None:
    file, out = tmp_path / "texts.txt", tmp_path / "out.jsonl"
    file.write_text("好\n" * 9, "utf-8")
    words = ["predict", "--model", "tiny-zh-lstm", "--file", str(file), "--out", str(out), "--batch-size", "3"]
    status, shown = in_terminal([*words], locale)
    assert status == 0
    assert b"9/9" in shown
    assert len(out.read_text("utf-8").splitlines()) == 9


def test_json_is_json_whatever_the_encoding(locale: Environment) -> None:
    words = ["inspect", "--model", "tiny-zh-lstm", "--json", "-"]
    done = subprocess.run([*COMMAND, *words], env=locale, input="我想吃".encode(), capture_output=True)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.decode(encoding_of(locale)))
    assert [token["text"] for token in answer["results"][0]["token_list"]] == list("我想吃")


def test_a_piped_text_may_be_in_utf_8_or_in_the_locales_encoding(gbk: Environment, server: httpx.Client) -> None:
    environment = {**clean(), **gbk, "GATESCOPE_URL": str(server.base_url)}
    for raw in ("我想吃".encode(), "我想吃".encode("gbk"), b"\xef\xbb\xbf" + "我想吃".encode()):
        words = [*COMMAND, "predict", "--model", "tiny-zh-lstm", "--json", "-"]
        done = subprocess.run(words, env=environment, input=raw, capture_output=True)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["results"][0]["tokens"] == 3


@pytest.fixture
def utf8(server: httpx.Client) -> Environment:
    return {**clean(), "LC_ALL": "C.UTF-8", "GATESCOPE_URL": str(server.base_url)}


def refused(done: subprocess.CompletedProcess[bytes], says: str) -> None:
    error = done.stderr.decode()
    assert done.returncode == 2, error
    assert says in error
    assert len(error.splitlines()) == 1


def test_bytes_that_are_no_text_are_one_sentence(utf8: Environment) -> None:
    run = [*COMMAND, "predict", "--model", "tiny-zh-lstm"]
    refused(subprocess.run([*run, "-"], env=utf8, input=b"abc\xff", capture_output=True), "byte 0xff at 3")
    refused(subprocess.run([*run, b"\xff\xfe"], env=utf8, capture_output=True), "argument 4 is not text in UTF-8")


def test_a_closed_standard_input_is_one_sentence(utf8: Environment) -> None:
    script = f"exec '{sys.executable}' -m service predict --model tiny-zh-lstm - <&-"
    refused(subprocess.run(["bash", "-c", script], env=utf8, capture_output=True), "standard input")


def test_a_reader_that_leaves_ends_it_without_a_word(utf8: Environment) -> None:
    script = (
        f"'{sys.executable}' -m service inspect --model tiny-zh-lstm --json \"$0\" | head -1; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", script, "好" * 500], env=utf8, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "141"
    assert done.stderr == ""


def test_a_full_disk_is_one_sentence(utf8: Environment) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*COMMAND, "list"], env=utf8, stdout=full, stderr=subprocess.PIPE)
    refused(done, "No space left")


def test_a_device_that_is_not_there_is_one_sentence(utf8: Environment, weights_dir: Path, tmp_path: Path) -> None:
    """Where there is a card, that it is used is `pytest -m cuda`'s to show."""
    environment = {**utf8, "CUDA_VISIBLE_DEVICES": ""}
    serve = [*COMMAND, "serve", "--device", "cuda", "--weights", str(weights_dir), "--port", "0"]
    refused(subprocess.run(serve, env=environment, capture_output=True, timeout=60), "GATESCOPE_DEVICE is cuda")


def test_keyboard_interrupt_is_one_word(utf8: Environment) -> None:
    words = [*COMMAND, "predict", "--model", "tiny-zh-lstm", "-"]
    process = subprocess.Popen(words, env=utf8, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    until_it_reads(process)
    process.send_signal(2)
    assert process.wait(30) == 130
    assert process.stderr is not None
    assert process.stderr.read() == b"gatescope: stopped\n"
    process.stderr.close()


def until_it_reads(process: "subprocess.Popen[bytes]") -> None:
    """Wait until the process sleeps in a read of its standard input, a pipe that nobody has written to."""
    poll(lambda: sleeps(process.pid))


def sleeps(pid: int) -> bool:
    """Blocked in read(0, ...): system call 0 on x86-64, 63 on arm64, with file 0 as its first argument."""
    call = Path(f"/proc/{pid}/syscall").read_text().split()
    return call[:2] in (["0", "0x0"], ["63", "0x0"])


def poll(condition: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(600):
        if condition():
            return
        waiting.wait(0.05)
    raise AssertionError("it did not come about")
