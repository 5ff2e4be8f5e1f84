"""Prediction -> bytes: JSON, base64 in JSON, safetensors or npz. Large answers are written off the event loop.

Tensors go to orjson and into the binary forms as ndarrays, never through lists. Scores and certificates are
never rounded; `decimals` is for tensors, embedding, token scores and reductions in JSON lists.
"""

import base64
import io
import zipfile
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from safetensors import TensorSpec, serialize

from models.inference.prediction import Entity, Inside, Prediction
from models.inference.predictor import Predictor
from models.text.tokens import Tokens
from models.text.vocabulary import UNKNOWN

from ..errors import AnswerTooLarge
from .schemas import OffsetUnit

JSON, SAFETENSORS, NPZ = "application/json", "application/vnd.safetensors", "application/x-npz"
MEDIA_TYPES = (JSON, SAFETENSORS, NPZ)
Form = Literal["json", "base64", "binary"]
Array = NDArray[np.float32]


_WORK: dict[Form, float] = {"json": 1.0, "base64": 0.1, "binary": 0.02}


class Style(NamedTuple):
    """The format of an answer. top_k None: every label."""

    media_type: str = JSON
    encoding: Literal["json", "base64"] = "json"
    decimals: int = 6
    offset_unit: OffsetUnit = "code_point"
    top_k: int | None = None

    @property
    def form(self) -> Form:
        return self.encoding if self.media_type == JSON else "binary"

    @property
    def work_per_value(self) -> float:
        """The cost of writing one number, relative to JSON."""
        return _WORK[self.form]

    @property
    def bytes_per_value(self) -> float:
        """Bytes of one number, about: ``0.123456,`` in JSON, 16/3 in base64, 4 in binary."""
        return {"json": self.decimals + 4.0, "base64": 16 / 3, "binary": 4.0}[self.form]


def check_size(values: int, style: Style, limit: int) -> None:
    """Raises: AnswerTooLarge, naming an encoding or a selection that would fit."""
    asked = int(values * style.bytes_per_value)
    if asked <= limit:
        return
    if values * 4 <= limit:
        hint = f"with 'Accept: {SAFETENSORS}' it takes {values * 4} bytes and fits"
    else:
        hint = (
            f"a selection of 1 in {-(-values * 4 // limit)} of the timesteps or units fits with 'Accept: {SAFETENSORS}'"
        )
    raise AnswerTooLarge(values, asked, limit, hint)


def answer(
    predictor: Predictor, predictions: Sequence[Prediction], usage: dict[str, Any], style: Style, texts: Sequence[str]
) -> bytes:
    """The whole answer in the style asked."""
    arrays: dict[str, Array] = {}
    results = [
        _result(predictor, p, style, text, f"r{n}", arrays)
        for n, (p, text) in enumerate(zip(predictions, texts, strict=True))
    ]
    checkpoint = predictor.checkpoint
    model = {"name": checkpoint.manifest.name, "weights_sha256": checkpoint.weights_sha256}
    return pack({"model": model, "results": results, "usage": usage}, arrays, style)


def pack(body: dict[str, Any], arrays: dict[str, Array], style: Style) -> bytes:
    """The answer as JSON, or as a binary file of the arrays with the JSON beside them."""
    response = dumps(body)
    if style.media_type == SAFETENSORS:
        return _safetensors(arrays, response)
    if style.media_type == NPZ:
        return _npz(arrays, response)
    return response


def dumps(value: Any) -> bytes:
    """JSON with ndarrays as nested lists and dataclasses as objects; NaN and infinity become null."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def _result(
    predictor: Predictor, p: Prediction, style: Style, text: str, key: str, arrays: dict[str, Array]
) -> dict[str, Any]:
    units = utf16_places(text) if style.offset_unit == "utf16" else None
    out: dict[str, Any] = {}
    if p.scores is not None:
        out["labels"] = [{"label": label, "score": score} for label, score in p.scores[: style.top_k]]
    if p.entities is not None:
        out["entities"] = [_entity(e, units) for e in p.entities]
    out["tokens"] = len(p.tokens)
    out["known_fraction"] = round(p.known_fraction, 4)
    if p.inside is not None:
        out["token_list"] = token_list(predictor, p.tokens, units)
        out |= inside(p.inside, style, key, arrays)
    return out


def _entity(e: Entity, units: NDArray[np.int64] | None) -> dict[str, Any]:
    start, end = places(e.start, e.end, units)
    return {"label": e.label, "text": e.text, "start": start, "end": end, "score": e.score}


def token_list(predictor: Predictor, tokens: Tokens, units: NDArray[np.int64] | None = None) -> list[dict[str, Any]]:
    """Every token with its id, its offsets, and whether it is in the vocabulary."""
    text, ids = tokens.text, predictor.vocabulary.ids(tokens.forms)
    return [
        {
            "index": n,
            "text": text[start:end],
            "id": i,
            "start": start if units is None else int(units[start]),
            "end": end if units is None else int(units[end]),
            "known": i != UNKNOWN,
        }
        for n, (start, end, i) in enumerate(zip(tokens.starts, tokens.ends, ids, strict=True))
    ]


def inside(shown: Inside, style: Style, key: str, arrays: dict[str, Array]) -> dict[str, Any]:
    def tensor(name: str, values: Array) -> dict[str, Any]:
        return {"dtype": "float32", "shape": list(values.shape), **data(values, style, f"{key}.{name}", arrays)}

    s = shown.selection
    out: dict[str, Any] = {
        "selection": {"layers": s.layers, "directions": s.directions, "timesteps": s.timesteps, "units": s.units},
        "tensors": {name: tensor(name, values) for name, values in shown.tensors.items()},
    }
    if shown.reductions is not None:
        out["reductions"] = {
            k: {n: rounded(v, style.decimals) for n, v in d.items()} for k, d in shown.reductions.items()
        }
    if shown.prefixes is not None:
        out["prefix"] = shown.prefixes
    if shown.embedding is not None:
        out["embedding"] = tensor("embedding", shown.embedding)
    if shown.emissions is not None and shown.marginals is not None:
        scores = {"emissions": shown.emissions, "marginals": shown.marginals}
        listed = style.form == "json"
        out["token_scores"] = {k: rounded(v, style.decimals) if listed else tensor(k, v) for k, v in scores.items()}
    return out | {"certificate": shown.certificate}


def data(values: Array, style: Style, key: str, arrays: dict[str, Array]) -> dict[str, Any]:
    if style.form == "binary":
        arrays[key] = values
        return {}
    if style.form == "base64":
        return {"data": base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()}
    return {"data": rounded(values, style.decimals)}


def rounded(values: NDArray[Any], decimals: int) -> NDArray[Any]:
    return np.ascontiguousarray(np.round(values, decimals))


def _safetensors(arrays: dict[str, Array], response: bytes) -> bytes:
    """The JSON answer is in the metadata. A contiguous array is copied once, into the answer."""
    contiguous = {key: np.ascontiguousarray(values, "<f4") for key, values in arrays.items()}
    specs = {
        key: TensorSpec(
            dtype="float32", shape=values.shape, data_ptr=values.__array_interface__["data"][0], data_len=values.nbytes
        )
        for key, values in contiguous.items()
    }
    file: bytes = serialize(specs, {"response": response.decode()})
    return file


def _npz(arrays: dict[str, Array], response: bytes) -> bytes:
    """The format of numpy.savez, plus the JSON answer as the member ``response.json``."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for key, values in arrays.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(values, "<f4"), allow_pickle=False)
        archive.writestr("response.json", response)
    return out.getvalue()


def utf16_places(text: str) -> NDArray[np.int64]:
    """For each code point offset the number of UTF-16 units before it."""
    widths = [2 if ord(c) > 0xFFFF else 1 for c in text]
    return np.concatenate([[0], np.cumsum(widths, dtype=np.int64)])


def places(start: int, end: int, units: NDArray[np.int64] | None) -> tuple[int, int]:
    return (start, end) if units is None else (int(units[start]), int(units[end]))
