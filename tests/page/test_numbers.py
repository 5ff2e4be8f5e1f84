"""Every number on the page is the API's: each says where it comes from, and here all of them are looked up there."""

import json
from functools import cache
from typing import Any

import pytest

from .browsing import Inspector

DERIVED = ("product", "zero")  # of numbers that are checked themselves; the wires' are held against each other below
FORGET = (
    '[{"target":"forget_gate","layer":0,"direction":"forward","timesteps":[12],"units":"all","op":"set","value":0}]'
)
STATES = [
    {"m": "zh-sentiment-lstm", "lang": "zh", "t": 8},
    {"m": "zh-sentiment-lstm", "lang": "zh", "c": "true", "t": 12},
    {"m": "zh-sentiment-rnn", "lang": "zh", "t": 3},
    {"m": "en-sentiment-lstm", "t": 0, "edit": "true", "e": FORGET},
    {"m": "en-sentiment-bilstm", "d": "reverse", "t": 5},
    {"m": "zh-ner-lstm", "lang": "zh", "t": 6},
    {"m": "en-ner-bilstm", "t": 2},
]
GATES = ["hidden_state", "cell_state", "input_gate", "forget_gate", "cell_gate", "output_gate"]


class Lookup:
    """`question/pointer`, as the page writes it -> the number in an answer that is asked for here."""

    def __init__(self, inspector: Inspector, text: str, texts: list[str], edits: list[Any]) -> None:
        self.inspector, self.text, self.texts, self.edits = inspector, text, texts, edits
        self.answer = cache(self._answer)

    def __call__(self, origin: str) -> float:
        question, *pointer = origin.split("/")
        kind, model, *place = question.split(":")
        if kind == "share":
            step, s = map(int, pointer)
            row = [mass or 0 for mass in self.answer("memory", model, *place)["measures"]["mass"][step]]
            return row[s] / sum(row)
        found = self.answer(kind, model, *place)
        if pointer[0] == "tensors":
            _, name, t, unit = pointer
            return float(found["tensors"][name]["data"][0][0][int(t)][int(unit)])
        for key in pointer:
            found = found[int(key)] if isinstance(found, list) else found[key]
        return float(found)

    def _answer(self, kind: str, model: str, *place: str) -> Any:
        ask, route = self.inspector.ask, f"models/{model}"
        if kind == "inspect":
            layer, direction = place or ("0", "forward")
            tagger, rnn = "ner" in model, model.endswith("rnn")
            options = {"token_scores": True} if tagger else {"prefix_predictions": True}
            select = {"layers": [int(layer)], "directions": [direction]}
            tensors = GATES[:1] if rnn else GATES
            reduce = ["mean"] if rnn else ["half_life"]
            body = {
                "inputs": self.text,
                "select": select,
                "tensors": tensors,
                "reduce": reduce,
                "decimals": 9,
                **options,
            }
            return ask(f"{route}/inspect", **body)["results"][0]
        if kind == "predict":
            return ask(f"{route}/predict", inputs=self.text)["results"][0]
        if kind == "memory":
            where = {"layer": int(place[0]), "direction": place[1]} if place else {}
            return ask(f"{route}/memory", inputs=self.text, decimals=9, **where)["results"][0]
        if kind == "intervene":
            return ask(f"{route}/intervene", input=self.text, interventions=self.edits)
        if kind == "top":
            direction = "reverse" if self.inspector.page.url.count("d=reverse") else "forward"
            return ask(f"{route}/units/0/{direction}/{place[0]}/top", inputs=self.texts, top_k=6)
        assert kind == "sum", kind
        return ask(f"{route}/units/0/forward/{place[0]}/sum", input=self.text, timestep=int(place[1]), terms=5)


def close(shown: str, value: float, form: str, digits: int) -> bool:
    """As written, up to one step of the last digit: JSON's decimals are rounded before the page rounds."""
    if form == "power":
        return float(shown) == pytest.approx(value, rel=0.06)
    unit = 10.0**-digits
    found = float(shown.removesuffix(" %"))
    return abs(found - (100 * value if form == "percent" else value)) <= 0.5001 * unit + 1e-6


@pytest.mark.parametrize("state", STATES, ids=lambda s: f"{s['m']}{'-compared' if 'c' in s else ''}")
def test_every_number_is_the_apis(inspector: Inspector, state: dict[str, Any]) -> None:
    inspector.open(**state)
    page = inspector.page
    if state["m"].endswith("lstm") and "bi" not in state["m"] and "ner" not in state["m"] and "c" not in state:
        page.click(".layer[data-gate=input_gate]")
        page.wait_for_selector(".sum table")
    page.wait_for_selector("#contexts li")
    text = page.input_value("#text")
    texts = [text, *(t for t in page.locator(".example").all_inner_texts() if t != text)]
    look_up = Lookup(inspector, text, texts, json.loads(state.get("e", "[]")))
    numbers = page.evaluate(
        "() => [...document.querySelectorAll('[data-from]')].map((e) => "
        "[e.dataset.from, e.dataset.format, Number(e.dataset.digits), e.textContent])"
    )
    checked = 0
    for origin, form, digits, shown in numbers:
        if origin in DERIVED:
            continue
        value = look_up(origin)
        assert close(shown.replace("−", "-"), value, form, digits), (origin, shown, value)
        checked += 1
    assert checked >= 16, checked


def test_the_wires_of_the_cell_add_up(inspector: Inspector) -> None:
    """f * c + i * g = c' and o * tanh(c') = h', on the numbers as they are drawn."""
    for t in (0, 7, 20):
        inspector.open(lang="zh", m="zh-sentiment-lstm", t=t)
        texts = inspector.page.locator("svg.cell text.value").all_text_contents()
        f, i, g, o, c0, c, kept, put, squashed, _, h = (float(text.split()[-1].replace("−", "-")) for text in texts)
        assert kept == pytest.approx(f * c0, abs=0.02)
        assert put == pytest.approx(i * g, abs=0.02)
        assert c == pytest.approx(kept + put, abs=0.011)
        assert h == pytest.approx(o * squashed, abs=0.02)
        inspector.page.goto("about:blank")
