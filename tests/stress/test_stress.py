"""What must hold under any load, on any machine: the short forms. Speeds are shown in docs/reliability.md and not tested."""

from pathlib import Path

from . import ending, loading, overload, surroundings
from .servers import TEXTS, Server


def test_overload_is_answered_by_200_or_429_alone_and_nobody_waits_for_ever(plain: Server, weights_dir: Path) -> None:
    found = overload.overload(plain, weights_dir, rounds=1, seconds=1.5, factors=(0.5, 4.0))
    assert found["alive"] == 200
    assert found["statuses"] in ([200], [200, 429])
    assert found["unanswered"] == 0
    assert all(load["statuses"]["200"] > 0 for load in found["loads"].values())


def test_clients_that_leave_hurt_no_companion_and_leave_nothing_behind(plain: Server) -> None:
    found = overload.departures(plain, TEXTS, share=0.3, seconds=3)
    assert found["left"] > 10
    assert found["answered"] > found["left"]
    assert found["lost"] == found["wrong"] == found["waiting_after"] == 0


def test_a_model_that_is_exchanged_every_second_under_load_fails_no_request(changing: Server) -> None:
    found = loading.swaps(changing, rate=100, seconds=3, every_s=0.3)
    assert found["swaps"] >= 3
    assert found["failed"] == 0


def test_loads_and_unloads_leave_no_memory_behind(changing: Server) -> None:
    found = loading.growth(changing, cycles=50, soak_s=2)
    assert found["statuses"] == [200]
    assert found["soak_failed"] == 0
    assert found["slope_of_cycles"] < 0.05
    assert found["slope_of_soak"] < 0.05


def test_damaged_weights_are_never_served_also_while_they_are_written(changing: Server, own_models: Path) -> None:
    found = loading.damages(changing, own_models, count=25, seed=1)
    assert found["answers_changed"] == found["bugs"] == 0
    assert set(found["statuses"]) <= {"200", "400"}
    assert found["statuses"]["400"] >= 20
    assert found["loaded_after_repair"]


def test_sigterm_under_load_loses_nothing_that_was_sent(weights_dir: Path) -> None:
    found = ending.terminations(weights_dir, rate=200, rounds=1, workers=2)
    assert found["answered"] > 50
    assert found["refused_connections"] > 0, "the load outlasts the server"
    assert found["lost"] == found["other_statuses"] == 0


def test_a_killed_worker_is_replaced_and_the_others_answer(two_workers: Server) -> None:
    found = ending.kills(two_workers, 2, rounds=1)
    assert found["failed"] == 0
    assert found["unanswered"] <= 2, "only what the killed worker held is lost"
    assert found["asked"] > 20


def test_on_a_full_disk_models_are_asked_and_the_worker_recovers(two_workers: Server) -> None:
    found = surroundings.full_disk(two_workers, 2, asks=10)
    assert found["failed"] == 0
    assert found["same_answers"]
    assert found["metrics_statuses"] == found["alive_statuses"] == [200]
    assert found["load_status"] == 503
    assert "cannot be written" in found["load_says"]
    assert found["load_status_after"] == 200
    assert found["texts_counted"] >= found["texts_asked"]


def test_a_clock_that_is_set_back_changes_no_deadline_no_figure_and_no_answer(weights_dir: Path) -> None:
    found = surroundings.clock(weights_dir)
    assert found["statuses"] == [200]
    assert found["least_time_ms"] >= 0
    assert found["longest_time_ms"] < 30_000
    assert found["deadline_status"] == 504
    assert found["token_of_before"] == found["fresh_token"] == found["predicted_after"] == 200
    assert found["token_of_yesterday"] == 422
    assert found["fallen_counters"] == []
    assert 0 <= found["seconds_counted"] < 600
