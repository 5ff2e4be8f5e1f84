"""tritonclient and kserve, unmodified, and every way in which the protocol's bytes can lie."""

import asyncio
import gzip
import json
import struct
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput
from tritonclient.utils import InferenceServerException

from service.wire.open_inference import HEADER_LENGTH

TEXTS = ["我想吃汉堡", "服务很差！", "好" * 300, "不"]
EN = "John Smith from Google doesn't live in London ."
MODEL = "tiny-zh-lstm"
INFER = f"/v2/models/{MODEL}/infer"


def host(server: httpx.Client) -> str:
    return f"{server.base_url.host}:{server.base_url.port}"


def own(server: httpx.Client, texts: Any, model: str = MODEL, verb: str = "predict", **options: Any) -> Any:
    return server.post(f"/v1/models/{model}/{verb}", json={"inputs": texts, **options}).json()["results"]


def triton_input(texts: list[str], binary: bool = True, module: Any = triton) -> Any:
    asked = module.InferInput("text", [len(texts)], "BYTES")
    asked.set_data_from_numpy(np.array([t.encode() for t in texts], dtype=np.object_), binary_data=binary)
    return asked


def is_the_same(found: Any, wanted: list[dict[str, Any]]) -> None:
    best = [result["labels"][0] for result in wanted]
    assert [label.decode() if isinstance(label, bytes) else label for label in found("label")] == [
        b["label"] for b in best
    ]
    np.testing.assert_allclose(found("score"), [b["score"] for b in best], atol=1e-6)
    assert found("logits").shape == (len(wanted), 3)


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_tritonclient_reads_a_ragged_batch(
    server: httpx.Client, binary_in: bool, binary_out: bool, compression: str | None
) -> None:
    with triton.InferenceServerClient(host(server)) as client:
        outputs = [triton.InferRequestedOutput(n, binary_data=binary_out) for n in ("label", "score", "logits")]
        answer = client.infer(
            MODEL,
            [triton_input(TEXTS, binary_in)],
            outputs=outputs,
            request_id="42",
            request_compression_algorithm=compression,
        )
    is_the_same(answer.as_numpy, own(server, TEXTS))
    assert answer.get_response()["id"] == "42"
    assert answer.get_response()["model_name"] == MODEL


def test_tritonclient_without_outputs_gets_the_default_ones_and_no_gate(server: httpx.Client) -> None:
    with triton.InferenceServerClient(host(server)) as client:
        answer = client.infer(MODEL, [triton_input(TEXTS)])
    is_the_same(answer.as_numpy, own(server, TEXTS))
    assert {o["name"] for o in answer.get_response()["outputs"]} == {"label", "score", "logits"}


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("model", ["tiny-zh-lstm", "tiny-zh-rnn", "tiny-en-bilstm", "tiny-en-ner-bilstm"])
def test_tritonclient_reads_every_state_and_gate(server: httpx.Client, model: str, binary: bool) -> None:
    (wanted,) = own(server, EN, model, "inspect", decimals=9)
    with triton.InferenceServerClient(host(server)) as client:
        outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in wanted["tensors"]]
        answer = client.infer(model, [triton_input([EN])], outputs=outputs)
    assert wanted["tensors"]
    for name, tensor in wanted["tensors"].items():
        found = answer.as_numpy(name)
        assert list(found.shape) == tensor["shape"]
        np.testing.assert_allclose(found, np.array(tensor["data"]).reshape(tensor["shape"]), atol=1e-6)


@pytest.mark.parametrize("model", ["tiny-zh-ner-lstm", "tiny-en-ner-bilstm"])
def test_tritonclient_reads_entities(server: httpx.Client, model: str) -> None:
    texts = [EN, "我想吃汉堡 in London"]
    with triton.InferenceServerClient(host(server)) as client:
        found = client.infer(model, [triton_input(texts)]).as_numpy("entities")
    assert [json.loads(one) for one in found] == [result["entities"] for result in own(server, texts, model)]


def test_tritonclient_aio_answers_many_at_once(server: httpx.Client) -> None:
    async def scenario() -> list[Any]:
        async with triton_aio.InferenceServerClient(host(server)) as client:
            assert await client.is_server_live()
            assert await client.is_server_ready()
            assert await client.is_model_ready(MODEL)
            asked = [client.infer(MODEL, [triton_input([t], module=triton_aio)]) for t in TEXTS * 4]
            return await asyncio.gather(*asked)

    for answer, wanted in zip(asyncio.run(scenario()), own(server, TEXTS) * 4, strict=True):
        is_the_same(answer.as_numpy, [wanted])


def test_tritonclient_asks_for_health_metadata_configuration_statistics_and_index(server: httpx.Client) -> None:
    with triton.InferenceServerClient(host(server)) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready(MODEL)
        assert client.is_model_ready(MODEL, "1")
        assert not client.is_model_ready("nobody")
        assert client.get_server_metadata()["name"] == "gatescope"
        described = client.get_model_metadata(MODEL, "1")
        assert described["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
        assert {o["name"] for o in described["outputs"]} >= {"label", "score", "logits", "forget_gate"}
        assert client.get_model_config(MODEL)["name"] == MODEL
        listed = {m["name"]: m["state"] for m in client.get_model_repository_index()}
        assert set(listed) == {m["name"] for m in server.get("/v1/models").json()["models"]}
        assert set(listed.values()) == {"READY"}
        assert {m["name"] for m in client.get_inference_statistics()["model_stats"]} == set(listed)


def test_statistics_count_what_was_asked(server: httpx.Client) -> None:
    def counted() -> dict[str, Any]:
        (found,) = server.get(f"/v2/models/{MODEL}/stats").json()["model_stats"]
        return found

    before = counted()
    with triton.InferenceServerClient(host(server)) as client:
        client.infer(MODEL, [triton_input(TEXTS)])
        client.infer(MODEL, [triton_input(TEXTS[:1])])
    after = counted()
    assert after["inference_count"] - before["inference_count"] == 5
    assert after["execution_count"] - before["execution_count"] == 2
    success, earlier = after["inference_stats"]["success"], before["inference_stats"]["success"]
    assert success["count"] - earlier["count"] == 2
    assert success["ns"] > earlier["ns"]
    assert after["last_inference"] >= before["last_inference"]


def test_kserve_reads_a_ragged_batch_and_gates(server: httpx.Client) -> None:
    async def scenario() -> tuple[Any, Any]:
        client, base = InferenceRESTClient(RESTConfig(protocol="v2")), str(server.base_url).rstrip("/")
        assert await client.is_server_live(base)
        assert await client.is_server_ready(base)
        assert await client.is_model_ready(base, MODEL)
        text = InferInput("text", [len(TEXTS)], "BYTES", TEXTS)
        batch = await client.infer(base, InferRequest(MODEL, [text], request_id="7"), model_name=MODEL)
        one = InferInput("text", [1], "BYTES")
        one.set_data_from_numpy(np.array([TEXTS[0].encode()], dtype=np.object_), binary_data=True)
        outputs = [RequestedOutput("label"), RequestedOutput("forget_gate")]
        gates = await client.infer(base, InferRequest(MODEL, [one], request_outputs=outputs), model_name=MODEL)
        return batch, gates

    batch, gates = asyncio.run(scenario())
    assert batch.id == "7"
    is_the_same(lambda name: next(o for o in batch.outputs if o.name == name).as_numpy(), own(server, TEXTS))
    (wanted,) = own(server, TEXTS[0], verb="inspect", tensors=["forget_gate"], decimals=9)
    found = next(o for o in gates.outputs if o.name == "forget_gate").as_numpy()
    assert list(found.shape) == wanted["tensors"]["forget_gate"]["shape"]
    np.testing.assert_allclose(found.ravel(), np.ravel(wanted["tensors"]["forget_gate"]["data"]), atol=1e-6)


def packed(*texts: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def request(tensor: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", **tensor}], **more}).encode()


def binary_request(raw: bytes, shape: Any = (1,), size: Any = None, **more: Any) -> tuple[bytes, dict[str, str]]:
    parameters = {"binary_data_size": len(raw) if size is None else size}
    head = request({"shape": list(shape), "parameters": parameters}, **more)
    return head + raw, {HEADER_LENGTH: str(len(head))}


def refused(answer: httpx.Response, says: str, status: int = 400) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"]
    assert says in answer.json()["error"], answer.json()["error"]


@pytest.mark.parametrize("length", ["99999999999", "9" * 30, "-1", "1.5", "", "x", "0x10", "１２"])
def test_a_header_length_that_is_no_length_of_this_body_is_400(server: httpx.Client, length: str) -> None:
    answer = server.post(INFER, content=request({"data": ["x"]}), headers={HEADER_LENGTH.encode(): length.encode()})
    refused(answer, HEADER_LENGTH)


@pytest.mark.parametrize(
    ("raw", "shape", "size", "says"),
    [
        (packed(b"x"), [2], None, "[2]"),
        (packed(b"x", b"y"), [1], None, "go on"),
        (packed(b"x") + b"\x00", [1], None, "go on"),
        (struct.pack("<I", 2**32 - 1) + b"x", [1], None, "4294967295 bytes"),
        (packed(b"x"), [2**62], None, str(2**62)),
        (packed(b"x"), [2**63], None, "shape"),
        (packed(b"x"), [10**40], None, "shape"),
        (packed(b"x"), [-1], None, "[-1]"),
        (packed(b"x"), [0], None, "[0]"),
        (packed(b"x"), [], None, "[]"),
        (packed(b"x"), [1, 1], None, "[1, 1]"),
        (packed(b"x"), [1.0], None, "shape"),
        (packed(b"x"), [True], None, "shape"),
        (packed(b"x"), [1], 4, "binary_data_size is 4"),
        (packed(b"x"), [1], 2**40, "binary_data_size"),
        (packed(b"x"), [1], -1, "binary_data_size"),
        (b"", [1], None, "[1]"),
        (packed(b"\xff\xfe"), [1], None, "UTF-8"),
    ],
)
def test_a_binary_tensor_whose_sizes_lie_is_400(
    server: httpx.Client, raw: bytes, shape: Any, size: Any, says: str
) -> None:
    content, headers = binary_request(raw, shape, size)
    refused(server.post(INFER, content=content, headers=headers), says)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b"{", "JSON"),
        (b"{}", "inputs"),
        (b'{"inputs": []}', "inputs"),
        (request({}), "neither"),
        (request({"data": ["x"], "parameters": {"binary_data_size": 5}}), "both"),
        (request({"name": "image", "data": ["x"]}), "'image'"),
        (request({"datatype": "FP32", "data": ["x"]}), "FP32"),
        (request({"data": [1]}), "no string"),
        (request({"data": ["x", "y"]}), "2"),
        (request({"data": [["x"], ["y"]], "shape": [2]}), "no string"),
        (request({"data": [""]}), "no token"),
        (request({"data": ["x"]}, outputs=[{"name": "gate"}]), "'gate'"),
        (request({"data": ["x"]}, outputs=[{"name": "label"}] * 2), "twice"),
        (request({"data": ["x"], "parameters": {"shared_memory_region": "a"}}), "shared_memory_region"),
        (request({"data": ["x"]}, parameters={"sequence_id": 1}), "sequence_id"),
        (request({"data": ["x"]}, parameters={"timeout": 0}), "timeout"),
        (request({"data": ["x"]}, model_name="tiny-zh-rnn"), "another model"),
        (request({"data": ["x"]}, parameters={"timeout": 10**12}), "timeout"),
        (request({"data": ["x", "y"], "shape": [2]}, outputs=[{"name": "cell_state"}]), "one text a request"),
        (b"[" * 2000, "JSON"),
    ],
    ids=str,
)
def test_a_request_that_is_not_valid_is_400_and_says_what(server: httpx.Client, body: bytes, says: str) -> None:
    refused(server.post(INFER, content=body), says)


def test_errors_are_the_protocols_own_on_every_path_below_v2(server: httpx.Client) -> None:
    refused(server.post("/v2/models/nobody/infer", content=request({"data": ["x"]})), "nobody", 404)
    refused(server.post(f"/v2/models/{MODEL}/versions/2/infer", content=b"{}"), "version 2", 404)
    refused(server.get("/v2/no/such/route"), "no such route", 404)
    refused(server.delete("/v2/models/stats"), "not allowed", 405)


def test_nested_data_of_one_text_is_read(server: httpx.Client) -> None:
    assert server.post(INFER, content=request({"data": [["x"]]})).status_code == 200


def test_a_timeout_in_microseconds_is_the_deadline(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from models.inference.predictor import Predictor

    held, run = threading.Event(), Predictor.run

    def held_run(predictor: Predictor, texts: Any, plan: Any = None) -> Any:
        held.wait(0.5)
        return run(predictor, texts, plan)

    long = ["字" * 590] * 20  # long enough for the model thread
    with serve() as client:
        monkeypatch.setattr(Predictor, "run", held_run)
        body = request({"data": long, "shape": [20]}, parameters={"timeout": 50_001})
        refused(client.post(INFER, content=body), "51 ms", 504)


def test_a_compressed_body_counts_its_header_inflated(server: httpx.Client) -> None:
    content, headers = binary_request(packed("好".encode()))
    answer = server.post(INFER, content=gzip.compress(content), headers={**headers, "content-encoding": "gzip"})
    assert answer.status_code == 200


def test_tritonclient_shows_the_error(server: httpx.Client) -> None:
    with triton.InferenceServerClient(host(server)) as client:
        with pytest.raises(InferenceServerException, match="no token"):
            client.infer(MODEL, [triton_input([""])])
        with pytest.raises(InferenceServerException, match="nobody"):
            client.infer("nobody", [triton_input(["x"])])
