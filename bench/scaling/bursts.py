"""The page's table of bursts: simulated, with the measured pace."""

from lecture.markdown import table

from ..wording import number
from .simulation import Autoscaler, Burst, Outcome, Service, simulate

REPLICAS, QUEUE, TARGET, SEED = 4, 4096, 32.0, 0
TIMES = (1.5, 2.0, 4.0)
DELAYS = {
    "none is started": None,
    "5 s, a process on a machine that is there": 5.0,
    "15 s, a pod on a node that is there": 15.0,
    "120 s, a node has to start first": 120.0,
}
_LASTS_S, _ENDS_S = 60.0, 180.0


def bursts(requests: float) -> str:
    """requests: a second of one replica. Half of what the replicas can answer arrives; then `TIMES` as much."""
    rows = []
    for times in TIMES:
        for name, delay in DELAYS.items():
            outcome = burst(requests, times, delay)
            waits = [f"{1000 * outcome.wait_s(share):,.1f}" for share in (0.5, 0.99)]
            refused = f"{outcome.refused_share:.1%}"
            rows.append([f"{times:g} x", name, refused, *waits, number(outcome.calm_s), outcome.replicas])
    header = (
        "burst",
        "starting takes",
        "refused",
        "wait ms, 50 %",
        "99 %",
        "long waits end after s",
        "replicas at the end",
    )
    return table(header, rows)


def burst(requests: float, times: float, delay_s: float | None) -> Outcome:
    arrivals = Burst(REPLICAS * requests / 2, times, lasts_s=_LASTS_S, ends_s=_ENDS_S)
    scaler = None if delay_s is None else Autoscaler(TARGET, delay_s, most=8 * REPLICAS)
    return simulate(arrivals.arrivals(SEED), Service(1 / requests, REPLICAS, QUEUE), scaler, arrivals.start_s)
