"""The line through what batches took: it follows what is measured, and never predicts less than nothing."""

from collections.abc import Callable

import numpy as np
import pytest

from service.engine.pace import Pace


def test_the_pace_follows_what_is_measured() -> None:
    pace = Pace()
    for _ in range(300):
        pace.measured(1000, 0.01)
    assert pace.seconds(1000) == pytest.approx(0.01, rel=1e-3)
    assert pace.tokens_within(0.02) == pytest.approx(2000, rel=1e-2)
    for _ in range(300):
        pace.measured(10, 0.01)
    assert pace.seconds(10) == pytest.approx(0.01, rel=1e-1)


def test_a_batchs_start_is_told_apart_from_its_tokens() -> None:
    pace, draws = Pace(), np.random.default_rng(0)
    for tokens in draws.integers(5, 800, 500).tolist():
        pace.measured(tokens, (0.0003 + tokens * 2e-6) * draws.uniform(0.9, 1.1))
    assert pace.seconds(0) == pytest.approx(0.0003, rel=0.3)
    assert pace.tokens_within(0.002) == pytest.approx(850, rel=0.1)


@pytest.mark.parametrize("seconds", [lambda tokens: 0.01 - tokens * 1e-6, lambda tokens: 0.0, lambda tokens: 5.0])
def test_whatever_is_measured_no_batch_is_predicted_to_take_less_than_nothing(seconds: Callable[[int], float]) -> None:
    pace, draws = Pace(), np.random.default_rng(1)
    for tokens in draws.integers(1, 5000, 200).tolist():
        pace.measured(tokens, seconds(tokens))
        assert pace.seconds(1) >= 0
        assert pace.seconds(10**6) >= pace.seconds(1)
        assert pace.tokens_within(0.002) >= 0
