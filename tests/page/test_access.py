"""For everyone: axe-core finds nothing serious, light and dark, wide and narrow; nothing is cut off or laid over."""

from collections.abc import Callable

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe

from .browsing import Inspector

LOOKS = [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")]
STATES = [
    {"lang": "zh", "m": "zh-sentiment-lstm", "edit": "true"},
    {"lang": "en", "m": "en-ner-bilstm"},
    {"lang": "en", "tour": 1},
]


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_serious(
    tab: Callable[..., Inspector], shipped: httpx.Client, width: int, scheme: str, state: dict[str, str]
) -> None:
    inspector = tab(shipped, width=width, color_scheme=scheme, bypass_csp=True).open(**state)
    found = Axe().run(inspector.page).response["violations"]
    serious = [
        f"{v['id']}: {node['html'][:140]} {node['failureSummary'][:200]}"
        for v in found
        if v["impact"] in ("serious", "critical")
        for node in v["nodes"][:3]
    ]
    assert not serious, "\n".join(serious)


@pytest.mark.parametrize("width", [1440, 1000, 390])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_page_is_never_wider_than_the_screen(
    tab: Callable[..., Inspector], shipped: httpx.Client, width: int, lang: str
) -> None:
    inspector = tab(shipped, width=width).open(lang=lang, c="true")
    overflow = inspector.page.evaluate(
        "() => [...document.querySelectorAll('body *')].filter((e) => !e.closest('.lane-body, #examples, .hidden, .skip, [hidden]') "
        "&& e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 90))"
    )
    assert overflow == []
    assert inspector.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("model", ["zh-sentiment-lstm", "en-sentiment-bilstm", "zh-sentiment-rnn"])
def test_no_label_of_the_cell_is_cut_or_laid_over_another(inspector: Inspector, model: str) -> None:
    inspector.open(m=model, lang=model[:2])
    boxes = inspector.page.evaluate(
        "() => { const svg = document.querySelector('svg.cell'), area = svg.getBoundingClientRect();"
        "return [...svg.querySelectorAll('text')].map((e) => { const b = e.getBoundingClientRect();"
        "return [e.textContent, b.left - area.left, b.top - area.top, b.right - area.left, b.bottom - area.top, area.width, area.height] }) }"
    )
    for text, left, top, right, bottom, width, height in boxes:
        assert left >= -1, text
        assert top >= -1, text
        assert right <= width + 1, text
        assert bottom <= height + 1, text
    for n, (text, left, top, right, bottom, *_) in enumerate(boxes):
        for other, left2, top2, right2, bottom2, *_ in boxes[n + 1 :]:
            across, down = min(right, right2) - max(left, left2), min(bottom, bottom2) - max(top, top2)
            assert across < 1 or down < 4, (text, other)


def test_everything_can_be_reached_by_keyboard(inspector: Inspector) -> None:
    """Tab from the top passes text, timeline, ribbon, cell, menus and the unit."""
    inspector.open(m="en-sentiment-lstm", edit="true")
    reached: set[str] = set()
    for _ in range(120):
        inspector.page.keyboard.press("Tab")
        reached.add(
            inspector.page.evaluate(
                "() => { const e = document.activeElement; return e.id || e.dataset.gate || e.getAttribute('class') || e.dataset.focus || e.tagName }"
            )
        )
    wanted = {"model", "text", "step", "forget_gate", "output_gate", "token", "gate-slider", "compare", "theme", "tour"}
    assert not {name for name in wanted if not any(name in found for found in reached)}, reached
