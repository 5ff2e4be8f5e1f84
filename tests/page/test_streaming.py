"""Streaming mode: what is typed goes over one WebSocket, and the frames' answers are those of the whole text."""

import json
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import WebSocket, expect

from .browsing import Inspector, shipped_server

TEXT = "The room was not bad at all, but"


def test_each_token_is_answered_as_it_is_typed(inspector: Inspector) -> None:
    sockets: list[WebSocket] = []
    sent: list[str] = []
    inspector.page.on(
        "websocket", lambda socket: (sockets.append(socket), socket.on("framesent", lambda f: sent.append(str(f))))
    )
    inspector.open(m="en-sentiment-lstm", x="The", stream="true")
    inspector.page.focus("#text")
    inspector.page.keyboard.press("End")
    inspector.page.keyboard.type(TEXT.removeprefix("The"), delay=8)
    inspector.settled()
    (result,) = inspector.ask("models/en-sentiment-lstm/predict", inputs=TEXT)["results"]
    best = result["labels"][0]
    expect(inspector.page.locator("#streamed")).to_contain_text(
        f"token {result['tokens']}: {best['label']} {best['score']:.2f}"
    )
    assert len(sockets) == 1
    assert "".join(json.loads(frame)["text"] for frame in sent) == TEXT
    assert len(sent) > 10


def test_another_text_begins_a_stream_anew_and_the_switch_ends_it(inspector: Inspector) -> None:
    inspector.open(lang="zh", m="zh-ner-lstm", x="我在北京")
    assert inspector.page.inner_text("#streamed") == ""
    inspector.page.click("#stream")
    expect(inspector.page.locator("#streamed .entity")).to_contain_text("北京")
    inspector.page.fill("#text", "他去了上海。")
    expect(inspector.page.locator("#streamed .entity")).to_contain_text("上海")
    inspector.page.click("#stream")
    assert inspector.page.inner_text("#streamed") == ""
    inspector.page.fill("#text", "郎平出生在天津，后来去了北京")
    inspector.page.click("#stream")
    expect(inspector.page.locator("#streamed .entity .what")).to_have_text(["郎平", "天津", "北京"])
    expect(inspector.page.locator("#streamed .entity.open .what")).to_have_text(["北京"])
    inspector.page.select_option("#model", "en-sentiment-bilstm")
    inspector.settled()
    assert inspector.page.is_hidden("#streaming")  # it reads both ways


def test_the_key_travels_as_a_subprotocol(tab: Callable[..., Inspector], tmp_path: Path) -> None:
    with shipped_server(tmp_path, api_keys="sesame") as client:
        inspector = tab(client)
        inspector.page.goto(f"{inspector.base}/#lang=en&stream=true&x=fine")
        inspector.page.fill("#key-value", "sesame")
        inspector.page.press("#key-value", "Enter")
        expect(inspector.page.locator("#streamed")).to_contain_text("token 1")
        inspector.settled().page.goto("about:blank")  # before its server goes
        inspector.complaints.clear()  # the browser itself notes the first answer, a 401
