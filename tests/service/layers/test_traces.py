"""Traces, by the SDK's own exporter in memory."""

from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service.layers import chain, traces

PREDICT = "/v1/models/tiny-zh-lstm/predict"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    observer = traces.observer(exporter)
    monkeypatch.setattr(chain.traces, "observer", lambda: observer)
    return exporter


@pytest.mark.parametrize(
    ("route", "body"),
    [("predict", {"inputs": "我想吃汉堡"}), ("inspect", {"inputs": "我想吃汉堡"}), ("step", {"text": "我想吃汉堡"})],
)
def test_a_request_is_a_span_with_its_time_in_queue_and_model(
    serve: Any, spans: InMemorySpanExporter, route: str, body: dict[str, str]
) -> None:
    path = f"/v1/models/{{name}}/{route}"
    trace = "0af7651916cd43dd8448eb211c80319c"
    with serve(traces=True) as client:
        headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
        client.post(path.format(name="tiny-zh-lstm"), json=body, headers=headers)
    found = {span.name: span for span in spans.get_finished_spans()}
    request = found[f"POST {path}"]
    assert request.attributes["http.route"] == path
    assert request.attributes["http.response.status_code"] == 200
    assert f"{request.context.trace_id:032x}" == trace
    for name in ("queue", "compute"):
        child = found[name]
        assert child.parent.span_id == request.context.span_id
        assert request.start_time <= child.start_time <= child.end_time <= request.end_time
    assert found["queue"].end_time == found["compute"].start_time


def test_no_span_holds_a_text_or_a_name_from_outside(serve: Any, spans: InMemorySpanExporter) -> None:
    secret = "zqxj"
    with serve(traces=True) as client:
        client.post(PREDICT, json={"inputs": secret, "top_k": 99})
        client.post(f"/v1/models/{secret}/predict?{secret}={secret}", json={"inputs": secret})
        client.request(secret.upper(), f"/{secret}", headers={"x-request-id": secret, "user-agent": secret})
    found = spans.get_finished_spans()
    assert {span.attributes.get("error.type") for span in found} >= {"invalid_request", "unknown_model"}
    assert secret not in "".join(span.to_json() for span in found).lower()


def test_there_are_no_traces_unless_they_are_wanted(serve: Any, spans: InMemorySpanExporter) -> None:
    with serve() as client:
        client.post(PREDICT, json={"inputs": "好"})
    assert not spans.get_finished_spans()
