"""Files and frames: what is read is what was written, and what is broken is refused."""

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save

from gatescope.tensors import Tensor, array_of, read_safetensors


def tensor() -> Tensor:
    values = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    places = {"layer": (0,), "direction": ("forward", "reverse"), "timestep": (1, 3, 5), "unit": (0, 1, 2, 7)}
    return Tensor("hidden_state", values, tuple(places), places)


def test_a_tensor_is_an_array() -> None:
    assert np.asarray(tensor()).sum() == np.arange(24).sum()
    assert np.mean(tensor()) == 11.5  # type: ignore[call-overload]
    assert repr(tensor()) == "<Tensor hidden_state: layer 1, direction 2, timestep 3, unit 4>"


def test_a_frame_has_a_row_for_each_number() -> None:
    frame = tensor().to_dataframe()
    assert frame.loc[(0, "reverse", 5, 7), "hidden_state"] == 23
    assert len(frame) == 24


def test_a_safetensors_file_is_read_as_its_own_library_wrote_it() -> None:
    arrays = {"r0.a": np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32), "r1.b": np.zeros(0, np.float32)}
    response, found = read_safetensors(save(arrays, {"response": json.dumps({"results": []})}))
    assert response == {"results": []}
    for name, values in arrays.items():
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}},
        {"a": {"dtype": "F32", "shape": [2**33, 2**33], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [-2, -1], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}},
    ],
    ids=str,
)
def test_sizes_that_disagree_are_refused(header: dict[str, object]) -> None:
    text = json.dumps({"__metadata__": {"response": "{}"}, **header}).encode()
    with pytest.raises(ValueError, match=r"cannot lie at"):
        read_safetensors(struct.pack("<Q", len(text)) + text + b"\0" * 8)
    with pytest.raises(ValueError, match="header says"):
        read_safetensors(struct.pack("<Q", 1 << 60) + text)


def test_base64_and_lists_are_arrays() -> None:
    np.testing.assert_array_equal(array_of("AACAPwAAAEA=", [1, 2]), [[1, 2]])
    np.testing.assert_array_equal(array_of([[1, None]]), [[1, np.nan]])
