"""A stream's answers -> JSON. Offsets and timesteps count from the beginning of the whole text."""

from typing import Any

from models.inference.predictor import Predictor
from models.inference.turns import Answer, Step
from models.text.vocabulary import UNKNOWN

from .rendering import Style, inside


def stream_result(predictor: Predictor, step: Step, answer: Answer, style: Style) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if answer.scores is not None:
        out["labels"] = [{"label": label, "score": score} for label, score in answer.scores]
    if answer.entities is not None:
        out["entities"] = [
            {
                "label": e.label,
                "text": e.text,
                "start": _place(step, e.start, style),
                "end": _place(step, e.end, style),
                "score": e.score,
                "final": e.final,
            }
            for e in answer.entities
        ]
    out["tokens"] = answer.timestep
    out["known_fraction"] = round(answer.known_fraction, 4)
    if answer.inside is not None:
        out["token_list"] = _token_list(predictor, step, answer, style)
        out |= inside(answer.inside, style, "r0", {})
    return out


def _token_list(predictor: Predictor, step: Step, answer: Answer, style: Style) -> list[dict[str, Any]]:
    assert answer.inside is not None
    tokens, before, origin = step.turn.tokens, step.turn.state.timestep, step.turn.chunk.origin
    ids = predictor.vocabulary.ids(tokens.forms)
    return [
        {
            "index": t,
            "text": tokens[t - before].text,
            "id": ids[t - before],
            "start": _place(step, tokens.starts[t - before] + origin, style),
            "end": _place(step, tokens.ends[t - before] + origin, style),
            "known": ids[t - before] != UNKNOWN,
        }
        for t in answer.inside.selection.timesteps
    ]


def _place(step: Step, place: int, style: Style) -> int:
    return step.excerpt.utf16_place(place) if style.offset_unit == "utf16" else place
