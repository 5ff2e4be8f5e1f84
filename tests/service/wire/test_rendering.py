"""The same numbers in every form."""

import base64
import io
import json
import struct
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load as load_safetensors

TEXTS = ["我想吃汉堡", "好"]
INSPECT = "/v1/models/tiny-zh-ner-lstm/inspect"
OPTIONS: dict[str, Any] = {
    "preactivations": True,
    "embedding": True,
    "token_scores": True,
    "reduce": ["mean"],
    "tensors": ["hidden_state", "forget_gate"],
    "decimals": 9,
}


@pytest.fixture(scope="module")
def listed(server: httpx.Client) -> dict[str, Any]:
    answer: dict[str, Any] = server.post(INSPECT, json={"inputs": TEXTS, **OPTIONS}).json()
    return answer


def arrays_of(answer: dict[str, Any]) -> dict[str, NDArray[np.float32]]:
    out = {}
    for n, result in enumerate(answer["results"]):
        for name, tensor in result["tensors"].items():
            out[f"r{n}.{name}"] = np.array(tensor["data"], np.float32).reshape(tensor["shape"])
        out[f"r{n}.embedding"] = np.array(result["embedding"]["data"], np.float32)
        for name, values in result["token_scores"].items():
            out[f"r{n}.{name}"] = np.array(values, np.float32)
    return out


def without_data(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer less what binary forms carry elsewhere and what differs from call to call."""
    out = json.loads(json.dumps(answer))
    out.pop("usage")
    for result in out["results"]:
        for tensor in [*result["tensors"].values(), result["embedding"]]:
            tensor.pop("data", None)
        result.pop("token_scores")
    return out


@pytest.mark.parametrize("media_type", ["application/vnd.safetensors", "application/x-npz"])
def test_binary_forms_hold_the_same_numbers_and_the_same_answer(
    server: httpx.Client, listed: dict[str, Any], media_type: str
) -> None:
    response = server.post(INSPECT, json={"inputs": TEXTS, **OPTIONS}, headers={"accept": media_type})
    assert response.headers["content-type"] == media_type
    if media_type.endswith("npz"):
        archive = np.load(io.BytesIO(response.content), allow_pickle=False)
        raw, body = {k: archive[k] for k in archive.files if k != "response.json"}, archive["response.json"]
    else:
        raw = load_safetensors(response.content)
        size = struct.unpack("<Q", response.content[:8])[0]
        body = json.loads(response.content[8 : 8 + size])["__metadata__"]["response"]
    want = arrays_of(listed)
    assert set(raw) == set(want)
    for key, values in want.items():
        assert raw[key].dtype == np.float32
        assert np.allclose(raw[key], values, atol=1e-7), key
    assert without_data(json.loads(body)) == without_data(listed)
    assert json.loads(body)["results"][0]["token_scores"]["emissions"]["shape"] == list(want["r0.emissions"].shape)


def test_base64_is_little_endian_float32(server: httpx.Client, listed: dict[str, Any]) -> None:
    answer = server.post(INSPECT, json={"inputs": TEXTS, **OPTIONS, "encoding": "base64"}).json()
    result, want = answer["results"][0], arrays_of(listed)
    boxes = {**result["tensors"], "embedding": result["embedding"], **result["token_scores"]}
    for name, box in boxes.items():
        assert box["dtype"] == "float32"
        values = np.frombuffer(base64.b64decode(box["data"]), "<f4").reshape(box["shape"])
        assert np.allclose(values, want[f"r0.{name}"], atol=1e-7)


def test_decimals_round_tensors_and_reductions_but_never_scores(server: httpx.Client, listed: dict[str, Any]) -> None:
    rough = server.post(INSPECT, json={"inputs": TEXTS, **OPTIONS, "decimals": 2}).json()["results"][0]
    fine = listed["results"][0]
    for path in (
        lambda r: r["tensors"]["hidden_state"]["data"],
        lambda r: r["reductions"]["forget_gate"]["mean"],
        lambda r: r["token_scores"]["emissions"],
        lambda r: r["embedding"]["data"],
    ):
        a, b = np.array(path(rough)), np.array(path(fine))
        assert np.allclose(a * 100, np.round(a * 100), atol=1e-4)
        assert 0 < np.abs(a - b).max() <= 0.00501
    assert rough["certificate"] == fine["certificate"]
    assert rough["entities"] == fine["entities"]
