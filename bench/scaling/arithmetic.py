"""From what one core does to a fleet: plain products of measured figures, each with what it assumes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

USE = 0.6  # of a core, on average; the rest is for bursts
CORES = 64  # of a machine
LINK_GBITS = 25.0  # of a machine
PODS, PODS_OF_A_NODE = 150_000, 110  # Kubernetes' published limits of one cluster
HEAD_BYTES = 600  # an answer's and a request's HTTP headers with TCP's and IP's, rounded up


@dataclass(frozen=True)
class Core:
    """Measured: requests of one text a second over HTTP, and memory of the process."""

    requests: float
    memory_mb: float

    @classmethod
    def measured(cls, ray: Mapping[str, Any]) -> "Core":
        """By processor time: a machine that does something else besides takes none of it away."""
        alone = ray["overhead"]["alone"]["64 connections, by processor time"]
        return cls(alone["median"], ray["memory_mb"]["median"])


@dataclass(frozen=True)
class Fleet:
    replicas: int
    machines: int
    memory_gb: float


def fleet(requests: float, core: Core, share: float = 1.0) -> Fleet:
    """share: of a core's requests that is left by what stands before it, as Ray Serve."""
    replicas = math.ceil(requests / (core.requests * share * USE))
    return Fleet(replicas, math.ceil(replicas / CORES), replicas * core.memory_mb / 1000)


def gbits(requests: float, answer_bytes: float) -> float:
    """Of answers a second."""
    return requests * (answer_bytes + HEAD_BYTES) * 8 / 1e9


def answers_of_a_link(answer_bytes: float) -> float:
    """Answers a second that fill a machine's link."""
    return LINK_GBITS * 1e9 / 8 / (answer_bytes + HEAD_BYTES)


def core_hours(texts: float, cpu_us_of_a_text: float) -> float:
    return texts * cpu_us_of_a_text / 1e6 / 3600


@dataclass(frozen=True)
class Limit:
    """What is full at how many requests a second."""

    what: str
    requests: float


def limits(core: Core, answers: Mapping[str, float]) -> list[Limit]:
    """In the order in which they are met as requests grow.

    answers: bytes of an answer, prediction, gates_json and gates_safetensors.
    """
    found = [
        Limit("one replica: its core is busy", core.requests),
        Limit(f"one machine of {CORES} cores, a replica each", CORES * core.requests),
        *(
            Limit(f"one proxy, or one machine, with {LINK_GBITS:.0f} Gbit/s: answers with {what} fill the link", full)
            for what, full in (
                ("the prediction alone", answers_of_a_link(answers["prediction"])),
                ("every gate as safetensors", answers_of_a_link(answers["gates_safetensors"])),
                ("every gate as JSON", answers_of_a_link(answers["gates_json"])),
            )
        ),
        Limit(f"one Kubernetes cluster: {PODS:,} pods, a replica each, {USE:.0%} busy", PODS * core.requests * USE),
    ]
    return sorted(found, key=lambda limit: limit.requests)
