"""The page looks as it did: its screenshots against those of `make page-pictures`, within a tolerance."""

from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from .browsing import Inspector
from .pictures import BASELINES, SHOTS, photograph, smaller

FAR = 40  # of 255: a pixel that differs by more is another one
SHARE = 0.02  # of the pixels that may be others: letters are drawn a little otherwise by another Chromium


def differing(found: Image.Image, wanted: Image.Image) -> float:
    """The share of pixels that are far from the baseline's."""
    if found.size != wanted.size:
        return 1.0
    apart = np.abs(np.asarray(found, int) - np.asarray(wanted.convert("RGB"), int)).max(axis=-1)
    return float((apart > FAR).mean())


@pytest.mark.parametrize("name", sorted(SHOTS))
def test_the_page_looks_as_it_did(browser: Browser, shipped: httpx.Client, tmp_path: Path, name: str) -> None:
    found = smaller(photograph(browser, shipped, SHOTS[name]))
    path = tmp_path / f"{name}.png"
    found.save(path)
    share = differing(found, Image.open(BASELINES / f"{name}.png"))
    assert share <= SHARE, f"{share:.1%} of the pixels differ, see {path}; `make page-pictures` takes the new look"


def test_the_comparison_sees_a_lane_that_is_missing(tab: Callable[..., Inspector], shipped: httpx.Client) -> None:
    width, height, scheme, state = SHOTS["english-light"]
    inspector = tab(shipped, width=width, height=height, color_scheme=scheme).open(**state)
    inspector.page.evaluate("() => document.querySelector('.lane-reading').remove()")
    found = smaller(inspector.page.screenshot())
    assert differing(found, Image.open(BASELINES / "english-light.png")) > SHARE
