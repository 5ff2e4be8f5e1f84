"""OpenAPI is complete and true: every route, field, parameter, status and reference."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from service.wire import schemas


@pytest.fixture(scope="module")
def document(server: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = server.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_it_is_openapi_3_1_and_names_every_route(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert {
        "/v1/models",
        "/v1/models/{name}",
        "/v1/models/{name}/predict",
        "/v1/models/{name}/inspect",
        "/health",
        "/health/live",
        "/health/ready",
        "/info",
    } <= set(document["paths"])


def test_every_reference_leads_somewhere_and_every_schema_is_referred_to(document: dict[str, Any]) -> None:
    references = set(re.findall(r"'#/components/schemas/([^']+)'", str(document)))
    assert references == set(document["components"]["schemas"])
    assert {"PredictRequest", "InspectRequest", "Answer", "Problem"} <= references


def test_requests_are_documented_as_they_are_checked(document: dict[str, Any]) -> None:
    body = document["components"]["schemas"]["InspectRequest"]
    assert set(body["properties"]) == set(schemas.InspectRequest.model_fields)
    assert body["additionalProperties"] is False
    assert body["required"] == ["inputs"]


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert operation["summary"], name
        assert len(operation["description"]) > 20, name
        assert "Args:" not in operation["description"], name


def test_every_field_is_described(document: dict[str, Any]) -> None:
    bare = [
        f"{schema}.{field}"
        for schema, described in document["components"]["schemas"].items()
        for field, found in described.get("properties", {}).items()
        if not found.get("description")
    ]
    assert bare == []


def test_every_path_parameter_is_described_with_an_example(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        parameters = operation.get("parameters", [])
        assert [p["name"] for p in parameters] == re.findall(r"\{(\w+)\}", name)
        for parameter in parameters:
            assert parameter["in"] == "path"
            assert parameter["description"], name
            assert "example" in parameter, name


@pytest.mark.parametrize(
    ("schema", "field", "values"),
    [
        ("InspectRequest", "tensors", {"hidden_state", "forget_gate", "candidate"}),
        ("InspectRequest", "reduce", {"saturation", "mean", "norm", "half_life", "phases"}),
        ("InspectRequest", "encoding", {"json", "base64"}),
        ("InspectRequest", "offset_unit", {"code_point", "utf16"}),
        ("Select", "directions", {"forward", "reverse"}),
        ("MemoryRequest", "measures", {"retention", "mass", "gradient_norm"}),
        ("MemoryRequest", "direction", {"forward", "reverse"}),
        ("AttributeRequest", "method", {"secant", "occlusion", "shapley", "prefix"}),
        ("CompareModelsRequest", "method", {"secant", "occlusion", "shapley", "prefix"}),
        ("Change", "target", {"forget_gate", "cell_state"}),
        ("Change", "op", {"set", "add", "scale", "zero"}),
        ("TopRequest", "tensor", {"hidden_state", "forget_gate"}),
        ("RenderRequest", "view", {"gates", "cell", "highlight"}),
        ("ModelOut", "task", {"text-classification", "token-classification"}),
        ("ModelOut", "cell", {"rnn", "lstm"}),
    ],
)
def test_closed_values_are_enumerated(document: dict[str, Any], schema: str, field: str, values: set[str]) -> None:
    described = document["components"]["schemas"][schema]["properties"][field]
    enums = {
        value
        for found in re.findall(r"'enum': \[([^\]]*)\]", str(described))
        for value in re.findall(r"'([^']+)'", found)
    }
    assert values <= enums


@pytest.mark.parametrize(
    ("method", "path", "content", "headers", "status"),
    [
        ("POST", "/v1/models/tiny-zh-lstm/predict", b"{", {}, 400),
        ("POST", "/v1/models/nobody/predict", b'{"inputs": "x"}', {}, 404),
        ("POST", "/v1/models/tiny-zh-lstm/memory", b'{"inputs": "x"}', {"accept": "text/html"}, 406),
        ("POST", "/v1/models/tiny-zh-lstm/render", b'{"input": "x", "view": "gates"}', {"accept": "text/html"}, 406),
        ("POST", "/v1/models/tiny-zh-lstm/predict", b'{"inputs": ["x"' + b', "x"' * 256 + b"]}", {}, 413),
        ("POST", "/v1/models/tiny-zh-lstm/intervene", b"x", {"content-type": "text/plain"}, 415),
        ("POST", "/v1/models/tiny-zh-lstm/attribute", b"{}", {}, 422),
        ("POST", "/v1/models/tiny-zh-lstm/units/0/forward/x/top", b'{"inputs": "x"}', {}, 422),
        ("GET", "/v1/models/nobody", b"", {}, 404),
    ],
)
def test_a_status_that_comes_is_declared_as_a_problem(
    server: httpx.Client,
    document: dict[str, Any],
    method: str,
    path: str,
    content: bytes,
    headers: dict[str, str],
    status: int,
) -> None:
    response = server.request(method, path, content=content, headers=headers)
    assert response.status_code == status
    matching = [t for t in document["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", t), path)]
    declared = document["paths"][matching[0]][method.lower()]["responses"][str(status)]
    assert set(declared["content"]) == {"application/problem+json"}
    assert response.headers["content-type"] == "application/problem+json"


def test_every_post_declares_every_status_of_the_contract(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        if name.startswith("POST"):
            assert set(operation["responses"]) == {
                "200",
                *map(str, (400, 401, 404, 406, 408, 413, 415, 422, 429, 500, 503, 504)),
            }
        for status, response in operation["responses"].items():
            if status != "200" and name != "GET /health/ready":
                assert set(response["content"]) == {"application/problem+json"}, (name, status)


def test_answers_hold_no_field_that_the_document_lacks(server: httpx.Client) -> None:
    options = {"prefix_predictions": True, "reduce": ["mean"], "tensors": ["forget_gate"], "embedding": True}
    answer = server.post("/v1/models/tiny-zh-lstm/inspect", json={"inputs": "我想", **options}).json()
    assert set(answer) == set(schemas.Answer.model_fields)
    for result in answer["results"]:
        assert set(result) <= set(schemas.Result.model_fields)
        assert set(result["token_list"][0]) == set(schemas.TokenOut.model_fields)
    schemas.Answer.model_validate(answer)
    for m in server.get("/v1/models").json()["models"]:
        assert set(m) <= set(schemas.ModelOut.model_fields)
