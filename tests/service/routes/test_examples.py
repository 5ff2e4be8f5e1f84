"""Every example of OpenAPI works as it stands against the shipped models, and its answer is what it says."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from service.routes.documented import examples
from service.settings import Settings
from tests.service.conftest import running
from tests.service.routes.write_examples import ask, only_named

OF_THE_MOMENT = {
    *("queue_ms", "compute_ms", "recurrence_max_abs_error", "completeness_error", "bytes"),
    *("kernel", "state", "device", "version", "torch", "python"),
}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The models that the examples name, from weights/."""
    folder = only_named(examples(), tmp_path_factory.mktemp("shipped"))
    with running(Settings(weights_dir=folder, device="cpu")) as client:
        yield client


@pytest.fixture(scope="module")
def document(shipped: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = shipped.get("/openapi.json").json()
    return found


def test_every_operation_has_an_example(document: dict[str, Any]) -> None:
    operations = {f"{m.upper()} {path}" for path, found in document["paths"].items() for m in found}
    assert operations == set(examples())


@pytest.mark.parametrize("operation", sorted(examples()))
def test_an_example_works_as_it_stands_and_answers_as_shown(
    shipped: httpx.Client, document: dict[str, Any], operation: str
) -> None:
    method, path = operation.split(" ")
    described = document["paths"][path][method.lower()]
    example = {"path": {p["name"]: p["example"] for p in described.get("parameters", [])}}
    if method == "POST":
        example["request"] = described["requestBody"]["content"]["application/json"]["example"]
    answer = ask(shipped, operation, example)
    assert answer.status_code == 200, answer.text
    content = described["responses"]["200"]["content"]
    if operation.endswith("/render"):
        assert answer.content.startswith(b"\x89PNG")
        assert ask(shipped, operation, example, "image/svg+xml").content.startswith(b"<?xml")
    elif operation == "GET /metrics":
        assert answer.text.startswith("# HELP ")
    else:
        same(content["application/json"]["example"], answer.json(), operation)
    for media_type in content:  # every form that is declared is given
        assert ask(shipped, operation, example, media_type).headers["content-type"].partition(";")[0] == media_type


def same(shown: Any, answer: Any, where: str) -> None:
    """The same fields, texts and lengths; numbers as close as four digits and another processor allow."""
    if isinstance(shown, dict):
        assert set(shown) == set(answer), f"{where}: run `make examples`"
        for key in set(shown) - OF_THE_MOMENT:
            same(shown[key], answer[key], f"{where}.{key}")
    elif isinstance(shown, list):
        assert len(shown) == len(answer), f"{where}: run `make examples`"
        for n, (one, other) in enumerate(zip(shown, answer, strict=True)):
            same(one, other, f"{where}[{n}]")
    elif isinstance(shown, float):
        assert answer == pytest.approx(shown, rel=2e-3, abs=1e-3), f"{where}: run `make examples`"
    else:
        assert answer == shown, f"{where}: run `make examples`"


def test_the_examples_are_small_enough_to_be_read(document: dict[str, Any]) -> None:
    for operation, example in examples().items():
        if not operation.startswith("GET"):
            assert len(json.dumps(example)) < 6000, operation
