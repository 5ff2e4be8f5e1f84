"""huggingface_hub's client, unmodified, gets what the service's own route answers."""

import asyncio
from typing import Any

import httpx
import numpy as np
import pytest
from huggingface_hub import AsyncInferenceClient, InferenceClient
from huggingface_hub.errors import BadRequestError, HfHubHTTPError

from service.wire.rendering import JSON

ZH, EN = "我想吃汉堡", "John Smith from Google doesn't live in London ."
CLASSIFIERS = ("tiny-zh-rnn", "tiny-zh-lstm", "tiny-zh-pooled", "tiny-en-bilstm", "tiny-en-birnn")
TAGGERS = {"tiny-zh-ner-rnn": ZH, "tiny-zh-ner-lstm": ZH, "tiny-en-ner-bilstm": EN}


def base(server: httpx.Client) -> str:
    return str(server.base_url).rstrip("/")


def own(server: httpx.Client, model: str, text: str) -> dict[str, Any]:
    found: dict[str, Any] = server.post(f"/v1/models/{model}/predict", json={"inputs": text}).json()["results"][0]
    return found


@pytest.mark.parametrize("model", CLASSIFIERS)
def test_its_client_reads_every_classifier(server: httpx.Client, model: str) -> None:
    found = InferenceClient(f"{base(server)}/models/{model}").text_classification(ZH)
    assert [{"label": e.label, "score": e.score} for e in found] == own(server, model, ZH)["labels"]


@pytest.mark.parametrize("model", TAGGERS)
def test_its_client_reads_every_tagger(server: httpx.Client, model: str) -> None:
    text = TAGGERS[model]
    found = InferenceClient(f"{base(server)}/models/{model}").token_classification(
        text, aggregation_strategy="simple", ignore_labels=["O"]
    )
    wanted = own(server, model, text)["entities"]
    assert [(e.entity_group, e.word, e.start, e.end, e.score) for e in found] == [
        (e["label"], e["text"], e["start"], e["end"], e["score"]) for e in wanted
    ]
    assert all(text[e.start : e.end] == e.word for e in found)


def test_some_tagger_finds_something(server: httpx.Client) -> None:
    """Else the test above would compare nothing with nothing."""
    assert any(own(server, model, text)["entities"] for model, text in TAGGERS.items())


def test_its_asynchronous_client_does_too(server: httpx.Client) -> None:
    async def scenario() -> list[Any]:
        client = AsyncInferenceClient(f"{base(server)}/models/tiny-zh-lstm")
        return await asyncio.gather(*(client.text_classification(ZH, top_k=1) for _ in range(8)))

    for found in asyncio.run(scenario()):
        assert [(e.label, e.score) for e in found] == [
            (e["label"], e["score"]) for e in own(server, "tiny-zh-lstm", ZH)["labels"][:1]
        ]


def test_the_base_url_is_the_default_model(server: httpx.Client) -> None:
    default = server.get("/info").json()["default_model"]
    found = InferenceClient(base(server)).text_classification(EN)
    assert [e.label for e in found] == [e["label"] for e in own(server, default, EN)["labels"]]


def test_its_client_sees_health_and_info(server: httpx.Client) -> None:
    client = InferenceClient(base(server), provider="hf-inference")
    assert client.health_check() is True
    assert client.get_endpoint_info()["name"] == "gatescope"


def test_scores_are_softmax_sigmoid_or_the_logits(server: httpx.Client) -> None:
    client = InferenceClient(f"{base(server)}/models/tiny-zh-lstm")
    scores = {f: {e.label: e.score for e in client.text_classification(ZH, function_to_apply=f)} for f in FUNCTIONS}
    temperature = server.get("/v1/models/tiny-zh-lstm").json()["temperature"]
    logits = scores["none"]
    total = sum(np.exp(z / temperature) for z in logits.values())
    for label, z in logits.items():
        assert scores["softmax"][label] == pytest.approx(np.exp(z / temperature) / total, abs=1e-6)
        assert scores["sigmoid"][label] == pytest.approx(1 / (1 + np.exp(-z)), abs=1e-6)


FUNCTIONS = ("softmax", "sigmoid", "none")


def test_a_list_of_texts_is_a_list_of_answers(server: httpx.Client) -> None:
    found = server.post("/models/tiny-zh-lstm", json={"inputs": [ZH, "好"], "parameters": {}}).json()
    assert [len(labels) for labels in found] == [3, 3]
    tagged = server.post("/models/tiny-zh-ner-lstm", json={"inputs": [ZH, "好"]}).json()
    assert len(tagged) == 2
    assert all(isinstance(entities, list) for entities in tagged)


def test_ignored_kinds_of_entity_are_left_out(server: httpx.Client) -> None:
    for model, text in TAGGERS.items():
        kinds = {e["label"] for e in own(server, model, text)["entities"]}
        for kind in kinds:
            asked = {"inputs": text, "parameters": {"ignore_labels": [kind]}}
            found = server.post(f"/models/{model}", json=asked).json()
            assert {e["entity_group"] for e in found} == kinds - {kind}


@pytest.mark.parametrize(
    ("model", "parameters", "says"),
    [
        ("tiny-zh-lstm", {"top_k": 4}, "top_k is 4"),
        ("tiny-zh-lstm", {"top_k": 0}, "top_k"),
        ("tiny-zh-lstm", {"aggregation_strategy": "simple"}, "aggregation_strategy"),
        ("tiny-zh-lstm", {"function_to_apply": "argmax"}, "function_to_apply"),
        ("tiny-zh-lstm", {"strange": 1}, "strange"),
        ("tiny-zh-ner-lstm", {"top_k": 1}, "top_k"),
        ("tiny-zh-ner-lstm", {"aggregation_strategy": "none"}, "'none'"),
    ],
)
def test_a_parameter_that_is_not_allowed_is_422_and_named(
    server: httpx.Client, model: str, parameters: dict[str, Any], says: str
) -> None:
    answer = server.post(f"/models/{model}", json={"inputs": ZH, "parameters": parameters})
    assert answer.status_code == 422
    assert says in answer.json()["error"]


def test_its_client_shows_the_error_and_the_request_id(server: httpx.Client) -> None:
    with pytest.raises(HfHubHTTPError) as refused:
        InferenceClient(f"{base(server)}/models/tiny-zh-lstm").text_classification("")
    assert "no token" in str(refused.value)
    assert refused.value.request_id
    with pytest.raises((HfHubHTTPError, BadRequestError), match="404"):
        InferenceClient(f"{base(server)}/models/nobody").text_classification("x")


def test_its_client_sends_the_key(serve: Any) -> None:
    with serve(api_keys="hf_good") as client:
        url = f"{base(client)}/models/tiny-zh-lstm"
        assert len(InferenceClient(url, token="hf_good").text_classification(ZH)) == 3
        with pytest.raises(HfHubHTTPError, match="401"):
            InferenceClient(url, token="hf_bad").text_classification(ZH)


def test_another_accept_is_406(server: httpx.Client) -> None:
    asked = {"inputs": ZH}
    assert server.post("/models/tiny-zh-lstm", json=asked, headers={"accept": "text/html"}).status_code == 406
    assert server.post("/models/tiny-zh-lstm", json=asked).headers["content-type"] == JSON
