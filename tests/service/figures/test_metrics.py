"""What /metrics says is what happened, of all workers together, and no label comes from outside."""

import json
import multiprocessing
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.figures.exposition import Exposition
from service.figures.figures import Figures

ROOT = Path(__file__).parents[3]
PREDICT = "/v1/models/tiny-zh-lstm/predict"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def asked(client: httpx.Client) -> Samples:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return samples(answer.text)


def key(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return f"gatescope_{name}", tuple(sorted(labels.items()))


def test_every_answer_is_counted_by_route_status_and_problem(serve: Any) -> None:
    with serve() as client:
        before = asked(client)
        for body in ({"inputs": "好"}, {"inputs": ["好吃", "不好"]}, {"inputs": ""}, {"strange": 1}):
            client.post(PREDICT, json=body)
        client.post("/v1/models/tiny-zh-lstm/attribute", json={"inputs": "好"})
        client.get("/no/such/path")
        after = asked(client)

    def more(name: str, **labels: str) -> float:
        return after.get(key(name, **labels), 0.0) - before.get(key(name, **labels), 0.0)

    predict = {"route": "/v1/models/{name}/predict"}
    assert more("answers_total", **predict, status="200", problem="none") == 2
    assert more("answers_total", **predict, status="422", problem="empty_text") == 1
    assert more("answers_total", **predict, status="422", problem="invalid_request") == 1
    assert more("answers_total", route="/v1/models/{name}/attribute", status="200", problem="none") == 1
    assert more("answers_total", route="none", status="404", problem="not_found") == 1
    assert more("request_seconds_count", **predict) == 4
    assert more("queue_seconds_count") == 3
    assert more("batch_size_sum") == more("texts_total") == 4
    assert more("batch_tokens_sum") == more("tokens_total") > 4
    assert 0 < more("compute_seconds_sum") < 60
    assert after[key("models_loaded")] > 0
    assert after[key("queue_tokens")] == 0
    assert after[key("resident_memory_bytes")] > 50e6


def slowly(*parts: bytes) -> Iterator[bytes]:
    """A body that takes longer than its deadline, however fast the server is."""
    for part in parts:
        time.sleep(0.05)
        yield part


def test_what_is_refused_and_given_up_is_counted_by_reason(serve: Any) -> None:
    with serve(max_queue_tokens=300, max_connections=3) as client:
        client.post(PREDICT, json={"inputs": "好" * 301})
        assert asked(client)[key("refused_total", reason="too_large")] == 1
        late = client.post(PREDICT, content=slowly(b'{"inputs": ', '"好"}'.encode()), headers={"x-deadline-ms": "20"})
        assert late.status_code == 504
        found = asked(client)
        assert found[key("dropped_total", reason="departed")] == 0
        expired = found[
            key("answers_total", route="/v1/models/{name}/predict", status="504", problem="deadline_exceeded")
        ]
        assert found[key("dropped_total", reason="expired")] == expired == 1


def test_no_label_comes_from_outside(serve: Any) -> None:
    secret = "zqxj"
    with serve() as client:
        client.post(f"/v1/models/{secret}/predict", json={"inputs": secret})
        client.post(PREDICT, json={"inputs": secret, secret: 1}, headers={"x-request-id": secret})
        client.request(secret.upper(), f"/{secret}")
        client.get(f"/v1/models/{secret}?{secret}={secret}")
        assert secret not in client.get("/metrics").text.lower()


def test_metrics_come_as_openmetrics_where_a_client_asks_for_it(server: httpx.Client) -> None:
    answer = server.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_workers_add_up_and_one_that_ended_keeps_its_counts_but_not_its_gauges(tmp_path: Path) -> None:
    other = multiprocessing.get_context("spawn").Process(target=count_and_publish, args=(tmp_path, 5))
    other.start()
    other.join()
    assert other.exitcode == 0
    own = Exposition(_counted(2), tmp_path)
    found = samples(own.write("*/*")[0].decode())
    assert found[key("texts_total")] == 7
    assert found[key("batch_size_bucket", le="+Inf")] == 7
    assert found[key("models_loaded")] == 1  # this process's alone: the other has ended

    alive = tmp_path / f"{os.getppid()}.json"
    next(path for path in tmp_path.glob("*.json") if path.stem != str(os.getpid())).rename(alive)
    assert samples(own.write("*/*")[0].decode())[key("models_loaded")] == 2


def test_what_a_worker_has_shown_the_others_see(tmp_path: Path) -> None:
    Exposition(_counted(3), tmp_path).write("*/*")
    shown = json.loads((tmp_path / f"{os.getpid()}.json").read_text())
    assert ["gatescope_texts_total", {}, 3.0] in next(f for f in shown if f["name"] == "gatescope_texts")["samples"]


def _counted(batches: int) -> Figures:
    figures = Figures()
    figures.gauge("models_loaded", "models", lambda: 1)
    for _ in range(batches):
        figures.ran(1, 4, 0.001)
    return figures


def count_and_publish(folder: Path, batches: int) -> None:
    Exposition(_counted(batches), folder).publish()


def _queries(panel: Any) -> list[str]:
    return [target["expr"] for target in panel.get("targets", ())]


@pytest.fixture(scope="module")
def dashboard() -> Any:
    return json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text("utf-8"))


def test_the_dashboard_asks_for_nothing_that_is_not_exposed(dashboard: Any, server: httpx.Client) -> None:
    server.post(PREDICT, json={"inputs": "好"})  # a histogram by route is there once a route was asked
    exposed = {name for name, _ in asked(server)}
    queries = [query for panel in dashboard["panels"] for query in _queries(panel)]
    names = {name for query in queries for name in re.findall(r"gatescope_\w+", query)}
    assert len(names) > 10
    assert names <= exposed
    labels = {label for _, pairs in asked(server) for label, _ in pairs}
    grouped = {
        label.strip()
        for query in queries
        for group in re.findall(r"by \(([^)]*)\)", query)
        for label in group.split(",")
    }
    assert grouped <= labels


def test_the_dashboard_shows_every_metric(dashboard: Any, server: httpx.Client) -> None:
    families = {family.name for family in text_string_to_metric_families(server.get("/metrics").text)}
    queries = " ".join(query for panel in dashboard["panels"] for query in _queries(panel))
    assert not {name for name in families if name not in queries}
