"""Hover, scrub, compare, edit, share: what a reader does with an answer."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from playwright.sync_api import Locator, expect

from .browsing import Inspector

ZH = "酒店服务一点也不好，房间很脏，但是位置不错。"
LSTM = "zh-sentiment-lstm"


def middle(element: Locator) -> tuple[float, float]:
    box = element.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def tip_number(inspector: Inspector) -> str:
    return inspector.page.locator("#tip .number").first.inner_text().replace("−", "-")


def test_a_tooltip_has_the_apis_number(inspector: Inspector) -> None:
    inspector.open(lang="zh", m=LSTM, x=ZH)
    target = max(inspector.scores().items(), key=lambda row: row[1])[0]
    (found,) = inspector.ask(f"models/{LSTM}/attribute", inputs=ZH, target=target)["results"]
    for t in (0, 7, 13):
        inspector.page.mouse.move(*middle(inspector.page.locator(f".lane-ribbon .token[data-t='{t}']")))
        assert tip_number(inspector) == f"{found['contributions'][t]:+.3f}"


def test_a_stream_says_what_is_left_of_it(inspector: Inspector) -> None:
    inspector.open(lang="zh", m=LSTM, x=ZH)
    (memory,) = inspector.ask(f"models/{LSTM}/memory", inputs=ZH, measures=["mass"], decimals=9)["results"]
    x, _ = middle(inspector.page.locator(".lane-ribbon .token[data-t='12']"))
    stream = inspector.page.locator(".stream[data-s='8']")
    box = stream.bounding_box()
    assert box
    for y in range(int(box["y"]), int(box["y"] + box["height"])):  # find the stream under the twelfth token
        inspector.page.mouse.move(x, y)
        if inspector.page.locator(".stream.faded").count() and "faded" not in (stream.get_attribute("class") or ""):
            break
    assert tip_number(inspector) == f"{memory['measures']['mass'][12][8]:.3f}"
    left = memory["measures"]["mass"][-1][8] / memory["measures"]["mass"][8][8]
    assert f"{100 * left:.0f} %" in (stream.get_attribute("aria-label") or "")


def test_a_heat_map_says_the_unit_and_its_value(inspector: Inspector) -> None:
    inspector.open(lang="en", m=LSTM, x=ZH, s="index")
    (shown,) = inspector.ask(f"models/{LSTM}/inspect", inputs=ZH, tensors=["forget_gate"], decimals=9)["results"]
    box = inspector.page.locator(".lane-forget_gate canvas").bounding_box()
    assert box
    x, _ = middle(inspector.page.locator(".lane-ribbon .token[data-t='5']"))
    inspector.page.mouse.move(x, box["y"] + box["height"] * 10.5 / 64)
    assert "unit 10," in inspector.page.inner_text("#tip")
    assert tip_number(inspector) == f"{shown['tensors']['forget_gate']['data'][0][0][5][10]:.3f}"


def test_left_and_right_step_through_the_text_and_every_view_follows(inspector: Inspector) -> None:
    inspector.open(lang="zh", m=LSTM, x=ZH, t=3)
    inspector.page.locator(".lane-ribbon .token[data-t='3']").focus()
    for step in (4, 5, 6):
        inspector.page.keyboard.press("ArrowRight")
        assert inspector.step() == step
        assert ZH[step] in inspector.page.inner_text("#card-cell h2")
        assert ZH[step] in inspector.page.inner_text(".lane-belt .made")
        assert inspector.page.get_attribute(f".token[data-t='{step}']", "aria-pressed") == "true"
        lefts = inspector.page.evaluate("() => [...document.querySelectorAll('.now')].map((e) => e.style.left)")
        assert len(set(lefts)) == 1
        assert len(lefts) >= 9
    inspector.page.keyboard.press("ArrowLeft")
    assert inspector.step() == 5


def test_keys_in_the_text_field_are_the_fields_own(inspector: Inspector) -> None:
    inspector.open(lang="zh", m=LSTM, x=ZH, t=3)
    inspector.page.focus("#text")
    inspector.page.keyboard.press("ArrowRight")
    assert inspector.step() == 3


def test_space_plays_to_the_end_and_stops(inspector: Inspector) -> None:
    inspector.open(lang="zh", m=LSTM, x="服务很差", t=1)
    inspector.page.mouse.click(5, 5)
    inspector.page.keyboard.press("Space")
    expect(inspector.page.locator("[data-focus=pause]")).to_be_visible()
    expect(inspector.page.locator("#step")).to_have_value("3", timeout=4000)
    expect(inspector.page.locator("[data-focus=play]")).to_be_visible(timeout=4000)


def test_compare_draws_the_rnn_above_the_lstm_on_one_scale(inspector: Inspector) -> None:
    inspector.open(lang="zh", m=LSTM, x=ZH)
    inspector.page.click("#compare")
    inspector.settled()
    titles = inspector.page.locator(".lane-ribbon h3").all_inner_texts()
    assert titles == ["RNN", "LSTM"]
    heights: dict[str, float] = {}
    for cell in ("rnn", "lstm"):
        bars = inspector.page.locator(f"[data-key='influence:{cell}'] .bar-of")
        (memory,) = inspector.ask(f"models/zh-sentiment-{cell}/memory", inputs=ZH, measures=["gradient_norm"])[
            "results"
        ]
        t = 20
        heights[cell] = float(bars.nth(t).get_attribute("height") or 0) / memory["measures"]["gradient_norm"][t]
    assert heights["rnn"] == pytest.approx(heights["lstm"], rel=1e-6)
    for n, cell in enumerate(("rnn", "lstm")):
        (result,) = inspector.ask(f"models/zh-sentiment-{cell}/predict", inputs=ZH)["results"]
        assert inspector.scores(n) == {row["label"]: f"{row['score']:.2f}" for row in result["labels"]}


def drag_gate(inspector: Inspector, t: int, up: bool = False) -> None:
    box = inspector.page.locator(f".gate-slider[data-t='{t}']").bounding_box()
    assert box
    x = box["x"] + box["width"] / 2
    inspector.page.mouse.move(x, box["y"] + box["height"] / 2)
    inspector.page.mouse.down()
    inspector.page.mouse.move(x, box["y"] - 4 if up else box["y"] + box["height"] + 4, steps=4)
    inspector.page.mouse.up()
    inspector.settled()


def test_a_dragged_forget_gate_changes_the_prediction_and_undo_brings_it_back(inspector: Inspector) -> None:
    text = "The room was not bad at all, but the service was slow and rude."
    inspector.open(m="en-sentiment-lstm", x=text, edit="true")
    before = inspector.scores()
    drag_gate(inspector, 12)
    change = {"target": "forget_gate", "timesteps": [12], "op": "set", "value": 0}
    asked = inspector.ask("models/en-sentiment-lstm/intervene", input=text, interventions=[change])
    after = {row["label"]: f"{row['score']:.2f}" for row in asked["intervened"]["labels"]}
    assert inspector.scores() == after != before
    assert inspector.page.locator(".label .old").all_inner_texts() == list(before.values())
    drag_gate(inspector, 12, up=True)
    asked = inspector.ask("models/en-sentiment-lstm/intervene", input=text, interventions=[{**change, "value": 1}])
    assert inspector.scores() == {row["label"]: f"{row['score']:.2f}" for row in asked["intervened"]["labels"]}
    inspector.page.click("[data-focus=undo]")
    inspector.settled()
    assert inspector.scores() == before


def test_a_gate_slider_has_keys(inspector: Inspector) -> None:
    inspector.open(m="en-sentiment-lstm", edit="true", t=12)
    inspector.page.locator(".gate-slider[data-t='12']").focus()
    inspector.page.keyboard.press("Home")
    inspector.settled()
    assert inspector.page.get_attribute(".gate-slider[data-t='12']", "aria-valuenow") == "0.00"
    assert inspector.page.evaluate("() => document.activeElement.dataset.focus") == "edit-12"


def test_forgetting_everything_before_here_is_reading_from_here(inspector: Inspector) -> None:
    """The states before are zero, as at the start of a text, and what begins behind an empty line reads as a text does."""
    text = "The room was not bad at all.\n\nBut the service was slow and rude."
    inspector.open(m="en-sentiment-lstm", x=text, t=8)
    inspector.page.click("[data-focus=forget-before]")
    inspector.settled()
    (rest,) = inspector.ask("models/en-sentiment-lstm/predict", inputs="But the service was slow and rude.")["results"]
    assert inspector.scores() == {row["label"]: f"{row['score']:.2f}" for row in rest["labels"]}


def test_a_permalink_restores_the_page(tab: Callable[..., Inspector], shipped: httpx.Client) -> None:
    first = tab(shipped).open(lang="zh", m=LSTM, x=ZH, edit="true")
    drag_gate(first, 7)
    first.page.locator(".token[data-t='10']").click()
    first.page.select_option("[data-focus=sort]", "index")
    first.page.click(".label[data-label=positive]")
    first.settled().page.wait_for_timeout(250)
    link = first.page.url
    assert ZH in unquote(link).replace("+", " ")
    second = tab(shipped)
    second.page.goto(link)
    second.settled()
    for selector in ("#answer", "#timeline", "#card-cell", "#gatebar"):
        assert second.page.inner_text(selector) == first.page.inner_text(selector)
    assert second.step() == 10
    assert second.page.locator(".hand.set").count() == 1


def test_the_text_in_a_permalink_is_never_sent(inspector: Inspector) -> None:
    addresses: list[str] = []
    inspector.page.on("request", lambda request: addresses.append(request.url.split("#")[0]))
    inspector.open(m="en-sentiment-lstm", x="my secret diary")
    assert addresses
    assert not [address for address in addresses if "secret" in address]


def test_a_label_becomes_the_target(inspector: Inspector) -> None:
    inspector.open(m="en-sentiment-lstm")
    text = inspector.page.input_value("#text")
    inspector.page.click(".label[data-label=positive]")
    inspector.settled()
    assert "“positive”" in inspector.page.inner_text(".lane-ribbon header")
    method = inspector.client.get("/v1/models/en-sentiment-lstm").json()["default_attribution"]
    body = {"inputs": text, "target": "positive", "method": method}
    (found,) = inspector.ask("models/en-sentiment-lstm/attribute", **body)["results"]
    inspector.page.mouse.move(*middle(inspector.page.locator(".token[data-t='3']")))
    assert tip_number(inspector) == f"{found['contributions'][3]:+.3f}"


def test_an_entity_and_a_tag_become_the_target(inspector: Inspector) -> None:
    text = "中国女排在北京战胜了巴西队"
    inspector.open(lang="zh", m="zh-ner-lstm", x=text)
    (result,) = inspector.ask("models/zh-ner-lstm/predict", inputs=text)["results"]
    assert inspector.page.locator(".bracket").count() == len(result["entities"])
    chip = inspector.page.locator(".entity", has_text="北京")
    chip.click()
    inspector.settled()
    assert chip.get_attribute("aria-pressed") == "true"
    assert "B-LOC" in inspector.page.inner_text(".lane-ribbon header")
    (found,) = inspector.ask("models/zh-ner-lstm/attribute", inputs=text, target="B-LOC", timestep=5)["results"]
    inspector.page.mouse.move(*middle(inspector.page.locator(".token[data-t='5']")))
    assert tip_number(inspector) == f"{found['contributions'][5]:+.3f}"
    inspector.page.locator(".tag[data-t='6']").click()
    inspector.settled()
    assert "“京”" in inspector.page.inner_text(".lane-ribbon header")


def test_an_emoji_never_shifts_a_highlight(inspector: Inspector) -> None:
    """JavaScript counts UTF-16 units, of which an emoji has two or more."""
    plain, prefix = "John Smith lives in London.", "😀👩‍👩‍👧𝒳 "
    inspector.open(m="en-ner-bilstm", x=prefix + plain)
    (result,) = inspector.ask("models/en-ner-bilstm/predict", inputs=prefix + plain)["results"]
    assert {entity["text"] for entity in result["entities"]} >= {"London"}
    chips = inspector.page.locator("#answer .entity .what").all_inner_texts()
    assert chips == [entity["text"] for entity in result["entities"]]
    bracket = inspector.page.locator(".bracket", has_text="LOC").last.bounding_box()
    token = inspector.page.locator(".token", has_text="London").bounding_box()
    assert bracket
    assert token
    assert bracket["x"] == pytest.approx(token["x"], abs=3)
    assert bracket["width"] == pytest.approx(token["width"], abs=6)


def test_a_layer_of_the_cell_opens_its_sum(inspector: Inspector) -> None:
    inspector.open(lang="en", m=LSTM, x=ZH, t=7, u=30)
    inspector.page.click(".layer[data-gate=output_gate]")
    inspector.page.wait_for_selector(".sum table")
    asked = inspector.ask(f"models/{LSTM}/units/0/forward/30/sum", input=ZH, timestep=7, terms=5)
    rows = dict(
        row.split("\t") for row in inspector.page.locator(".sum table").first.inner_text().splitlines() if "\t" in row
    )
    assert rows["sum z"].replace("−", "-") == f"{asked['sums']['output_gate']['preactivation']:+.3f}"
    inspector.page.click(".sum button")
    assert inspector.page.locator(".sum").count() == 0


def test_a_box_in_the_scatter_keeps_its_units_alone(inspector: Inspector) -> None:
    inspector.open(lang="en", m=LSTM, x=ZH)
    (found,) = inspector.ask(f"models/{LSTM}/inspect", inputs=ZH, reduce=["saturation"])["results"]
    box = inspector.page.locator("svg.saturation").bounding_box()
    assert box
    scale = box["width"] / 344
    to = lambda x, y: (box["x"] + x * scale, box["y"] + y * scale)  # noqa: E731
    inspector.page.locator("svg.saturation").scroll_into_view_if_needed()
    box = inspector.page.locator("svg.saturation").bounding_box() or box
    inspector.page.mouse.move(*to(30, 12))
    inspector.page.mouse.down()
    inspector.page.mouse.move(*to(330, 90), steps=4)  # the upper half: open at half of the steps or more
    inspector.page.mouse.up()
    inspector.settled()
    limit = (170 - 90) / 160 - 0.015
    wanted = [u for u, high in enumerate(found["reductions"]["forget_gate"]["fraction_high"][0][0]) if high >= limit]
    assert f"{len(wanted)} units in the box" in inspector.page.inner_text("#card-saturation")
    assert f"of {len(wanted)}" in inspector.page.inner_text("#gatebar")
    inspector.page.click("[data-focus=brush-clear]")
    inspector.settled()
    assert "of 128" in inspector.page.inner_text("#gatebar")


def test_units_are_sorted_by_half_life_contribution_and_number(inspector: Inspector) -> None:
    inspector.open(lang="en", m=LSTM, x=ZH)
    (found,) = inspector.ask(f"models/{LSTM}/inspect", inputs=ZH, reduce=["half_life"])["results"]
    halves = found["reductions"]["forget_gate"]["half_life_tokens"][0][0]
    sweep = {"over": "units", "target": "hidden_state", "op": "zero"}
    swept = inspector.ask(f"models/{LSTM}/intervene", input=ZH, interventions=[], sweep=sweep)["sweep"]
    size = [max(abs(x) for x in entry["delta_logits"]) for entry in swept]
    first = {"half_life": halves.index(max(halves)), "contribution": size.index(max(size)), "index": 0}
    for sort, unit in first.items():
        inspector.page.select_option("[data-focus=sort]", sort)
        inspector.settled()
        canvas = inspector.page.locator(".lane-forget_gate canvas")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        assert box
        inspector.page.mouse.move(box["x"] + 40, box["y"] + 0.5)
        assert f"unit {unit}," in inspector.page.inner_text("#tip")


def test_a_text_too_long_for_the_sort_by_contribution_says_so(inspector: Inspector) -> None:
    inspector.open(lang="en", m=LSTM, x="好" * 513, s="contribution")
    assert "no unit is left out in turn" in inspector.page.inner_text("#gatebar")
    inspector.open(lang="en", m=LSTM, x=ZH, s="contribution")
    assert "no unit is left out in turn" not in inspector.page.inner_text("#gatebar")


def test_the_tour_walks_six_steps_in_both_languages(inspector: Inspector) -> None:
    for lang in ("en", "zh"):
        inspector.page.goto("about:blank")
        inspector.open(lang=lang)
        inspector.page.click("#tour")
        seen = []
        for step in range(6):
            inspector.settled()
            seen.append(inspector.page.inner_text("#tour-card h2"))
            assert inspector.page.is_visible("#body")
            assert inspector.page.locator(".pointed-at").count() >= 1
            expect(inspector.page.locator("[data-focus=tour_next]")).to_be_enabled(enabled=step < 5)
            if step < 5:
                inspector.page.click("[data-focus=tour_next]")
        assert len(set(seen)) == 6
        assert inspector.page.locator(".hand.set").count() == 1
        assert inspector.page.locator(".label .old").count() == 2
        assert inspector.page.locator(".label .old").all_inner_texts() != list(inspector.scores().values())
        inspector.page.click("[data-focus=tour_end]")
        assert inspector.page.is_hidden("#tour-card")


def test_a_step_of_the_tour_has_a_permalink(inspector: Inspector) -> None:
    inspector.open(lang="en", tour=1)
    assert inspector.page.inner_text("#tour-card h2") == "The RNN forgets"
    assert inspector.page.locator(".lane-ribbon").count() == 2


def test_curl_and_python_are_the_views_own_requests(
    tab: Callable[..., Inspector], shipped: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspector = tab(shipped, permissions=["clipboard-read", "clipboard-write"])
    inspector.open(lang="en", m=LSTM, x="it's 不好")
    for item, starts in (("Copy as curl", "curl -s http://"), ("Copy as Python", "import httpx")):
        inspector.page.click(".lane-belt .menu-button")
        inspector.page.get_by_role("menuitem", name=item).click()
        text = inspector.page.evaluate("() => navigator.clipboard.readText()")
        assert text.startswith(starts)
        if item == "Copy as Python":
            printed: list[Any] = []
            exec(text, {"print": printed.append})
            assert printed[0]["results"][0]["measures"]["mass"]
        else:
            assert f"{LSTM}/memory" in text
            body = text.split("-d ")[1].strip("'").replace("'\\''", "'")
            assert json.loads(body)["inputs"] == "it's 不好"


@pytest.mark.parametrize(("item", "begins"), [("Save SVG", b"<svg"), ("Save PNG", b"\x89PNG")])
def test_a_view_is_saved_as_a_picture(inspector: Inspector, item: str, begins: bytes) -> None:
    inspector.open(lang="en", m=LSTM, x=ZH)
    for view in (".lane-belt", ".lane-forget_gate", "#card-cell"):
        inspector.page.locator(f"{view} .menu-button").click()
        with inspector.page.expect_download() as download:
            inspector.page.get_by_role("menuitem", name=item).click()
        content = download.value.path().read_bytes()
        assert content.startswith(begins)
        assert len(content) > 2000
        if item == "Save SVG":
            assert b"var(--" not in content.replace(b'fill="var(--', b"") or b"rgb(" in content


def test_a_long_text_is_looked_at_through_a_window(inspector: Inspector) -> None:
    text = "The room was not bad at all, but the service was slow and rude . " * 241
    inspector.open(m="en-sentiment-lstm", x="fine")
    sizes: list[int] = []
    inspector.page.on("response", lambda response: sizes.append(int(response.headers.get("content-length", 0))))
    inspector.page.fill("#text", text)
    inspector.settled()
    assert "tokens 1–128 of 3856" in inspector.page.inner_text("#overview")
    assert inspector.page.locator(".lane-ribbon .token").count() == 128
    assert max(sizes) < 2_000_000
    inspector.page.locator(".overview").focus()
    inspector.page.keyboard.press("PageDown")
    inspector.settled()
    assert "tokens 129–256 of 3856" in inspector.page.inner_text("#overview")
    inspector.page.keyboard.press("End")
    inspector.settled()
    assert inspector.page.locator(".lane-ribbon .token").last.get_attribute("data-t") == "3855"
    (shown,) = inspector.ask(
        "models/en-sentiment-lstm/inspect",
        inputs=text,
        tensors=["hidden_state"],
        select={"timesteps": {"start": 3855}, "units": [5]},
        decimals=9,
    )["results"]
    inspector.page.fill("[data-focus=unit-number]", "5")
    inspector.page.press("[data-focus=unit-number]", "Tab")
    inspector.settled()
    inspector.page.locator(".lane-ribbon .token").last.click()
    inspector.page.wait_for_timeout(50)
    value = inspector.page.locator("#card-unit .facts .hidden_state .number").inner_text().replace("−", "-")
    assert value == f"{shown['tensors']['hidden_state']['data'][0][0][0][0]:+.2f}"
