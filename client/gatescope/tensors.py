"""Arrays that know what their axes are, and the safetensors file in which a server sends them."""

import base64
import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Coordinate = int | str


@dataclass(frozen=True, eq=False)
class Tensor:
    """Numbers with named axes; `numpy.asarray(tensor)` and `tensor.values` are the plain array.

    name: what it is, "forget_gate"; values: float32; axes: a name for each axis of values, ("layer", "direction",
    "timestep", "unit"); coordinates: for each axis what its places are, {"unit": (3, 17)}.
    """

    name: str
    values: Array
    axes: tuple[str, ...]
    coordinates: Mapping[str, tuple[Coordinate, ...]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype, copy=copy)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def sel(self, **places: Coordinate) -> "Tensor":
        """The part at these coordinates, without their axes: ``sel(layer=0, direction="forward")``.

        Raises: KeyError for an axis or a coordinate that is not there.
        """
        index: list[Any] = [slice(None)] * len(self.axes)
        for axis, place in places.items():
            if axis not in self.axes:
                raise KeyError(f"{self.name} has no axis {axis!r}: its axes are {', '.join(self.axes)}")
            if place not in self.coordinates[axis]:
                raise KeyError(f"{self.name} has no {axis} {place!r}: it has {_listed(self.coordinates[axis])}")
            index[self.axes.index(axis)] = self.coordinates[axis].index(place)
        left = tuple(axis for axis in self.axes if axis not in places)
        return Tensor(self.name, self.values[tuple(index)], left, {axis: self.coordinates[axis] for axis in left})

    def to_xarray(self) -> Any:
        """An `xarray.DataArray` with the same axes and coordinates; xarray must be installed."""
        import xarray

        coordinates = {axis: list(places) for axis, places in self.coordinates.items()}
        return xarray.DataArray(self.values, coordinates, self.axes, self.name)

    def to_dataframe(self) -> Any:
        """A `pandas.DataFrame`, one row a number, indexed by the axes; pandas must be installed."""
        import pandas as pd

        index = pd.MultiIndex.from_product([self.coordinates[axis] for axis in self.axes], names=self.axes)
        return pd.DataFrame({self.name: self.values.ravel()}, index=index)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{axis} {size}" for axis, size in zip(self.axes, self.shape, strict=True))
        return f"<Tensor {self.name}: {sizes}>"


def read_safetensors(content: bytes) -> tuple[Any, dict[str, Array]]:
    """The JSON answer and the arrays of a server's safetensors file.

    Source: the safetensors format, an 8-byte little-endian length, a JSON header, then the numbers.
    Raises: ValueError where the file is none, holds something else than float32, or sizes disagree.
    """
    if len(content) < 8:
        raise ValueError("the file is shorter than its header")
    (length,) = struct.unpack("<Q", content[:8])
    if length > len(content) - 8:
        raise ValueError(f"the header says {length} bytes, and the file has {len(content)}")
    header, data = json.loads(content[8 : 8 + length]), memoryview(content)[8 + length :]
    response = json.loads(header.pop("__metadata__")["response"])
    return response, {name: _array(entry, data) for name, entry in header.items()}


def _array(entry: Mapping[str, Any], data: memoryview) -> Array:
    shape, (start, end) = tuple(entry["shape"]), entry["data_offsets"]
    fits = all(size >= 0 for size in shape) and math.prod(shape) * 4 == end - start and 0 <= start <= end <= len(data)
    if entry["dtype"] != "F32" or not fits:
        raise ValueError(f"an array of {entry['dtype']} {list(shape)} cannot lie at {start}..{end} of {len(data)}")
    return np.frombuffer(data[start:end], "<f4").reshape(shape)


def array_of(data: Any, shape: Sequence[int] | None = None) -> Array:
    """Nested lists, null as NaN, or base64 of little-endian float32 with its shape."""
    if isinstance(data, str):
        return np.frombuffer(base64.b64decode(data, validate=True), "<f4").reshape(shape or -1)
    return np.array(data, dtype=np.float32)


def _listed(places: Sequence[Coordinate]) -> str:
    return ", ".join(map(str, places[:8])) + (", ..." if len(places) > 8 else "")
