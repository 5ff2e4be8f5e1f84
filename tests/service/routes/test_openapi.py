"""OpenAPI is complete and true: every route, every field, every reference."""

import re
from typing import Any

import httpx
import pytest

from service.wire import schemas


@pytest.fixture(scope="module")
def document(server: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = server.get("/openapi.json").json()
    return found


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


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = set(re.findall(r"'#/components/schemas/([^']+)'", str(document)))
    assert references <= set(document["components"]["schemas"])
    assert {"PredictRequest", "InspectRequest", "Answer", "Problem"} <= references


def test_requests_are_documented_as_they_are_checked(document: dict[str, Any]) -> None:
    body = document["components"]["schemas"]["InspectRequest"]
    assert set(body["properties"]) == set(schemas.InspectRequest.model_fields)
    assert body["additionalProperties"] is False
    assert body["required"] == ["inputs"]


def test_the_docs_page_is_there(server: httpx.Client) -> None:
    assert "html" in server.get("/docs").headers["content-type"]


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
