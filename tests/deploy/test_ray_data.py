"""The Ray engine on a cluster of this machine alone: the bytes of the local one."""

import subprocess
from pathlib import Path

import pytest

from tests.models.batch.files import json_lines
from tests.models.batch.requests import rows_for
from tests.service.cli.test_batch import ROOT, command, environment

ADAPTER = ROOT / "deploy/ray_data.py"


def test_the_adapter_is_thin() -> None:
    assert len(ADAPTER.read_text("utf-8").splitlines()) < 60


def test_ray_writes_what_the_local_engine_writes(tmp_path: Path, weights_dir: Path) -> None:
    pytest.importorskip("ray.data", reason="Ray, of the extra ray, is not installed")
    source = json_lines(tmp_path / "in.jsonl", [*rows_for("tiny-zh-ner-lstm", 200), {"id": 200, "text": " "}])
    outputs = [tmp_path / "local.jsonl", tmp_path / "ray.jsonl"]
    for engine, out in zip(("local", "ray"), outputs, strict=True):
        words = (source, out, "--model", weights_dir / "tiny-zh-ner-lstm", "--block-rows", 20, "--processes", 2)
        done = subprocess.run(
            command(*words, "--engine", engine),
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 1, done.stderr
        assert "201 rows, 1 with an error" in done.stdout
    local, on_ray = (out.read_bytes() for out in outputs)
    assert on_ray == local
