"""Settings: what is in force and where it comes from, what is misspelled, and a weights folder without a model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.app import create_app
from service.cli.main import main
from service.errors import StartupError
from service.settings import Settings, unknown_variables

COMMAND = [sys.executable, "-m", "service"]


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("GATESCOPE_PROT", "GATESCOPE_PORT"),
        ("GATESCOPE_WEIGHT_DIR", "GATESCOPE_WEIGHTS_DIR"),
        ("GATESCOPE_WEIGHTS", "GATESCOPE_WEIGHTS_DIR"),
        ("GATESCOPE_MAX_BODY_BITES", "GATESCOPE_MAX_BODY_BYTES"),
        ("gatescope_devise", "GATESCOPE_DEVICE"),
    ],
)
def test_a_misspelled_variable_is_named_with_the_nearest_setting(variable: str, nearest: str) -> None:
    (sentence,) = unknown_variables({variable: "1", "PATH": "", "GATESCOPE_PORT": "1"})
    assert sentence == f"{variable} is no setting and has no effect: did you mean {nearest}?"


def test_every_setting_and_what_an_orchestrator_sets_is_no_mistake() -> None:
    settings = {f"GATESCOPE_{name.upper()}": "" for name in Settings.model_fields}
    links = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT_8000_TCP", "PORT_8000_TCP_ADDR", "NAME", "URL")
    assert unknown_variables(settings | {f"GATESCOPE_{name}": "" for name in links}) == []
    (sentence,) = unknown_variables({"GATESCOPE_XYZZY": "1"})
    assert "`gatescope settings`" in sentence


def test_a_misspelled_variable_is_named_when_the_server_starts(tmp_path: Path) -> None:
    environment = {**os.environ, "GATESCOPE_PROT": "9", "GATESCOPE_WEIGHTS_DIR": str(tmp_path)}
    done = subprocess.run([*COMMAND, "serve"], env=environment, capture_output=True, text=True, timeout=60)
    assert "GATESCOPE_PROT is no setting and has no effect: did you mean GATESCOPE_PORT?" in done.stdout


@pytest.mark.parametrize(
    ("name", "says"), [("nowhere", "does not exist"), ("empty", "holds no model"), ("file", "is not a folder")]
)
def test_a_weights_folder_without_a_model_stops_the_start_with_one_sentence(
    tmp_path: Path, name: str, says: str
) -> None:
    (tmp_path / "empty" / "folder").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match=f"{says}.*GATESCOPE_ALLOW_EMPTY=true"):
        create_app(Settings(weights_dir=tmp_path / name))
    create_app(Settings(weights_dir=tmp_path / name, allow_empty=True))
    serve = [*COMMAND, "serve", "--weights", str(tmp_path / name), "--port", "0"]
    done = subprocess.run(serve, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_settings_prints_each_value_and_where_it_comes_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GATESCOPE_DEADLINE_MS", "1234")
    monkeypatch.setenv("GATESCOPE_PORT", "1")
    monkeypatch.setenv("GATESCOPE_DEADLIN_MS", "5")
    assert main(["settings", "--json", "--port", "9000"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = {row["name"]: (row["value"], row["from"]) for row in found["settings"]}
    assert set(rows) == {f"GATESCOPE_{name.upper()}" for name in Settings.model_fields}
    assert rows["GATESCOPE_DEADLINE_MS"] == ("1234", "environment")
    assert rows["GATESCOPE_PORT"] == ("9000", "option")
    assert rows["GATESCOPE_HOST"] == ("127.0.0.1", "default")
    assert "GATESCOPE_DEADLINE_MS" in found["unknown"][0]
    assert os.environ["GATESCOPE_PORT"] == "1"
    assert main(["settings"]) == 0
    assert "GATESCOPE_DEADLINE_MS          1234" in capsys.readouterr().out


def test_a_wrong_setting_is_one_sentence_of_the_verb_settings_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["settings", "--port", "many"]) == 2
    assert "GATESCOPE_PORT is 'many'" in capsys.readouterr().err
