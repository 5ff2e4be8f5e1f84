"""Two real servers under kills: no step is lost, and every answer is that of one machine, bit for bit."""

from pathlib import Path

from bench import replicas


def test_steps_over_two_servers_under_random_kills_lose_nothing(weights_dir: Path) -> None:
    """A short form; `python -m bench replicas` feeds a hundred thousand steps."""
    found = replicas.run(weights_dir, "tiny-zh-lstm", steps=2500, every_s=1.0, seed=3)
    assert (found["steps"], found["lost"], found["different"]) == (2500, 0, 0)
    assert found["kills"] >= 1
