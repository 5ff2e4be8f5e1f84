"""The OpenAPI document says what is answered: every status, content type, header and body."""

from .openapi import conformance
from .servers import Server


def test_every_answer_to_drawn_requests_is_declared(plain: Server) -> None:
    found = conformance(plain.client, examples=8, start=1)
    assert found["undeclared"] == []
    assert found["operations"] >= 20
    assert found["requests"] > 4 * found["operations"]
    assert {"200", "422"} <= set(found["statuses"])
