"""docs/reliability.md says what docs/reliability/results.json says, of every experiment, and shows what is missed."""

import copy

from bench import results

from . import report
from .__main__ import EXPERIMENTS


def test_the_page_is_made_of_the_stored_figures() -> None:
    assert report.PAGE.read_text("utf-8") == report.render(results.read(report.STORED))


def test_every_experiment_was_run_and_has_its_row() -> None:
    assert set(EXPERIMENTS) == set(report.ROWS) == set(results.read(report.STORED))


def test_what_misses_its_bar_is_shown_as_missed() -> None:
    stored = copy.deepcopy(results.read(report.STORED))
    stored["swaps"]["failed"] = 3
    stored["terminations"]["lost"] = 1
    page = report.render(stored)
    assert "| 3 of " in page
    assert page.count("**no**") >= 2
    missed = next(line for line in page.splitlines() if line.startswith("Missed: "))
    assert "swaps" in missed
    assert "terminations" in missed
