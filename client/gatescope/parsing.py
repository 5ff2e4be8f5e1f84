"""Bodies of answers -> answers: JSON, or safetensors with the JSON in its metadata; specs of arrays become tensors."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from .answers import Answer, MemoryAnswer, Raw, Step
from .reading import read
from .tensors import Array, Tensor, array_of, read_safetensors

SAFETENSORS = "application/vnd.safetensors"
T = TypeVar("T")

_STATE_AXES = ("layer", "direction", "timestep", "unit")


def parse(kind: type[T], content: bytes, media_type: str) -> T:
    """Raises: ValueError, TypeError or KeyError where the body is not an answer of this kind."""
    raw, arrays = read_safetensors(content) if media_type == SAFETENSORS else (json.loads(content), {})
    answer = read(kind, _with_tensors(kind, raw, arrays))
    return dataclasses.replace(answer, raw=raw) if isinstance(answer, Raw) else answer


def _with_tensors(kind: type[Any], raw: Any, arrays: Mapping[str, Array]) -> Any:
    if kind is Answer:
        return raw | {"results": [_result(r, f"r{n}.", arrays) for n, r in enumerate(raw["results"])]}
    if kind is Step:
        return {"result": _result(raw["results"][0], "r0.", arrays), **raw}
    if kind is MemoryAnswer:
        return raw | {"results": [_memory(r, f"r{n}.", arrays) for n, r in enumerate(raw["results"])]}
    return raw


def _result(raw: dict[str, Any], prefix: str, arrays: Mapping[str, Array]) -> dict[str, Any]:
    if "selection" not in raw:
        return raw
    selection, out = raw["selection"], dict(raw)
    places = {axis: tuple(selection[f"{axis}s"]) for axis in _STATE_AXES}
    out["tensors"] = {
        name: Tensor(name, _values(spec, prefix + name, arrays), _STATE_AXES, places)
        for name, spec in raw.get("tensors", {}).items()
    }
    if "reductions" in raw:
        out["reductions"] = {
            name: {statistic: _reduction(statistic, values, places) for statistic, values in found.items()}
            for name, found in raw["reductions"].items()
        }
    if "embedding" in raw:
        out["embedding"] = _by_timestep("embedding", "feature", _values(raw["embedding"], f"{prefix}embedding", arrays))
    if "token_scores" in raw:
        out["token_scores"] = {
            name: _by_timestep(name, "tag", _values(spec, prefix + name, arrays))
            for name, spec in raw["token_scores"].items()
        }
    return out


def _memory(raw: dict[str, Any], prefix: str, arrays: Mapping[str, Array]) -> dict[str, Any]:
    shown = tuple(raw["selection"]["timesteps"])
    measures = {}
    for name, spec in raw["measures"].items():
        values = _values(spec, prefix + name, arrays)
        if values.ndim == 2:
            places = {"timestep": shown, "source": shown}
            measures[name] = Tensor(name, values, ("timestep", "source"), places)
        else:
            measures[name] = Tensor(name, values, ("timestep",), {"timestep": tuple(range(len(values)))})
    return raw | {"measures": measures}


def _values(spec: Any, key: str, arrays: Mapping[str, Array]) -> Array:
    """Numbers that lie in the file under this key, or in the JSON: a list, or {"shape", "data"}."""
    if key in arrays:
        return arrays[key]
    return array_of(spec["data"], spec["shape"]) if isinstance(spec, dict) else array_of(spec)


def _reduction(statistic: str, values: Any, places: Mapping[str, tuple[Any, ...]]) -> Tensor:
    axes = ("layer", "direction", "timestep" if statistic == "norm" else "unit")
    return Tensor(statistic, array_of(values), axes, {axis: places[axis] for axis in axes})


def _by_timestep(name: str, second: str, values: Array) -> Tensor:
    places = {"timestep": tuple(range(values.shape[0])), second: tuple(range(values.shape[1]))}
    return Tensor(name, values, ("timestep", second), places)
