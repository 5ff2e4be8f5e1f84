"""Bad input does no harm: the short form of `fuzz`, whose long one sends ten thousand."""

from pathlib import Path

from .fuzz import fuzz


def test_hostile_requests_over_every_route_are_refused_and_change_nothing(weights_dir: Path) -> None:
    found = fuzz(weights_dir, count=360, seed=1)
    assert found["faults"] == []
    assert found["same_answers"]
    assert found["alive"]
    assert found["bugs_logged"] == found["texts_logged"] == 0
    assert sum(found["statuses"].values()) == 360
    assert len(found["kinds"]) == 9
