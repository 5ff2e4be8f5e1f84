"""Class: a size in a header, a file or a tensor is believed, and memory is taken or bytes are read by it."""

import hashlib
import json
import shutil
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from service.errors import LoadRefused
from service.registry.registry import Registry
from service.settings import Settings
from service.wire.open_inference import HEADER_LENGTH

from .conftest import NAME

INFER = f"/v2/models/{NAME}/infer"


def safetensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head) if length is None else length) + head + data


def tensor(shape: list[int], offsets: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"head.bias": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


@pytest.mark.parametrize(
    "weights",
    [
        safetensors({}, length=2**63),
        safetensors({}, length=2**64 - 1),
        safetensors({}, length=99_999_999_999),
        safetensors(tensor([2**32, 2**32], [0, 4]), b"xxxx"),
        safetensors(tensor([2**62, 4], [0, 0])),
        safetensors(tensor([1], [0, 2**63]), b"xxxx"),
        safetensors(tensor([1], [2**63, 2**63 + 4]), b"xxxx"),
        safetensors(tensor([1], [4, 0]), b"xxxx"),
        safetensors(tensor([2**40], [0, 2**42]), b"xxxx"),
        safetensors({f"t{n}": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for n in range(1000)}, b"xxxx"),
    ],
    ids=[
        "header 2^63",
        "header 2^64-1",
        "header 1e11",
        "product overflows to 0",
        "product overflows",
        "end",
        "begin",
        "reversed",
        "4 TB",
        "overlapping",
    ],
)
def test_a_weights_file_whose_sizes_lie_is_refused_and_costs_no_memory(folder: Path, weights: bytes) -> None:
    registry = Registry(Settings(weights_dir=folder, device="cpu"), torch.device("cpu"))
    registry.load_all()
    good = registry.get(NAME)
    file, manifest = folder / NAME / "weights.safetensors", folder / NAME / "manifest.json"
    file.write_bytes(weights)
    found = json.loads(manifest.read_text("utf-8"))
    found["sha256"][file.name] = hashlib.sha256(weights).hexdigest()
    manifest.write_text(json.dumps(found), "utf-8")
    before = peak_kb()
    with pytest.raises(LoadRefused, match=r"weights\.safetensors"):
        registry.load(NAME)
    assert peak_kb() - before < 100_000
    assert registry.get(NAME) is good


def test_a_manifest_that_claims_the_largest_network_costs_no_memory_until_its_weights_bear_it_out(folder: Path) -> None:
    shutil.copytree(folder / NAME, folder / "huge")
    manifest = folder / "huge" / "manifest.json"
    found = json.loads(manifest.read_text("utf-8")) | {"name": "huge", "units": 4096, "layers": 16}
    found["features"] = [
        {"kind": "token", "rows": found["features"][0]["rows"], "dimension": 4096, "vocabulary": "vocabulary.txt"}
    ]
    manifest.write_text(json.dumps(found), "utf-8")
    registry = Registry(Settings(weights_dir=folder, device="cpu"), torch.device("cpu"))
    before = peak_kb()
    registry.load_all()
    assert peak_kb() - before < 200_000  # it would be 8 GB
    assert "huge" in registry.broken


@pytest.mark.parametrize("shape", [[2**32, 2**32], [2**31, 2], [4294967297], [1, 2**64], [2**62, 2, 2], [-1, -1]])
def test_a_binary_tensors_shape_is_held_against_its_bytes(server: httpx.Client, shape: list[int]) -> None:
    """Products that overflow to a small number, and counts that disagree."""
    raw = struct.pack("<I", 1) + b"x"
    parameters = {"binary_data_size": len(raw)}
    head = json.dumps(
        {"inputs": [{"name": "text", "shape": shape, "datatype": "BYTES", "parameters": parameters}]}
    ).encode()
    before = peak_kb()
    answer = server.post(INFER, content=head + raw, headers={HEADER_LENGTH: str(len(head))})
    assert answer.status_code == 400
    assert "shape" in answer.json()["error"]
    assert peak_kb() - before < 50_000


@pytest.mark.parametrize("length", ["99999999999999999999", "4294967296", "-1", "+5", "5 5", "0x5"])
def test_a_content_length_that_lies_is_refused_before_anything_is_taken(server: httpx.Client, length: str) -> None:
    import socket

    with socket.create_connection((server.base_url.host, server.base_url.port or 80), timeout=10) as connection:
        head = f"POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        before = peak_kb()
        connection.sendall(head.encode() + b"{}")
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)
    assert not answer or answer.split()[1] == b"400"
    assert peak_kb() - before < 50_000
    assert server.get("/health/live").status_code == 200


def test_a_list_of_a_million_numbers_where_texts_are_due_takes_memory_by_its_bytes(server: httpx.Client) -> None:
    body = b'{"inputs": [' + b"1," * 1_000_000 + b"1]}"
    before = peak_kb()
    answer = server.post(f"/v1/models/{NAME}/predict", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (413, 422)
    assert len(answer.content) < 5000, "the sentence names some mistakes and counts the others"
    assert peak_kb() - before < 1_000_000


def peak_kb() -> int:
    """The largest resident memory of this process, in which the server runs too."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_chunks_of_one_byte_take_memory_by_the_bytes_and_not_by_the_chunk() -> None:
    """Class: memory, or stack, is taken for each chunk of a body."""
    import asyncio

    from starlette.requests import Request

    from service.routes import bodies

    def peak(chunks: int) -> int:
        left = chunks

        async def receive() -> dict[str, Any]:
            nonlocal left
            left -= 1
            return {"type": "http.request", "body": b"x", "more_body": left > 0}

        async def read() -> int:
            return len(await bodies.read_bytes(Request({"type": "http", "headers": []}, receive), Settings()))

        tracemalloc.start()
        assert asyncio.run(read()) == chunks
        largest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return largest

    peak(10)
    few, many = peak(1_000), peak(100_000)
    assert many - few < 4 * 100_000
