"""docs/reliability.md says what docs/reliability/results.json says, of every experiment, and shows what is missed."""

import copy
import re

from bench import results

from . import report
from .__main__ import EXPERIMENTS


def test_the_page_is_made_of_the_stored_figures() -> None:
    assert report.PAGE.read_text("utf-8") == report.render(results.read(report.STORED))


def test_every_experiment_has_its_row_and_one_that_was_not_run_is_named() -> None:
    stored = results.read(report.STORED)
    assert set(EXPERIMENTS) == set(report.ROWS) >= set(stored)
    without = {name: part for name, part in stored.items() if name != "memory"}
    assert re.search(r"Not measured yet: .*memory", report.render(without))


def test_what_misses_its_bar_is_shown_as_missed() -> None:
    stored = copy.deepcopy(results.read(report.STORED))
    stored["damages"]["answers_changed"] = 3
    stored["terminations"]["lost"] = 1
    page = report.render(stored)
    assert "answers changed: 3" in page
    assert page.count("**no**") >= 2
    missed = next(line for line in page.splitlines() if line.startswith("Missed: "))
    assert "damages" in missed
    assert "terminations" in missed
