"""The analyses' results -> JSON, and memory's matrices into the binary forms.

Contributions and norms are never rounded: they span many orders of magnitude.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.analysis.attribution import Attribution
from models.analysis.fading import Fading
from models.inference.analyst import Analyst, MemoryReport
from models.inference.prediction import Prediction, Prepared
from models.inference.predictor import Predictor

from .rendering import Array, Style, data, pack, places, token_list, utf16_places
from .schemas import OffsetUnit
from .schemas_analyses import Measure


def prediction(p: Prediction) -> dict[str, Any]:
    """As Predict answers it."""
    out: dict[str, Any] = {"tokens": len(p.tokens), "known_fraction": round(p.known_fraction, 4)}
    if p.scores is not None:
        out["labels"] = [{"label": label, "score": score} for label, score in p.scores]
    if p.entities is not None:
        out["entities"] = [
            {"label": e.label, "text": e.text, "start": e.start, "end": e.end, "score": e.score} for e in p.entities
        ]
    return out


def fading(fade: Fading) -> dict[str, Any]:
    return {
        "distance": fade.distance,
        "value": fade.value,
        "half_life_tokens": fade.half_life_tokens,
        "half_life_note": fade.half_life_note,
    }


def attribution(
    analyst: Analyst, text: Prepared, found: Attribution, offset_unit: OffsetUnit = "code_point"
) -> dict[str, Any]:
    """Fields of one method alone (nodes, permutations, standard_error) are there where they apply."""
    out = {
        "token_list": tokens_of(analyst.predictor, text, offset_unit),
        "target": analyst.outputs[found.output.index],
        "logit": found.logit,
        "contributions": found.contributions,
        "bias": found.bias,
        "completeness_error": found.completeness_error,
        "inflation": found.inflation,
        "warning": found.warning,
        "method": found.method,
        "positions": found.positions,
    }
    of_method = {"nodes": found.nodes, "permutations": found.permutations, "standard_error": found.standard_error}
    return {**out, **{name: value for name, value in of_method.items() if value is not None}}


def memory(
    predictor: Predictor,
    texts: Sequence[Prepared],
    found: Sequence[MemoryReport],
    measures: Sequence[Measure],
    style: Style,
) -> bytes:
    """The whole answer; matrices and norms go where the style puts tensors, keyed ``r{n}.{measure}``."""
    arrays: dict[str, Array] = {}
    results = []
    for n, (text, one) in enumerate(zip(texts, found, strict=True)):
        values: dict[Measure, NDArray[np.float64]] = {"gradient_norm": one.gradient_norm}
        values.update(one.matrices.items())
        count = sum(values[m].size for m in measures)
        s = one.selection
        results.append(
            {
                "token_list": tokens_of(predictor, text, style.offset_unit),
                "measures": {m: _measure(m, values[m], style, f"r{n}.{m}", arrays) for m in measures},
                "fading": fading(one.fading),
                "selection": {
                    "layers": s.layers,
                    "directions": s.directions,
                    "timesteps": s.timesteps,
                    "units": s.units,
                },
                "cost": {"values": count, "bytes": int(count * style.bytes_per_value)},
            }
        )
    return pack({"results": results}, arrays, style)


def largest(
    texts: Sequence[Prepared], values: Sequence[Array], top_k: int, offset_unit: OffsetUnit
) -> list[dict[str, Any]]:
    """The `top_k` largest values over all texts, largest first; of equal ones the earlier."""
    every = [(float(v), n, t) for n, row in enumerate(values) for t, v in enumerate(row)]
    every.sort(key=lambda found: (-found[0], found[1], found[2]))
    out = []
    for value, n, t in every[:top_k]:
        token = texts[n].tokens[t]
        units = utf16_places(texts[n].text) if offset_unit == "utf16" else None
        start, end = places(token.start, token.end, units)
        out.append({"input": n, "timestep": t, "value": value, "text": token.text, "start": start, "end": end})
    return out


def tokens_of(predictor: Predictor, text: Prepared, offset_unit: OffsetUnit) -> list[dict[str, Any]]:
    units = utf16_places(text.text) if offset_unit == "utf16" else None
    return token_list(predictor, text.tokens, units)


def _measure(measure: Measure, values: NDArray[np.float64], style: Style, key: str, arrays: dict[str, Array]) -> Any:
    """A nested list in JSON; a box with dtype and shape where the numbers are elsewhere or in base64."""
    if style.form == "json":
        return values if measure == "gradient_norm" else np.round(values, style.decimals)
    compact = values.astype(np.float32)
    return {"dtype": "float32", "shape": list(values.shape), **data(compact, style, key, arrays)}
