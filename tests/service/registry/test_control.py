"""Models come and go while requests are answered: no request fails, and each is answered by one version alone."""

import asyncio
import gc
import itertools
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from models.inference.predictor import Predictor
from service.errors import LoadRefused
from service.registry.registry import Registry
from service.settings import Settings

from .conftest import (
    NAME,
    PREDICT,
    TEXTS,
    Scores,
    answer,
    are_equal,
    damage,
    exact_scores,
    exchange,
    save_version,
    scores,
    until,
)

LOAD, UNLOAD = f"/v2/repository/models/{NAME}/load", f"/v2/repository/models/{NAME}/unload"
CPU = torch.device("cpu")


@pytest.fixture
def client(folder: Path, serve: Any) -> Iterator[httpx.Client]:
    with serve(weights_dir=folder, model_control="explicit") as client:
        yield client


def test_tritonclient_loads_and_unloads(folder: Path, client: httpx.Client) -> None:
    with triton.InferenceServerClient(f"{client.base_url.host}:{client.base_url.port}") as asking:
        asking.unload_model(NAME)
        assert not asking.is_model_ready(NAME)
        states = {m["name"]: m["state"] for m in asking.get_model_repository_index()}
        assert states == {NAME: "UNAVAILABLE", "other": "READY"}
        asking.load_model(NAME)
        assert asking.is_model_ready(NAME)
        assert {m["state"] for m in asking.get_model_repository_index()} == {"READY"}
        with pytest.raises(InferenceServerException, match="'nobody' was not loaded"):
            asking.load_model("nobody")
        with pytest.raises(InferenceServerException, match="config is not a field"):
            asking.load_model(NAME, config="{}")
        with pytest.raises(InferenceServerException, match="not a field"):
            asking.load_model(NAME, config="{}", files={"file:1/model.py": b"import os"})


def test_an_unloaded_model_is_404_until_it_is_loaded_again(client: httpx.Client) -> None:
    before = answer(client)
    assert client.post(UNLOAD).json() == {"name": NAME, "unload": True}
    for path in (PREDICT, f"/v1/models/{NAME}/attribute"):
        gone = client.post(path, json={"inputs": "x"})
        assert gone.status_code == 404
        assert gone.headers["content-type"] == "application/problem+json"
        assert gone.json()["detail"] == f"the model '{NAME}' is not loaded: there are other"
    assert client.get("/health/ready").json()["models"] == ["other"]
    assert client.post(UNLOAD).status_code == 200, "what is asked twice is done once"
    assert client.post("/v2/repository/models/nobody/unload").status_code == 404
    assert client.post(LOAD).json() == {"name": NAME, "load": True}
    assert answer(client) == before


def test_without_any_model_the_server_is_not_ready_until_one_is_loaded(client: httpx.Client) -> None:
    for name in (NAME, "other"):
        assert client.post(f"/v2/repository/models/{name}/unload").status_code == 200
    assert client.get("/health/ready").status_code == 503
    assert client.get("/health/live").status_code == 200
    client.post(LOAD)
    assert client.get("/health/ready").status_code == 200


def test_a_swap_under_load_fails_no_request_and_each_answer_is_one_versions_exactly(
    folder: Path, tmp_path: Path, client: httpx.Client
) -> None:
    exact = {seed: exact_scores(tmp_path, seed) for seed in (1, 2)}
    assert not are_equal(exact[1], exact[2])
    seen: list[Scores] = []
    stop = threading.Event()

    async def ask(asking: httpx.AsyncClient) -> None:
        while not stop.is_set():
            answered = await asking.post(PREDICT, json={"inputs": TEXTS})
            assert answered.status_code == 200, answered.text
            seen.append(scores(answered.json()))

    async def swap(asking: httpx.AsyncClient) -> None:
        for seed in (2, 1, 2, 1, 2):
            await asyncio.to_thread(exchange, folder / NAME, seed)
            assert (await asking.post(LOAD)).status_code == 200
            at = len(seen)
            while len(seen) < at + 20:
                await asyncio.sleep(0.005)
        stop.set()

    async def scenario() -> None:
        async with httpx.AsyncClient(base_url=client.base_url, trust_env=False, timeout=30) as asking:
            await asyncio.gather(swap(asking), *(ask(asking) for _ in range(4)))

    asyncio.run(scenario())
    found = [next(seed for seed in exact if are_equal(exact[seed], each)) for each in seen]
    assert len(list(itertools.groupby(found))) >= 5, "both versions are seen in turn"
    assert found[-1] == 2


def test_what_was_damaged_never_replaces_what_is_served(folder: Path, client: httpx.Client) -> None:
    before = answer(client)
    damage(folder / NAME)
    refused = client.post(LOAD)
    assert refused.status_code == 400
    assert "sha256" in refused.json()["error"]
    assert str(folder) not in refused.text
    assert answer(client) == before
    assert client.get("/health/ready").json() == {"ready": True, "models": ["other", NAME], "broken": []}
    index = {m["name"]: m for m in client.post("/v2/repository/index").json()}
    assert index[NAME]["state"] == "READY"
    assert "sha256" in index[NAME]["reason"], "why the newer version is not the one that is served"
    exchange(folder / NAME, 2)
    assert client.post(LOAD).status_code == 200
    assert answer(client) != before
    assert {m["reason"] for m in client.post("/v2/repository/index").json()} == {""}


def test_a_new_folder_is_loaded_by_name_and_is_broken_while_it_cannot_be(folder: Path, client: httpx.Client) -> None:
    save_version(folder / "fresh", 4, "fresh")
    damage(folder / "fresh")
    assert client.post("/v2/repository/models/fresh/load").status_code == 400
    assert [b["name"] for b in client.get("/health/ready").json()["broken"]] == ["fresh"]
    exchange(folder / "fresh", 4, "fresh")
    assert client.post("/v2/repository/models/fresh/load").status_code == 200
    assert client.get("/health/ready").json() == {"ready": True, "models": ["fresh", "other", NAME], "broken": []}


def test_a_folder_whose_model_has_another_name_is_refused(folder: Path, client: httpx.Client) -> None:
    before = answer(client)
    save_version(folder / "alias", 4, NAME)
    refused = client.post("/v2/repository/models/alias/load")
    assert refused.status_code == 400
    assert NAME in refused.json()["error"]
    assert answer(client) == before


def test_a_folder_whose_model_got_another_name_serves_it_by_that_name_alone(folder: Path) -> None:
    registry = Registry(Settings(weights_dir=folder, device="cpu"), CPU)
    registry.load_all()
    damage(folder / NAME)
    registry.follow()
    assert set(registry.models.rejected) == {NAME}
    exchange(folder / NAME, 2, "renamed")
    registry.follow()
    assert registry.names == ["other", "renamed"]
    assert not registry.models.rejected
    assert not registry.broken


def test_a_request_ends_with_the_version_with_which_it_began(
    folder: Path, tmp_path: Path, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is held in the model while the version is exchanged and, the second time, unloaded."""
    exact = {seed: exact_scores(tmp_path, seed) for seed in (1, 2)}
    entered, go_on, run = threading.Event(), threading.Event(), Predictor.run

    def held_run(predictor: Predictor, texts: Any, plan: Any = None) -> Any:
        if len(texts) == len(TEXTS):
            entered.set()
            go_on.wait(20)
        return run(predictor, texts, plan)

    monkeypatch.setattr(Predictor, "run", held_run)
    inspect = f"/v1/models/{NAME}/inspect"  # on the model thread: the event loop is free for the swap
    for seed, change in ((1, LOAD), (2, UNLOAD)):
        found: list[Any] = []
        ask = {"inputs": TEXTS, "reduce": ["mean"]}
        one = threading.Thread(target=lambda f=found, a=ask: f.append(client.post(inspect, json=a)))
        one.start()
        assert entered.wait(20)
        exchange(folder / NAME, 2)
        assert client.post(change).status_code == 200
        go_on.set()
        one.join(20)
        assert found[0].status_code == 200
        assert are_equal(scores(found[0].json()), exact[seed])
        entered.clear()
        go_on.clear()


def test_the_last_request_lets_the_old_versions_memory_go(folder: Path) -> None:
    """By reference counts alone: the garbage collector, which would stop every request, has nothing to do."""
    from fastapi.testclient import TestClient

    from service.app import create_app

    app = create_app(Settings(weights_dir=folder, device="cpu", model_control="explicit", allowed_hosts="testserver"))
    with TestClient(app) as client:
        while client.get("/health/ready").status_code != 200:
            time.sleep(0.02)
        registry = app.service.registry
        client.post(PREDICT, json={"inputs": TEXTS})
        client.post(f"/v1/models/{NAME}/inspect", json={"inputs": TEXTS})
        client.post(f"/v1/models/{NAME}/attribute", json={"inputs": TEXTS[0]})
        client.post(f"/v1/models/{NAME}/memory", json={"inputs": TEXTS[0]})
        client.post(f"/v1/models/{NAME}/intervene", json={"input": TEXTS[0], "interventions": []})
        gc.collect()
        gc.disable()
        try:
            for change in (LOAD, UNLOAD):
                old = registry.get(NAME)
                parts = [weakref.ref(old), weakref.ref(old.network), weakref.ref(next(old.network.parameters()))]
                parts.append(weakref.ref(old.runner))
                held, old = old, None
                assert client.post(change).status_code == 200
                assert all(part() is not None for part in parts), "a request still holds it"
                held = None
                assert [part() for part in parts] == [None] * 4, held
        finally:
            gc.enable()


def test_an_open_stream_goes_on_with_its_version_and_an_unload_does_not_wait_for_it(folder: Path) -> None:
    from fastapi.testclient import TestClient

    from service.app import create_app

    app = create_app(Settings(weights_dir=folder, device="cpu", model_control="explicit", allowed_hosts="testserver"))
    with TestClient(app) as client:
        while client.get("/health/ready").status_code != 200:
            time.sleep(0.02)
        held = weakref.ref(app.service.registry.get(NAME))
        with client.websocket_connect(f"/v1/models/{NAME}/stream") as stream:
            stream.send_json({"text": "好"})
            assert stream.receive_json()["timestep"] == 1
            assert client.post(UNLOAD).status_code == 200
            assert client.post(PREDICT, json={"inputs": "好"}).status_code == 404
            assert "gatescope_streams_open 1.0" in client.get("/metrics").text
            stream.send_json({"text": "吃"})
            assert stream.receive_json()["timestep"] == 2
            assert held() is not None
            stream.send_json({"done": True})
            assert stream.receive_json() == {"done": True, "timestep": 2}
        until(lambda: "gatescope_streams_open 0.0" in client.get("/metrics").text)
        until(lambda: held() is None)


def test_loads_of_one_name_come_one_after_the_other_and_the_event_loop_goes_on(
    folder: Path, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    import service.registry.registry as module

    running, most, load = 0, 0, module.load_version

    def slow_load(*arguments: Any) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.4)
        try:
            return load(*arguments)
        finally:
            running -= 1

    monkeypatch.setattr(module, "load_version", slow_load)

    async def scenario() -> tuple[list[int], float]:
        async with httpx.AsyncClient(base_url=client.base_url, trust_env=False, timeout=30) as asking:
            loads = [asyncio.create_task(asking.post(LOAD)) for _ in range(3)]
            await asyncio.sleep(0.1)
            slowest = 0.0
            while not all(each.done() for each in loads):
                began = time.perf_counter()
                assert (await asking.get("/health/live")).status_code == 200
                assert (await asking.post(PREDICT, json={"inputs": "好"})).status_code == 200
                slowest = max(slowest, time.perf_counter() - began)
            return [each.result().status_code for each in loads], slowest

    statuses, slowest = asyncio.run(scenario())
    assert statuses == [200] * 3
    assert most == 1
    assert slowest < 0.4, "a request waited for a load"


def test_a_load_that_outlasts_the_deadline_is_504_and_goes_on(
    folder: Path, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    import service.registry.registry as module

    load = module.load_version
    monkeypatch.setattr(module, "load_version", lambda *arguments: (time.sleep(0.3), load(*arguments))[1])
    before = answer(client)
    exchange(folder / NAME, 2)
    assert client.post(LOAD, headers={"x-deadline-ms": "50"}).status_code == 504
    assert answer(client) == before
    until(lambda: answer(client) != before)


@pytest.mark.parametrize("verb", ["load", "unload"])
def test_without_the_setting_control_is_404_that_names_it(serve: Any, folder: Path, verb: str) -> None:
    with serve(weights_dir=folder) as client:
        refused = client.post(f"/v2/repository/models/{NAME}/{verb}")
        assert refused.status_code == 404
        assert "GATESCOPE_MODEL_CONTROL" in refused.json()["error"]
        assert {m["name"] for m in client.post("/v2/repository/index").json()} == {NAME, "other"}
        answer(client)


def test_the_tables_memory_is_a_bound_after_any_number_of_swaps(folder: Path) -> None:
    from models.runtime.cpu.tables import table_bytes

    registry = Registry(Settings(weights_dir=folder, device="cpu", table_cache_mb=1), CPU)
    registry.load_all()
    fused = [p.runner for p in registry.predictors.values() if hasattr(p.runner, "inputs")]
    before = sum(map(table_bytes, fused))
    for seed in range(2, 6):
        exchange(folder / NAME, seed)
        registry.load(NAME)
        fused = [p.runner for p in registry.predictors.values() if hasattr(p.runner, "inputs")]
        assert sum(map(table_bytes, fused)) == before <= 1_000_000


def test_one_models_own_folder_is_loaded_by_its_name_and_by_no_other(folder: Path) -> None:
    registry = Registry(Settings(weights_dir=folder / NAME, device="cpu"), CPU)
    registry.load_all()
    old = registry.get(NAME)
    registry.load(NAME)
    assert registry.get(NAME) is not old
    for name in ("other", "weights", "."):
        with pytest.raises(LoadRefused):
            registry.load(name)
