"""The Makefile: torch comes from TORCH_INDEX_URL when that is set, and the locks name versions and hashes alone."""

import functools
import hashlib
import http.server
import os
import re
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PINS = (ROOT / "requirements/torch.txt").read_text().splitlines()
VERSION = next(pin.removeprefix("torch==") for pin in PINS if pin.startswith("torch=="))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """A package index on loopback whose torch is a marker file."""
    wheel = tmp_path / "index/torch" / f"torch-{VERSION}+cpu-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    info = f"torch-{VERSION}+cpu.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("torch/__init__.py", "came_from = 'loopback'\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: {VERSION}+cpu\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    page = f'<a href="{wheel.name}#sha256={digest}">{wheel.name}</a>'
    (wheel.parent / "index.html").write_text(page)
    handler = functools.partial(Quiet, directory=str(tmp_path / "index"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_torch_comes_from_the_index_that_is_named(index: str, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    plain = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")} | {"PIP_CONFIG_FILE": os.devnull}
    command = ["make", "--no-print-directory", "torch", f"VENV={venv}", f"TORCH_INDEX_URL={index}"]
    done = subprocess.run(command, cwd=ROOT, env=plain, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    printed = subprocess.run(
        [venv / "bin/python", "-c", "import torch; print(torch.came_from)"], capture_output=True, text=True
    )
    assert printed.stdout.strip() == "loopback"


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.lock")), ids=lambda p: p.name)
def test_a_lock_pins_by_hash_and_names_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    pinned = re.findall(r"^([A-Za-z0-9._-]+)==\S+ \\$", text, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^[A-Za-z0-9._-]+==", text, re.MULTILINE)) > 20
    assert "torch" not in pinned
    assert text.count("--hash=sha256:") >= len(pinned)


def test_what_cuda_alone_brings_is_pinned_by_version() -> None:
    pins = [line for line in PINS if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", pin) for pin in pins)
    assert all(pin.startswith(("torch==", "nvidia-", "cuda-", "triton==")) for pin in pins)


def test_help_lists_every_target() -> None:
    printed = subprocess.run(["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    for target in ("serve", "test", "lint", "format", "audit", "lock", "clean"):
        assert re.search(rf"^{target}\s+\S", printed, re.MULTILINE)
