"""How quickly the page answers on this machine: ``python -m tests.page.measure``. Indicative, and on no other work's clock."""

import statistics
import sys
import tempfile
from pathlib import Path

from .browsing import Inspector, shipped_server, started_browser

WORDS = "The room was not bad at all , but the service was slow and rude and we would not go back there again because of it "
TYPED = """(letter) => new Promise((done) => {
  const area = document.querySelector("#text"), began = performance.now();
  area.value += letter;
  area.dispatchEvent(new Event("input", { bubbles: true }));
  const look = () => document.querySelector("#main").dataset.shown === area.value
    ? requestAnimationFrame(() => done(performance.now() - began)) : setTimeout(look, 1);
  look();
})"""
EDITED = """(key) => new Promise((done) => {
  const main = document.querySelector("#main"), began = performance.now();
  document.querySelector(".gate-slider[data-t='9']").dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const look = () => main.getAttribute("aria-busy") === "false" ? done(performance.now() - began) : setTimeout(look, 1);
  look();
})"""
PAINTED = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"


def repeated(inspector: Inspector, script: str, inputs: str | list[str]) -> list[float]:
    """Milliseconds of each run, in order of size."""
    times = []
    for value in inputs:
        times.append(inspector.page.evaluate(script, value))
        inspector.page.wait_for_timeout(150)
    return sorted(times)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, shipped_server(Path(folder)) as client, started_browser() as browser:

        def new() -> Inspector:
            return Inspector(browser.new_page(viewport={"width": 1440, "height": 900}), client)

        paints = sorted(new().open(m="en-sentiment-lstm").page.evaluate(PAINTED) for _ in range(5))
        print(f"first paint: median {statistics.median(paints):.0f} ms")
        inspector = new().open(m="en-sentiment-lstm", x=WORDS, edit="true")
        typed = repeated(inspector, TYPED, "abcdefghijklmnopqrstuvwxyz")
        print(f"keystroke to repaint, all lanes: median {statistics.median(typed):.0f} ms, least {typed[0]:.0f} ms")
        edited = repeated(inspector, EDITED, ["Home", "End"] * 15)
        print(f"gate edit to new label: median {statistics.median(edited):.0f} ms, p95 {edited[-2]:.0f} ms")


if __name__ == "__main__":
    sys.exit(main())
