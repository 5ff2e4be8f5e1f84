"""OpenTelemetry traces, where they are wanted: a span for each request, and in it the time in queue and model.

They are written at a request's end from what was noted on the way, so that they cost nothing before. No attribute holds
a text, a path as it was sent or a model's name. opentelemetry is imported on demand: it is an extra.
"""

import time
from typing import Any

from ..errors import StartupError
from ..exchange import Exchange, route_of
from .record import Observer


def observer(exporter: Any = None) -> Observer:
    """exporter: of opentelemetry.sdk; by default that of OTLP over HTTP, which reads OTEL_EXPORTER_OTLP_ENDPOINT.

    Raises: StartupError where the packages are not installed.
    """
    try:
        from opentelemetry.propagate import extract
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
        from opentelemetry.trace import SpanKind, set_span_in_context

        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise StartupError(
            f"GATESCOPE_TRACES is on, and {error.name} is not installed: "
            "pip install 'gatescope-server[otel]', or turn it off"
        ) from error
    provider = TracerProvider(resource=Resource.create({"service.name": "gatescope"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter) if exporter else BatchSpanProcessor(OTLPSpanExporter()))
    tracer = provider.get_tracer("gatescope")

    def observe(scope: Any, exchange: Exchange, seconds: float) -> None:
        ended = time.time_ns()
        began = ended - int(seconds * 1e9)
        route = route_of(scope)
        attributes: dict[str, str | int] = {
            "http.request.method": _method(scope),
            "http.route": route,
            "http.response.status_code": exchange.status,
        }
        if exchange.problem:
            attributes["error.type"] = exchange.problem
        parent = extract({"traceparent": exchange.headers.get(b"traceparent", b"").decode("latin-1")})
        span = tracer.start_span(f"{_method(scope)} {route}", parent, SpanKind.SERVER, attributes, start_time=began)
        if exchange.submitted:
            inside = set_span_in_context(span)
            start = began + int((exchange.submitted - exchange.began) * 1e9)
            for name, ms in (("queue", exchange.queue_ms), ("compute", exchange.compute_ms)):
                child = tracer.start_span(name, inside, start_time=start)
                start += int(ms * 1e6)
                child.end(start)
        span.end(ended)

    return observe


def _method(scope: Any) -> str:
    """Of an unknown one ``_OTHER``, as OpenTelemetry's conventions have it."""
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE")
    return str(scope["method"]) if scope["method"] in known else "_OTHER"
