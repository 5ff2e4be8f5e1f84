"""The arithmetic and the simulation of docs/scaling.md against formulas and a slow clock."""

import math
from itertools import pairwise

import numpy as np
import pytest

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
