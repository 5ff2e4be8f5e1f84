"""`make page-pictures`: photograph the page with the shipped models, for README and for the comparison of screenshots."""

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser

from .browsing import ROOT, Inspector, shipped_server, started_browser

README = ROOT / "docs/page"
BASELINES = Path(__file__).with_name("screenshots")
ZH = "酒店服务一点也不好，房间很脏，但是位置不错。"
SCALE = 3  # baselines are kept this much smaller: what they are for is the layout and the colours

# name -> width, height, colour scheme, state
SHOTS: dict[str, tuple[int, int, str, dict[str, Any]]] = {
    "english-light": (1440, 1240, "light", {"lang": "en", "m": "en-sentiment-lstm"}),
    "chinese-dark": (1440, 1240, "dark", {"lang": "zh", "m": "zh-sentiment-lstm", "x": ZH}),
    "compare-light": (
        1440,
        1000,
        "light",
        {"lang": "en", "m": "zh-sentiment-lstm", "x": ZH, "c": "true", "g": "false"},
    ),
    "entities-light": (1440, 1000, "light", {"lang": "en", "m": "en-ner-bilstm"}),
    "phone-light": (390, 1500, "light", {"lang": "zh", "m": "zh-sentiment-lstm", "x": ZH}),
    "phone-dark": (390, 1500, "dark", {"lang": "en", "m": "en-sentiment-lstm", "c": "true"}),
}
README_SHOTS = {
    "inspector.png": (1440, 1010, "light", {"lang": "en", "m": "en-sentiment-lstm"}),
    "inspector.zh-CN.png": (1440, 1010, "light", {"lang": "zh", "m": "zh-sentiment-lstm", "x": ZH}),
    "compare.png": (1440, 860, "light", {"lang": "en", "m": "zh-sentiment-lstm", "x": ZH, "c": "true", "g": "false"}),
    "compare.zh-CN.png": (
        1440,
        860,
        "light",
        {"lang": "zh", "m": "zh-sentiment-lstm", "x": ZH, "c": "true", "g": "false"},
    ),
}


def photograph(browser: Browser, client: Any, shot: tuple[int, int, str, dict[str, Any]]) -> bytes:
    """The top of the page in a state. The foot, which names the machine's kernel, stays below."""
    width, height, scheme, state = shot
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-GB", reduced_motion="reduce"
    )
    inspector = Inspector(context.new_page(), client).open(**state)
    inspector.page.wait_for_selector("#contexts li")
    inspector.page.wait_for_timeout(150)
    image: bytes = inspector.page.screenshot()
    context.close()
    return image


def smaller(image: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(image)).convert("RGB")
    return picture.resize((picture.width // SCALE, picture.height // SCALE), Image.Resampling.BOX)


def main() -> None:
    README.mkdir(exist_ok=True)
    BASELINES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, shipped_server(Path(folder)) as client, started_browser() as browser:
        for name, shot in SHOTS.items():
            smaller(photograph(browser, client, shot)).save(BASELINES / f"{name}.png", optimize=True)
        for file, shot in README_SHOTS.items():
            picture = Image.open(io.BytesIO(photograph(browser, client, shot))).convert("RGB")
            picture.save(README / file, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
