"""Text in, answer out: live, in order, and in words where the server refuses."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error, Route, expect

from .browsing import Inspector, shipped_server

PREDICT = "**/zh-sentiment-lstm/predict"
TEXT = "酒店服务一点也不好，房间很脏。"


def test_a_typed_sentence_gets_the_servers_own_label(inspector: Inspector) -> None:
    inspector.open(lang="zh", m="zh-sentiment-lstm", x="好").type(TEXT)
    (result,) = inspector.ask("models/zh-sentiment-lstm/predict", inputs=TEXT)["results"]
    assert inspector.scores() == {row["label"]: f"{row['score']:.2f}" for row in result["labels"]}
    tokens = inspector.page.locator(".lane-ribbon .token text").all_text_contents()
    assert "".join(tokens) == TEXT


def test_an_older_answer_never_overwrites_a_newer_one(inspector: Inspector) -> None:
    inspector.open(lang="zh", m="zh-sentiment-lstm", x="好")
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if json.loads(route.request.post_data or "{}")["inputs"] == "服务很差":
            held.append(route)
        else:
            route.continue_()

    inspector.page.route(PREDICT, hold_the_first)
    inspector.page.fill("#text", "服务很差")
    inspector.page.wait_for_timeout(150)
    inspector.page.fill("#text", "服务很好")
    inspector.settled()
    newer = inspector.scores()
    (route,) = held
    late = inspector.ask("models/zh-sentiment-lstm/predict", inputs="服务很差")
    assert late["results"][0]["labels"][0]["label"] != max(newer, key=lambda label: newer[label])
    with contextlib.suppress(Error):  # the page has abandoned the request: there may be nobody left to answer
        route.fulfill(json=late)
    inspector.page.wait_for_timeout(150)
    assert inspector.scores() == newer
    inspector.complaints.clear()


def test_a_text_without_a_token_is_no_error(inspector: Inspector) -> None:
    inspector.open(m="en-sentiment-lstm", x="fine")
    inspector.page.fill("#text", "   ")
    inspector.settled()
    assert "Type a text" in inspector.page.inner_text("#answer")
    assert inspector.page.is_hidden("#body")
    inspector.type("fine again")
    assert inspector.page.is_visible("#body")


def test_a_text_that_is_too_long_is_refused_in_words(inspector: Inspector) -> None:
    inspector.open(m="en-sentiment-lstm", x="fine")
    inspector.page.fill("#text", "a " * 4200)
    expect(inspector.page.locator("#problem")).to_contain_text("4200")
    expect(inspector.page.locator("#problem")).to_contain_text("too long for this model")
    inspector.type("fine")
    assert inspector.page.is_hidden("#problem")
    inspector.complaints.clear()  # the browser itself notes an answer of 422


def test_a_busy_server_is_asked_again_when_it_said_so(inspector: Inspector) -> None:
    inspector.open(lang="zh", m="zh-sentiment-lstm", x="好")
    busy = {"detail": "the queue is full", "error_type": "overloaded", "retry_after_ms": 700}
    inspector.answer_instead(PREDICT, 429, json.dumps(busy), {"retry-after": "1"})
    inspector.page.fill("#text", TEXT)
    expect(inspector.page.locator("#problem")).to_contain_text("1 秒后重试")
    expect(inspector.page.locator("#main")).to_have_attribute("data-shown", TEXT)
    assert inspector.page.is_hidden("#problem")
    inspector.complaints.clear()


def test_a_key_is_asked_for_and_kept_in_memory_alone(tab: Callable[..., Inspector], tmp_path: Path) -> None:
    with shipped_server(tmp_path, api_keys="open sesame") as client:
        inspector = tab(client)
        inspector.page.goto(f"{inspector.base}/#lang=en")
        expect(inspector.page.locator("#problem")).to_contain_text("wants an API key")
        inspector.page.fill("#key-value", "open sesame")
        inspector.page.press("#key-value", "Enter")
        inspector.settled()
        assert inspector.scores()
        assert inspector.page.is_hidden("#key")
        stored = inspector.page.evaluate(
            "() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
        )
        assert "sesame" not in stored
        assert inspector.page.evaluate("() => document.documentElement.outerHTML").count("sesame") == 0
        inspector.page.reload()
        expect(inspector.page.locator("#key")).to_be_visible()
        inspector.page.goto("about:blank")  # before its server goes
        inspector.complaints.clear()


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_example_makes_an_answer(inspector: Inspector, lang: str) -> None:
    for model in (f"{lang}-sentiment-lstm", {"en": "en-ner-bilstm", "zh": "zh-ner-lstm"}[lang]):
        inspector.open(lang=lang, m=model)
        examples = inspector.page.locator(".example")
        assert examples.count() >= 2
        for n in range(examples.count()):
            examples.nth(n).click()
            inspector.settled()
            assert inspector.page.get_attribute("#main", "data-shown") == examples.nth(n).inner_text()
        inspector.page.goto("about:blank")


def test_both_languages_say_the_same_things() -> None:
    def keys(language: str) -> set[str]:
        path = Path(__file__).parents[2] / f"service/page/words/{language}.js"
        rows = [line.strip().split(":")[0] for line in path.read_text("utf-8").splitlines() if line.startswith("  ")]
        assert len(rows) == len(set(rows))
        return set(rows)

    assert keys("en") == keys("zh")
    assert len(keys("en")) > 100


def test_the_switch_of_language_changes_every_word(inspector: Inspector) -> None:
    inspector.open(m="en-sentiment-lstm")
    assert inspector.page.inner_text(".lane-belt h3") == "The belt C"
    inspector.page.click("#language")
    inspector.settled()
    assert inspector.page.inner_text(".lane-belt h3") == "传送带 C"
    assert inspector.page.get_attribute("html", "lang") == "zh-CN"
    page_text: Any = inspector.page.inner_text("body")
    assert "?" not in page_text.replace("？", "")  # `?key` is what an absent word would look like


def test_labels_have_their_names_in_the_models_language(inspector: Inspector) -> None:
    text = "央行下调存款准备金率，股市大涨"
    names = inspector.client.get("/v1/models/zh-news-bilstm").json()["label_names"]
    (result,) = inspector.ask("models/zh-news-bilstm/predict", inputs=text)["results"]
    best = [row["label"] for row in result["labels"][:6]]
    inspector.open(lang="zh", m="zh-news-bilstm", x=text)
    assert inspector.page.locator(".label .name").all_inner_texts() == [names[label] for label in best]
    inspector.page.click("#language")
    inspector.settled()
    assert inspector.page.locator(".label .name").all_inner_texts() == best
