"""The server, whose wall clock is set back a day at SIGUSR1 and forward two days at SIGUSR2; `surroundings.clock` runs it.

A stand-in for the machine's clock, which tests may not touch: `time.time` is exchanged before anything is imported that
could keep it. The monotonic clocks go on, as they do when a machine's wall clock is set.
"""

import signal
import time

DAY_S = 86_400


def main() -> None:
    real, offset = time.time, [0.0]

    def shift(seconds: float) -> None:
        offset[0] += seconds

    time.time = lambda: real() + offset[0]
    time.time_ns = lambda: int(1e9 * time.time())
    signal.signal(signal.SIGUSR1, lambda *_: shift(-DAY_S))
    signal.signal(signal.SIGUSR2, lambda *_: shift(2 * DAY_S))
    from service.cli.main import main as run

    raise SystemExit(run())


if __name__ == "__main__":
    main()
