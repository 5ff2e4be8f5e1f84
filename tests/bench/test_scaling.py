"""The arithmetic and the simulation of docs/scaling.md against formulas and a slow clock, and the page itself."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bench import results
from bench.scaling import arithmetic, page
from bench.scaling.arithmetic import Core
from bench.scaling.simulation import Autoscaler, Burst, Service, simulate


def test_waits_of_one_replica_are_those_of_the_formula() -> None:
    """Poisson arrivals, one pace, one server: Pollaczek and Khinchine's mean wait, rho s / (2 (1 - rho))."""
    seconds, rho = 0.01, 0.7
    burst = Burst(base=rho / seconds, times=1, ends_s=4000)
    outcome = simulate(burst.arrivals(seed=1), Service(seconds, 1, queue=10**9), scaler=None)
    assert outcome.waits_s.mean() == pytest.approx(rho * seconds / (2 * (1 - rho)), rel=0.05)


def by_the_clock(arrivals: list[int], takes: int, replicas: int, queue: int) -> tuple[list[int], int]:
    """(waits, refused) by a loop over ticks, with a list for the queue and a countdown for each replica."""
    waiting: list[int] = []
    left, waits, refused, coming = [0] * replicas, [], 0, list(arrivals)
    for now in range(arrivals[-1] + takes * (len(arrivals) + 1)):
        left = [max(0, ticks - 1) for ticks in left]
        while coming and coming[0] == now:
            if len(waiting) + sum(ticks > 0 for ticks in left) >= (queue + 1) * replicas:
                refused += 1
            else:
                waiting.append(now)
            coming.pop(0)
            for n in range(replicas):
                if waiting and left[n] == 0:
                    waits.append(now - waiting.pop(0))
                    left[n] = takes
        for n in range(replicas):
            if waiting and left[n] == 0:
                waits.append(now - waiting.pop(0))
                left[n] = takes
    return waits, refused


@pytest.mark.parametrize(("replicas", "queue", "seed"), [(1, 1, 0), (2, 0, 1), (3, 2, 2), (3, 100, 3)])
def test_the_simulation_is_that_of_a_clock(replicas: int, queue: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    arrivals = sorted(int(t) for t in draw.choice(400, 150, replace=False))
    outcome = simulate([float(t) for t in arrivals], Service(7.0, replicas, queue), scaler=None)
    waits, refused = by_the_clock(arrivals, 7, replicas, queue)
    assert outcome.refused == refused
    assert outcome.waits_s.tolist() == waits
    assert outcome.arrived == len(waits) + refused == 150


def test_arrivals_come_as_often_as_the_burst_says() -> None:
    burst = Burst(base=200, times=4, start_s=20, lasts_s=30, ends_s=100)
    times = np.array(list(burst.arrivals(seed=0)))
    assert all(a < b for a, b in pairwise(times))
    within = ((times >= 20) & (times < 50)).sum()
    assert within == pytest.approx(4 * 200 * 30, rel=0.03)
    assert len(times) - within == pytest.approx(200 * 70, rel=0.03)


def test_what_an_autoscaler_starts_answers_after_its_delay_and_not_before() -> None:
    burst = Burst(base=50, times=3, start_s=10, lasts_s=60, ends_s=100)
    service = Service(0.01, 1, queue=10**6)
    outcomes = {
        delay: simulate(burst.arrivals(seed=2), service, Autoscaler(target=8, delay_s=delay), burst.start_s)
        for delay in (0.0, 10.0, math.inf)
    }
    assert outcomes[0.0].calm_s < outcomes[10.0].calm_s < outcomes[math.inf].calm_s
    alone = simulate(burst.arrivals(seed=2), service, None, burst.start_s)
    assert outcomes[math.inf].waits_s.tolist() == alone.waits_s.tolist()


CORE = Core(requests=2000.0, memory_mb=500.0)
ANSWERS = {"prediction": 400.0, "gates_safetensors": 60_000.0, "gates_json": 200_000.0}


def test_a_fleet_by_hand() -> None:
    """1200 of a core's 2000 are used: 834 replicas, 14 machines of 64 cores, half a gigabyte each."""
    assert arithmetic.fleet(1e6, CORE) == arithmetic.Fleet(834, 14, 417.0)
    assert arithmetic.fleet(1e6, CORE, share=0.5).replicas == 1667


def test_core_hours_and_links_by_hand() -> None:
    assert arithmetic.core_hours(1e9, 36.0) == pytest.approx(10.0)
    assert arithmetic.gbits(1e6, 400.0) == pytest.approx(8.0)
    full = arithmetic.answers_of_a_link(ANSWERS["gates_json"])
    assert arithmetic.gbits(full, ANSWERS["gates_json"]) == pytest.approx(arithmetic.LINK_GBITS)


def test_limits_stand_in_the_order_in_which_they_are_met() -> None:
    found = [limit.requests for limit in arithmetic.limits(CORE, ANSWERS)]
    assert found == sorted(found)
    assert found[0] == CORE.requests


def test_the_page_stands_with_and_without_ray_and_batch() -> None:
    pace = results.read(page.STORED)["pace"]
    alone = page.fields({"pace": pace})
    assert "bench ray" in str(alone["million_table"])
    assert "not timed" in str(alone["batch"])
    ratios = {"processes_to_one": {"median": 1.913}, "processes_to_client_loop": {"median": 2.5}}
    paces = {name: {"median": 1234.0} for name in ("one_process", "processes", "client_loop")}
    clock = {"rows_per_second": paces, **ratios}
    part = {
        "model": "tiny",
        "rows": 1000,
        "cores": 2,
        "machine": {"cores": 2},
        "speed": {"rounds": 3, "wall": clock, "by_cpu": clock, "loops_to_one": {"median": 1.02}},
        "kills": {"kills": 20, "rows": 900, "lost": 1, "doubled": 0, "different": 0},
        "memory": {"rows": 10**6, "early_rows": 10**4, "end_bytes": 5e8, "end_to_early": 1.04},
    }
    timed = str(page.fields({"pace": pace, "batch": part})["batch"])
    assert "| one process | 1,234 | 1,234 |" in timed
    assert "| 2 processes / one | 1.91 | 1.91 |" in timed
    assert "1 lost, 0 doubled" in timed
    assert "they left 2 busy loops 1.02 times" in timed


def test_the_page_shows_what_is_stored() -> None:
    stored, text = results.read(page.STORED), Path("docs/scaling.md").read_text("utf-8")
    assert page.pace_table(stored["pace"]) in text
    assert page.answers_table(stored["pace"]["answers"]) in text
    assert page.core_hours_table(stored["pace"]) in text
    assert page.ray_table(stored["ray"]) in text
    assert page.cores_table(stored["ray"]) in text
    assert page.limits_table(Core.measured(stored["ray"]), stored["pace"]["answers"]) in text
