"""Two real servers under kills: no step is lost, and every answer is that of one machine, bit for bit."""

import re
from pathlib import Path

from bench import replicas


def test_steps_over_two_servers_under_random_kills_lose_nothing(weights_dir: Path) -> None:
    """A short form; `python -m bench replicas` feeds a hundred thousand steps."""
    sentence = replicas.run(weights_dir, "tiny-zh-lstm", steps=2500, every_s=1.0, seed=3)
    found = re.match(r"2500 steps over two servers, (\d+) kills, (\d+) steps sent again: 0 lost, 0 answers", sentence)
    assert found, sentence
    assert int(found[1]) >= 1
