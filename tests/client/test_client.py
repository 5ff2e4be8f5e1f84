"""The client against a real server: what it says is what the server said, one text or many, blocking or awaited."""

import asyncio
import base64
import inspect
import json
from typing import Any

import httpx
import numpy as np
import pytest

from gatescope import AsyncClient, Client, UnexpectedAnswer, UnwritableRequest, errors
from gatescope.exchange import Patience
from gatescope.operations import Operations, operation

TEXT = "我想吃汉堡 a b"
MODEL = "tiny-zh-lstm"


def posted(server: httpx.Client, verb: str, **body: Any) -> Any:
    return server.post(f"/v1/models/{MODEL}/{verb}", json=body).json()


def test_gates_are_those_of_the_server_in_one_line(client: Client, server: httpx.Client) -> None:
    gates = client.inspect(TEXT, MODEL)
    want = posted(server, "inspect", inputs=TEXT, encoding="base64")["results"][0]
    assert set(gates.result.tensors) == set(want["tensors"])
    for name, tensor in gates.result.tensors.items():
        exact = np.frombuffer(base64.b64decode(want["tensors"][name]["data"]), np.float32)
        np.testing.assert_array_equal(tensor.values.ravel(), exact)
        assert tensor.axes == ("layer", "direction", "timestep", "unit")
        assert [list(tensor.coordinates[axis]) for axis in tensor.axes] == list(want["selection"].values())
    assert [token.text for token in gates.result.token_list or ()] == [t["text"] for t in want["token_list"]]
    assert gates.raw["results"][0]["labels"] == want["labels"]


def test_binary_and_json_answers_hold_the_same(client: Client) -> None:
    options: dict[str, Any] = {"reduce": ["saturation", "half_life", "norm", "mean"], "embedding": True}
    options["tensors"] = ["hidden_state", "forget_gate"]
    exact, rounded = (client.inspect(TEXT, MODEL, binary=b, **options).result for b in (True, False))
    for name in options["tensors"]:
        np.testing.assert_allclose(exact[name].values, rounded[name].values, atol=1e-6)
    assert exact.embedding is not None
    assert rounded.embedding is not None
    np.testing.assert_allclose(exact.embedding.values, rounded.embedding.values, atol=1e-6)
    assert exact.reductions is not None
    assert rounded.reductions is not None
    for name, statistics in exact.reductions.items():
        for statistic, tensor in statistics.items():
            np.testing.assert_array_equal(tensor.values, rounded.reductions[name][statistic].values)
            assert tensor.axes[2] == ("timestep" if statistic == "norm" else "unit")


def test_a_selection_keeps_its_coordinates(client: Client) -> None:
    whole, part = client.inspect(TEXT, MODEL), client.inspect(TEXT, MODEL, units=[3, 1], timesteps=slice(1, None, 2))
    shown = part["hidden_state"]
    assert shown.coordinates["unit"] == (3, 1)
    assert shown.coordinates["timestep"] == tuple(range(1, whole.result.tokens, 2))
    one = shown.sel(layer=0, direction="forward", unit=3)
    np.testing.assert_array_equal(one.values, whole["hidden_state"].values[0, 0, 1::2, 3])
    with pytest.raises(KeyError, match="no unit 2"):
        shown.sel(unit=2)
    with pytest.raises(KeyError, match="no axis 'gate'"):
        shown.sel(gate=0)


def test_a_large_batch_is_split_and_put_together(client: Client) -> None:
    texts = [f"{'好' * (n % 7 + 1)} {n}" for n in range(600)]
    answer = client.predict(texts, MODEL)
    assert len(answer) == 600
    some = [0, 255, 256, 511, 512, 599]
    for n, alone in zip(some, client.predict([texts[n] for n in some], MODEL), strict=True):
        assert [label.label for label in answer.results[n].labels or ()] == [x.label for x in alone.labels or ()]
        assert answer.results[n].tokens == alone.tokens
    assert answer.usage.tokens == sum(result.tokens for result in answer)
    assert len(answer.raw["results"]) == 600


def test_every_operation_answers_as_the_server_does(client: Client, server: httpx.Client) -> None:
    assert [m.name for m in client.models().models] == [m["name"] for m in server.get("/v1/models").json()["models"]]
    default = next(m.name for m in client.models().models if m.default)
    assert client.model().name == client.default_model() == client.predict("a b").model.name == default
    assert client.info().limits == server.get("/info").json()["limits"]
    assert client.ready().ready
    memory = client.memory(TEXT, MODEL).results[0]
    want = posted(server, "memory", inputs=TEXT, decimals=9)["results"][0]
    for name in ("retention", "mass"):
        np.testing.assert_allclose(
            memory.measures[name].values, np.array(want["measures"][name], dtype=np.float32), atol=1e-6
        )
    assert list(memory.fading.value) == want["fading"]["value"]
    attribution = client.attribute([TEXT, "a"], MODEL, method="occlusion").results[1]
    assert attribution.method == "occlusion"
    change = {"target": "forget_gate", "op": "set", "value": 0.0}
    intervened = client.intervene(TEXT, [change], MODEL)
    assert intervened.raw == posted(server, "intervene", input=TEXT, interventions=[change])
    compared = client.compare("我想", ["tiny-zh-rnn", "tiny-zh-lstm"])
    assert [m.name for m in compared.models] == ["tiny-zh-rnn", "tiny-zh-lstm"]
    assert client.compare_texts("a b", "a c", MODEL).aligned[0] == (0, 0)
    assert client.top([TEXT], 1, MODEL, top_k=1).top[0].input == 0
    forget = client.sums(TEXT, 2, 1, MODEL, terms=3).sums["forget_gate"]
    assert len(forget.state.largest) == 3
    assert forget.input.total + forget.state.total + forget.bias == pytest.approx(forget.preactivation)
    assert client.render(TEXT, "gates", MODEL).startswith(b"\x89PNG")
    assert client.file("inspect", TEXT, "application/x-npz", MODEL).startswith(b"PK")


def test_the_awaited_client_answers_the_same(client: Client, server: httpx.Client) -> None:
    async def ask() -> tuple[Any, Any]:
        async with AsyncClient(str(server.base_url)) as awaited:
            answers = await asyncio.gather(*(awaited.inspect(text, MODEL) for text in (TEXT, "a")))
            return answers[0], (await awaited.predict(["a", "b"] * 200, MODEL))

    inspected, predicted = asyncio.run(ask())
    np.testing.assert_array_equal(inspected["forget_gate"].values, client.inspect(TEXT, MODEL)["forget_gate"].values)
    assert len(predicted) == 400


def test_both_clients_have_every_operation_with_its_signature(client: Client) -> None:
    names = [name for name, value in vars(Operations).items() if isinstance(value, operation)]
    assert {"predict", "inspect", "memory", "attribute", "intervene", "step"} <= set(names)
    for name in names:
        wanted = list(inspect.signature(getattr(Operations, name)).parameters)
        assert list(inspect.signature(getattr(client, name)).parameters) == wanted
        assert getattr(Client, name).__doc__


def test_each_problem_has_a_class(client: Client) -> None:
    cases = [
        (errors.EmptyText, lambda: client.predict("  ", MODEL)),
        (errors.UnknownModel, lambda: client.predict("a", "nobody")),
        (errors.NotFound, lambda: client.predict("a", "../secret")),
        (errors.ActivationsUnavailable, lambda: client.inspect("a", "tiny-zh-rnn", tensors=["forget_gate"])),
        (errors.SelectionError, lambda: client.inspect("a", MODEL, units=[999])),
        (errors.InvalidRequest, lambda: client.predict("a", MODEL, top_k=0)),
        (errors.TooManyCharacters, lambda: client.predict("好" * 50_000, MODEL)),
    ]
    for kind, call in cases:
        with pytest.raises(kind) as caught:
            call()
        assert caught.value.detail == str(caught.value)
        assert caught.value.status in (404, 422)
    with pytest.raises(UnwritableRequest):
        client.predict("\ud800", MODEL)


def test_every_problem_of_the_server_is_known() -> None:
    from models import errors as library
    from service.wire.problems import TABLE, error_type

    inner = {
        library.CheckpointError,
        library.TrainingError,
        library.BatchError,
    }  # said by others' names, or never over HTTP
    served = {error_type(kind) for kind in TABLE if kind not in inner} - {"client_left", "startup_error"}
    assert served <= set(errors.kinds())


def answering(*responses: httpx.Response | Exception) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    """A transport that gives these responses in turn, and the requests that it saw."""
    seen: list[httpx.Request] = []
    waiting = iter(responses)

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        response = next(waiting)
        if isinstance(response, Exception):
            raise response
        return response

    return httpx.MockTransport(answer), seen


PREDICTED = {
    "model": {"name": "m", "weights_sha256": "x"},
    "results": [{"labels": [{"label": "a", "score": 1}], "tokens": 1, "known_fraction": 1, "new_field": 3}],
    "usage": {"tokens": 1, "queue_ms": 0, "compute_ms": 0},
}
BUSY = {"type": "t", "title": "t", "status": 429, "detail": "busy", "error": "busy", "error_type": "overloaded"}


def talking(monkeypatch: pytest.MonkeyPatch, *responses: httpx.Response | Exception, **settings: Any) -> Any:
    """A client whose server gives these responses; its waits and requests are noted."""
    transport, seen = answering(*responses)
    waits: list[float] = []
    monkeypatch.setattr("gatescope.clients.time.sleep", waits.append)
    client = Client(**({"url": "http://server"} | settings))
    client._http = httpx.Client(transport=transport, headers=client._http.headers)
    return client, seen, waits


def test_a_busy_server_is_asked_again_when_it_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    client, seen, waits = talking(
        monkeypatch,
        httpx.Response(429, json=BUSY | {"retry_after_ms": 1500}),
        httpx.Response(503, json=BUSY | {"error_type": "not_ready"}, headers={"retry-after": "2"}),
        httpx.Response(200, json=PREDICTED),
    )
    assert client.predict("a", "m").result.label == "a"
    assert waits == [1.5, 2.0]
    assert len(seen) == 3


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = [httpx.Response(429, json=BUSY | {"retry_after_ms": 40_000}) for _ in range(3)]
    client, seen, waits = talking(monkeypatch, *busy, patience=Patience(attempts=5, seconds=60))
    with pytest.raises(errors.Overloaded):
        client.predict("a", "m")
    assert waits == [40.0]
    assert len(seen) == 2


def test_what_will_not_change_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    client, seen, _ = talking(monkeypatch, httpx.Response(422, json=BUSY | {"error_type": "empty_text"}))
    with pytest.raises(errors.EmptyText):
        client.predict("a", "m")
    assert len(seen) == 1


def test_the_next_server_is_asked_where_one_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    client, seen, _ = talking(
        monkeypatch,
        httpx.ConnectError("gone"),
        httpx.Response(200, json=PREDICTED),
        httpx.Response(200, json=PREDICTED),
        url=["http://one", "http://two/base/"],
    )
    client.predict("a", "m")
    client.predict("a", "m/../x")
    assert [str(request.url) for request in seen] == [
        "http://one/v1/models/m/predict",
        "http://two/base/v1/models/m/predict",
        "http://two/base/v1/models/m%2F..%2Fx/predict",
    ]


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"results": []}),
        httpx.Response(200, json=PREDICTED | {"results": [{"tokens": "one"}]}),
        httpx.Response(200, json=[1]),
        httpx.Response(404, json={"detail": "Not Found"}),
        httpx.Response(200, content=b"\xff" * 40, headers={"content-type": "application/vnd.safetensors"}),
    ],
    ids=["html", "no model", "wrong type", "a list", "another server", "a broken file"],
)
def test_another_server_is_told_apart(response: httpx.Response, monkeypatch: pytest.MonkeyPatch) -> None:
    client, _, _ = talking(monkeypatch, response)
    with pytest.raises(UnexpectedAnswer, match="not a gatescope server"):
        client.predict("a", "m")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_proxy_whose_server_has_gone_is_asked_again(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = httpx.Response(status, text="Internal Server Error", headers={"retry-after": "3"})
    client, seen, waits = talking(monkeypatch, gone, httpx.Response(status), httpx.Response(200, json=PREDICTED))
    assert client.predict("a", "m").result.label == "a"
    assert waits == [3.0, 1.0]
    assert len(seen) == 3


def test_a_proxy_without_a_server_is_named_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    client, seen, _ = talking(monkeypatch, *[httpx.Response(502) for _ in range(2)], patience=Patience(attempts=2))
    with pytest.raises(errors.Unreachable, match="gave 502"):
        client.predict("a", "m")
    assert len(seen) == 2


def test_an_answer_that_breaks_off_is_asked_for_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = httpx.RemoteProtocolError("peer closed connection without sending complete message body")
    client, seen, _ = talking(monkeypatch, broken, httpx.Response(200, json=PREDICTED), broken, broken)
    assert client.predict("a", "m").result.label == "a"
    with pytest.raises(httpx.RemoteProtocolError):
        client.predict("a", "m")
    assert len(seen) == 4


def test_a_timeout_of_the_only_server_is_not_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    client, seen, _ = talking(monkeypatch, httpx.ReadTimeout("slow"))
    with pytest.raises(httpx.ReadTimeout):
        client.predict("a", "m")
    assert len(seen) == 1


def test_an_unknown_problem_is_still_one(monkeypatch: pytest.MonkeyPatch) -> None:
    client, _, _ = talking(monkeypatch, httpx.Response(418, json=BUSY | {"error_type": "teapot", "detail": "short"}))
    with pytest.raises(errors.ProblemError, match="short") as caught:
        client.predict("a", "m")
    assert caught.value.error_type == "teapot"


def test_the_key_goes_with_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATESCOPE_KEY", "secret")
    client, seen, _ = talking(monkeypatch, httpx.Response(200, json=PREDICTED))
    client.predict("a", "m")
    assert seen[0].headers["authorization"] == "Bearer secret"
    assert json.loads(seen[0].content) == {"inputs": "a"}
