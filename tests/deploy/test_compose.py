"""deploy/compose.yaml and its neighbours: what they name is there, and nginx really does what its file says."""

import concurrent.futures
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from bench.scaling.on_ray import free_port
from gatescope import Client
from service.app import create_app
from service.settings import Settings, unknown_variables

from .conftest import DEPLOY, ROOT, read

COMPOSE = read("compose.yaml")
SERVICES = ("gatescope-a", "gatescope-b")


def test_what_is_mounted_is_there() -> None:
    sources = [volume.split(":")[0] for known in COMPOSE["services"].values() for volume in known.get("volumes", ())]
    assert len(sources) == 6
    for source in sources:
        assert (DEPLOY / source).is_file(), source
    json.loads((DEPLOY / "grafana-dashboard.json").read_text("utf-8"))


def test_variables_are_settings() -> None:
    for name in SERVICES:
        assert unknown_variables(COMPOSE["services"][name]["environment"]) == []
        assert COMPOSE["services"][name]["read_only"] is True
        assert COMPOSE["services"][name]["tmpfs"] == ["/tmp"]


def test_both_services_share_a_state_key_that_has_to_be_given() -> None:
    keys = {COMPOSE["services"][name]["environment"]["GATESCOPE_STATE_KEY"] for name in SERVICES}
    assert len(keys) == 1
    assert keys.pop().startswith("${GATESCOPE_STATE_KEY:?")


def test_the_grace_period_holds_drain_and_the_longest_request() -> None:
    service = COMPOSE["services"]["gatescope-a"]
    drain_ms = int(service["environment"]["GATESCOPE_DRAIN_MS"])
    assert int(service["stop_grace_period"].removesuffix("s")) >= (drain_ms + Settings().deadline_ms) / 1000 + 5


def test_nginx_and_prometheus_ask_both_services_at_the_images_port() -> None:
    port = re.search(r"^EXPOSE (\d+)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert port is not None
    addresses = [f"{name}:{port[1]}" for name in SERVICES]
    assert re.findall(r"server (\S+:\d+) ", (DEPLOY / "nginx.conf").read_text("utf-8")) == addresses
    (job,) = read("prometheus.yml")["scrape_configs"]
    assert job["static_configs"] == [{"targets": addresses}]


def test_nginx_waits_as_long_as_the_service_and_takes_bodies_as_large() -> None:
    text, settings = (DEPLOY / "nginx.conf").read_text("utf-8"), Settings()
    found = {
        name: int(value) for name, value in re.findall(r"(proxy_read_timeout|client_max_body_size) (\d+)[sm];", text)
    }
    assert found["proxy_read_timeout"] * 1000 > max(settings.deadline_ms, settings.stream_idle_ms)
    assert found["client_max_body_size"] * 2**20 >= settings.max_body_bytes


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
def test_compose_takes_its_file() -> None:
    command = ["docker-compose", "-f", str(DEPLOY / "compose.yaml"), "config", "--quiet"]
    environment = {**os.environ, "GATESCOPE_STATE_KEY": "k" * 32}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def rules() -> list[dict[str, Any]]:
    (group,) = read("alerts.yml")["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_alerts_ask_for_nothing_that_is_not_exposed(rules: list[dict[str, Any]], weights_dir: Path) -> None:
    with TestClient(create_app(Settings(weights_dir=weights_dir))) as client:
        while client.get("/health/ready").status_code != 200:
            time.sleep(0.05)
        client.post("/v1/models/tiny-zh-lstm/predict", json={"inputs": "好"})
        families = text_string_to_metric_families(client.get("/metrics").text)
        exposed = {sample.name for family in families for sample in family.samples}
    asked = {name for rule in rules for name in re.findall(r"gatescope_\w+", rule["expr"])}
    assert len(asked) >= 4
    assert asked <= exposed


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_promtool_takes_both_files() -> None:
    for check in (["config", "prometheus.yml"], ["rules", "alerts.yml"]):
        done = subprocess.run(["promtool", "check", *check], cwd=DEPLOY, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_alerts_rise_when_they_should_and_not_before(tmp_path: Path) -> None:
    """promtool plays samples: ten minutes without trouble, then a service that is gone and requests that are refused."""
    instance = 'job="gatescope",instance="a"'
    series = {
        f"up{{{instance}}}": "1x40 0x40",
        f"gatescope_models_loaded{{{instance}}}": "3x80",
        f'gatescope_answers_total{{{instance},status="200"}}': "0+1000x80",
        f'gatescope_answers_total{{{instance},status="429"}}': "0x40 0+50x40",
    }
    alert = {"exp_labels": {"job": "gatescope", "instance": "a"}}
    summary = {"exp_annotations": {"summary": "a has not answered Prometheus for a minute"}}
    tests = [
        {"eval_time": "9m", "alertname": "GatescopeDown", "exp_alerts": []},
        {"eval_time": "9m", "alertname": "GatescopeRefuses", "exp_alerts": []},
        {"eval_time": "13m", "alertname": "GatescopeDown", "exp_alerts": [alert | summary]},
        {"eval_time": "13m", "alertname": "GatescopeWithoutModels", "exp_alerts": []},
    ]
    test = {
        "rule_files": [str(DEPLOY / "alerts.yml")],
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": tests,
                "promql_expr_test": [
                    {
                        "expr": 'count(ALERTS{alertname="GatescopeRefuses", alertstate="firing"})',
                        "eval_time": "19m",
                        "exp_samples": [{"labels": "{}", "value": 1}],
                    }
                ],
            }
        ],
    }
    file = tmp_path / "test.json"
    file.write_text(json.dumps(test))
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def served(weights: Path, ports: list[int]) -> Iterator[tuple[list["subprocess.Popen[bytes]"], list[str]]]:
    """A service at each port, ready."""
    common = {"GATESCOPE_WEIGHTS_DIR": str(weights), "GATESCOPE_STATE_KEY": "k" * 32, "GATESCOPE_LOG_LEVEL": "error"}
    command = [sys.executable, "-m", "service", "serve"]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    services = [subprocess.Popen(command, env={**os.environ, **common, "GATESCOPE_PORT": str(port)}) for port in ports]
    try:
        for url in urls:
            wait_until_ready(url)
        yield services, urls
    finally:
        for service in services:
            service.kill()
            service.wait()


def wait_until_ready(url: str) -> None:
    for _ in range(600):
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/health/ready", trust_env=False).status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"{url} is not ready")


@pytest.fixture
def behind_nginx(weights_dir: Path, tmp_path: Path) -> Iterator[tuple[list["subprocess.Popen[bytes]"], str]]:
    """Two services behind nginx with the file of deploy/; the addresses alone are those of this machine."""
    if (nginx := shutil.which("nginx")) is None:
        pytest.skip("nginx is not installed: what its file does was not tested")
    port, ports = free_port(), [free_port(), free_port()]
    text = (DEPLOY / "nginx.conf").read_text("utf-8").replace("listen 8080", f"listen 127.0.0.1:{port}")
    for name, own in zip(SERVICES, ports, strict=True):
        text = text.replace(f"{name}:8000", f"127.0.0.1:{own}")
    folders = [f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")]
    file = tmp_path / "nginx.conf"
    file.write_text(f"pid {tmp_path}/pid;\ndaemon off;\n" + text.replace("http {", "http {\n" + "\n".join(folders)))
    with served(weights_dir, ports) as (services, _):
        proxy = subprocess.Popen([nginx, "-c", str(file), "-e", "stderr"])
        try:
            wait_until_ready(f"http://127.0.0.1:{port}")
            yield services, f"http://127.0.0.1:{port}"
        finally:
            proxy.terminate()
            proxy.wait()


def test_a_service_killed_behind_nginx_loses_no_request(
    behind_nginx: tuple[list["subprocess.Popen[bytes]"], str],
) -> None:
    services, url = behind_nginx
    ended = threading.Event()

    def ask() -> int:
        answered, state = 0, None
        with Client(url) as client:
            while not ended.is_set():
                assert client.predict("酒店不错", "tiny-zh-lstm").result.label
                state = client.step("好", state, "tiny-zh-lstm").state  # goes on at whichever service answers
                answered += 1
        return answered

    with concurrent.futures.ThreadPoolExecutor(4) as clients:
        asking = [clients.submit(ask) for _ in range(4)]
        time.sleep(1)
        services[0].send_signal(signal.SIGKILL)
        time.sleep(2)
        ended.set()
        assert all(future.result() > 0 for future in asking)
    assert httpx.get(f"{url}/metrics", trust_env=False).status_code == 404  # one service's figures are not both's
