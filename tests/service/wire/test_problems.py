"""Every error has its row, its sentence and the same body."""

import inspect

import httpx
import pytest

from models import errors as model_errors
from models.recurrence.cells import ShapeError
from service import errors as service_errors
from service.wire.problems import TABLE, error_type, row


def leaves(root: type[Exception]) -> list[type[Exception]]:
    below = root.__subclasses__()
    return [root] if not below else [leaf for kind in below for leaf in leaves(kind)]


FAMILIES = [leaf for root in (model_errors.ModelError, service_errors.ServiceError) for leaf in leaves(root)]


@pytest.mark.parametrize("leaf", [leaf for leaf in FAMILIES if leaf is not ShapeError], ids=lambda leaf: leaf.__name__)
def test_every_leaf_of_both_families_has_a_row(leaf: type[Exception]) -> None:
    status, title = row(leaf)
    assert 400 <= status < 600
    assert title


def test_the_table_names_no_error_twice_or_in_vain() -> None:
    known = {c for m in (model_errors, service_errors) for _, c in inspect.getmembers(m, inspect.isclass)}
    assert set(TABLE) <= known


def test_error_types_are_snake_case_names() -> None:
    assert error_type(model_errors.TooManyTokens) == "too_many_tokens"
    assert error_type(service_errors.NotJson) == "not_json"


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/no/such/route", 404, "not_found"),
        ("GET", "/v1/models/nobody", 404, "unknown_model"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/v1/models/tiny-zh-lstm/predict", 405, "method_not_allowed"),
    ],
)
def test_every_route_answers_errors_with_the_same_body(
    server: httpx.Client, method: str, path: str, status: int, kind: str
) -> None:
    response = server.request(method, path)
    body = response.json()
    assert response.status_code == body["status"] == status
    assert response.headers["content-type"] == "application/problem+json"
    assert body["error_type"] == kind
    assert body["detail"] == body["error"]
    assert body["title"]
    assert body["type"].endswith(kind)


def test_method_not_allowed_names_what_is(server: httpx.Client) -> None:
    assert "GET" in server.delete("/v1/models").headers["allow"]
