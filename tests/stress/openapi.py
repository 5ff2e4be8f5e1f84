"""Schemathesis over the OpenAPI document: requests drawn from the schemas, valid ones and not, and every answer as said."""

from collections import Counter
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from .servers import MODEL, Measured

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def conformance(client: httpx.Client, examples: int, start: int = 0) -> Measured:
    """So many requests to every operation, half of them against its schema; three of four name a model that is there.

    undeclared: for each operation the first answer that is not as the document says, in Schemathesis's words.
    """
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    base, statuses = str(client.base_url), Counter[str]()
    operations = [result.ok() for result in schema.get_all_operations()]
    undeclared: list[str] = []
    for operation in operations:
        modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE) if operation.body else (GenerationMode.POSITIVE,)
        for mode in modes:  # any text is a name, so that only a body can be against its schema
            try:
                _ask(operation, mode, examples // 2, start, base, statuses)
            except FailureGroup as failures:
                undeclared.append(f"{operation.label}: {failures}")
    return {
        "operations": len(operations),
        "requests": sum(statuses.values()),
        "seed": start,
        "statuses": dict(sorted(statuses.items())),
        "undeclared": undeclared,
        "checks": [check.__name__ for check in CHECKS],
    }


def _ask(operation: Any, mode: GenerationMode, examples: int, start: int, base: str, statuses: Counter[str]) -> None:
    strategy = operation.as_strategy(generation_mode=mode)

    @seed(start)
    @settings(
        max_examples=max(1, examples),
        deadline=None,
        database=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def ask(case: Any) -> None:
        if "name" in (case.path_parameters or {}) and statuses.total() % 4:
            case.path_parameters["name"] = MODEL
        response = case.call(base_url=base)
        statuses[str(response.status_code)] += 1
        case.validate_response(response, checks=CHECKS)

    ask()
