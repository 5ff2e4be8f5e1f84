"""Bursts of requests against the delay of autoscaling: a discrete-event simulation with the measured pace.

One queue before all replicas, first come first served; a replica takes the measured time for a request, neither more
nor less. Requests arrive at random (Poisson). The autoscaler looks at the requests under way, as Ray Serve's does and
as CPU use stands for on Kubernetes, and what it starts answers only after the time that starting takes. A request that
finds the queue full is refused, as the service does with 429.
"""

import heapq
import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Burst:
    """Requests a second: `base`, and `times` as many from `start_s` on for `lasts_s`."""

    base: float
    times: float
    start_s: float = 30.0
    lasts_s: float = 120.0
    ends_s: float = 300.0

    def arrivals(self, seed: int) -> Iterator[float]:
        """Times of arrival in order: of a Poisson process at the higher rate those that a draw keeps."""
        draw, now, highest = np.random.default_rng(seed), 0.0, self.base * max(1.0, self.times)
        while True:
            gaps, kept = draw.exponential(1 / highest, 4096), draw.random(4096)
            for gap, share in zip(gaps, kept, strict=True):
                now += float(gap)
                if now >= self.ends_s:
                    return
                if share < self.rate(now) / highest:
                    yield now

    def rate(self, now: float) -> float:
        return self.base * (self.times if self.start_s <= now < self.start_s + self.lasts_s else 1.0)


@dataclass(frozen=True)
class Autoscaler:
    """Wants a replica for every `target` requests under way, and looks every `every_s`; all that is started answers
    after `delay_s`. most: the largest number of replicas. It only grows: what matters is the burst's rise.
    """

    target: float
    delay_s: float
    every_s: float = 5.0
    most: int = 10_000


@dataclass(frozen=True)
class Outcome:
    arrived: int
    refused: int
    waits_s: np.ndarray  # of those that were answered, in order of arrival
    replicas: int  # at the end
    calm_s: float  # from the burst's start until no request waits longer than a second again; 0: none did

    @property
    def refused_share(self) -> float:
        return self.refused / max(1, self.arrived)

    def wait_s(self, share: float) -> float:
        return float(np.quantile(self.waits_s, share)) if len(self.waits_s) else math.nan


@dataclass(frozen=True)
class Service:
    """seconds: of a replica for one request; queue: requests that may wait for each replica that answers."""

    seconds: float
    replicas: int
    queue: int


def simulate(arrivals: Iterable[float], service: Service, scaler: Autoscaler | None, start_s: float = 0.0) -> Outcome:
    """start_s: of the burst."""
    free = [0.0] * service.replicas  # when each replica is free; one that is starting: when it has started
    answering, starting = service.replicas, deque[float]()
    under_way: deque[float] = deque()  # ends of the requests that wait or run: with one pace they end in order
    waits: list[float] = []
    arrived = refused = 0
    calm, look = start_s, 0.0
    for now in arrivals:
        while under_way and under_way[0] <= now:
            under_way.popleft()
        if scaler is not None and now >= look:
            look = now + scaler.every_s
            wanted = min(scaler.most, math.ceil(len(under_way) / scaler.target))
            for _ in range(wanted - len(free)):
                heapq.heappush(free, now + scaler.delay_s)
                starting.append(now + scaler.delay_s)
        while starting and starting[0] <= now:
            starting.popleft()
            answering += 1
        arrived += 1
        if len(under_way) >= (service.queue + 1) * answering:
            refused += 1
            continue
        begins = max(now, free[0])
        heapq.heapreplace(free, begins + service.seconds)
        under_way.append(begins + service.seconds)
        waits.append(begins - now)
        if begins - now > 1.0:
            calm = now
    return Outcome(arrived, refused, np.array(waits), len(free), calm - start_s)
