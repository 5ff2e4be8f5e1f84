"""Every kind of model that the library knows, on the page: stacked, pooled, both directions, RNN and LSTM."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.conftest import TINY
from tests.service.conftest import server

from .browsing import Inspector

__all__ = ["server"]
TEXTS = {"zh": "酒店不错，服务很好。", "en": "John Smith from Google doesn't live in London ."}


@pytest.mark.parametrize("name", sorted(TINY))
def test_every_kind_of_model_has_its_lanes(tab: Callable[..., Inspector], server: httpx.Client, name: str) -> None:
    model = TINY[name]
    inspector = tab(server).open(m=name, x=TEXTS[model.language])
    page = inspector.page
    views = {lane.get_attribute("data-view") for lane in page.locator(".lane").all()}
    wanted = {"ribbon", "hidden_state"}
    wanted |= {"entities", "tags"} if model.task == "token-classification" else {"reading"}
    wanted |= (
        {"influence"}
        if model.cell == "rnn"
        else {"belt", "forget_gate", "input_gate", "output_gate", "cell_gate", "cell_state"}
    )
    assert views == wanted
    assert page.locator(".problem:visible").count() == 0
    assert page.locator("svg.cell").count() == 1
    assert page.locator("#card-unit .facts .number").count() >= 1


@pytest.mark.parametrize("place", [(0, "forward"), (1, "forward"), (1, "reverse")])
def test_layers_and_directions_are_tabs(
    tab: Callable[..., Inspector], server: httpx.Client, place: tuple[int, str]
) -> None:
    layer, direction = place
    text = TEXTS["en"]
    inspector = tab(server).open(m="tiny-en-bilstm", x=text, t=4, u=2)
    page = inspector.page
    page.click(f"[data-focus='tab-{layer}']")
    inspector.settled()
    page.get_by_role("button", name={"forward": "forward →", "reverse": "backward ←"}[direction]).click()
    inspector.settled()
    assert f"layer {layer}" in page.inner_text(".lane-belt header")
    options: dict[str, Any] = {"tensors": ["cell_state"], "select": {"layers": [layer], "directions": [direction]}}
    (shown,) = inspector.ask("models/tiny-en-bilstm/inspect", inputs=text, decimals=9, **options)["results"]
    value = page.locator("#card-unit .facts .cell_state .number").inner_text().replace("−", "-")
    assert value == f"{shown['tensors']['cell_state']['data'][0][0][4][2]:+.2f}"
    page.click(".layer[data-gate=forget_gate]")
    page.wait_for_selector(".sum table")
    asked = inspector.ask(f"models/tiny-en-bilstm/units/{layer}/{direction}/2/sum", input=text, timestep=4, terms=5)
    total = page.locator(".sum .number").nth(3).inner_text().replace("−", "-")
    assert total == f"{asked['sums']['forget_gate']['preactivation']:+.3f}"
