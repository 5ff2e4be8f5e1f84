"""The bytes of the Open Inference Protocol v2 (KServe, Triton), its binary-tensor extension included.

A binary body is JSON, whose length stands in a header, followed by the tensors' bytes in order. Every length and count
in it is a claim: it is held against what is there before anything is allocated.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import Field

from ..errors import InvalidRequest
from .schemas import StrictRequest

HEADER_LENGTH = "inference-header-content-length"


class InputParameters(StrictRequest):
    binary_data_size: int | None = Field(None, ge=0, description="bytes of this tensor after the JSON")


class InputTensor(StrictRequest):
    name: str
    shape: list[int] = Field(max_length=8)
    datatype: str
    parameters: InputParameters = InputParameters()
    data: list[Any] | None = None


class OutputParameters(StrictRequest):
    binary_data: bool | None = None


class OutputRequest(StrictRequest):
    name: str
    parameters: OutputParameters = OutputParameters()


class InferParameters(StrictRequest):
    binary_data_output: bool = False
    timeout: int | None = Field(None, ge=1, description="microseconds")
    priority: int | None = None


class InferRequest(StrictRequest):
    """Inputs: one tensor ``text`` of BYTES [n]. Outputs: the model's default ones where none are named."""

    id: str | None = None
    model_name: str | None = Field(None, description="kserve's client repeats the path's")
    model_version: str | None = None
    inputs: list[InputTensor] = Field(min_length=1, max_length=1)
    outputs: list[OutputRequest] | None = Field(None, max_length=64)
    parameters: InferParameters = InferParameters()

    def is_binary(self, output: str) -> bool:
        for asked in self.outputs or ():
            if asked.name == output and asked.parameters.binary_data is not None:
                return asked.parameters.binary_data
        return self.parameters.binary_data_output


class IndexRequest(StrictRequest):
    ready: bool = Field(False, description="only models that are served")


class _NoParameters(StrictRequest):
    pass


class LoadRequest(StrictRequest):
    """Triton's ``config`` and ``file:...`` are refused: what a model is stands in its folder, and nothing else."""

    parameters: _NoParameters = _NoParameters()


class _UnloadParameters(StrictRequest):
    unload_dependents: bool = Field(False, description="no model has any")


class UnloadRequest(StrictRequest):
    parameters: _UnloadParameters = _UnloadParameters()


@dataclass(frozen=True)
class OutputTensor:
    """values: float32 of any shape, or texts of shape [n]."""

    name: str
    values: NDArray[np.float32] | Sequence[str]

    @property
    def datatype(self) -> Literal["FP32", "BYTES"]:
        return "FP32" if isinstance(self.values, np.ndarray) else "BYTES"

    @property
    def shape(self) -> list[int]:
        return list(self.values.shape) if isinstance(self.values, np.ndarray) else [len(self.values)]

    @property
    def data(self) -> Any:
        return np.ascontiguousarray(self.values).ravel() if isinstance(self.values, np.ndarray) else list(self.values)

    @property
    def raw(self) -> bytes:
        if isinstance(self.values, np.ndarray):
            return np.ascontiguousarray(self.values, "<f4").tobytes()
        encoded = [text.encode() for text in self.values]
        return b"".join(struct.pack("<I", len(text)) + text for text in encoded)


def split(body: bytes, header_length: str | None) -> tuple[bytes, bytes]:
    """(the JSON, the tensors' bytes).

    Raises: InvalidRequest for a length that is no number or more than the body has.
    """
    if header_length is None:
        return body, b""
    if not (header_length.isascii() and header_length.isdigit() and len(header_length) <= 12):
        raise InvalidRequest(f"{HEADER_LENGTH} is {header_length[:20]!r}: send the number of bytes of the JSON")
    length = int(header_length)
    if length > len(body):
        raise InvalidRequest(f"{HEADER_LENGTH} is {length} and the body has {len(body)} bytes: send the JSON's length")
    return body[:length], body[length:]


def texts_of(request: InferRequest, raw: bytes) -> list[str]:
    """The texts of the input ``text``.

    Raises: InvalidRequest where name, datatype, shape, counts and sizes disagree with each other or with the body.
    """
    (tensor,) = request.inputs
    if (tensor.name, tensor.datatype) != ("text", "BYTES"):
        found = f"{tensor.name[:64]!r} of {tensor.datatype[:16]}"
        raise InvalidRequest(f"the input is {found}: send one input 'text' of BYTES, shape [number of texts]")
    if len(tensor.shape) != 1 or tensor.shape[0] < 1:
        raise InvalidRequest(f"the shape of text is {_brief(tensor.shape)}: send [number of texts], 1 or more")
    size = tensor.parameters.binary_data_size
    if (size is None) == (tensor.data is None):
        raise InvalidRequest("text needs either data or a binary_data_size, and has both or neither: send one of them")
    if size is None:
        if raw:
            raise InvalidRequest(f"{len(raw)} bytes follow the JSON and no input names them: send a binary_data_size")
        return _listed(tensor.data or [], tensor.shape[0])
    if size != len(raw):
        raise InvalidRequest(f"binary_data_size is {size} and {len(raw)} bytes follow the JSON: let them be equal")
    return _unpacked(raw, tensor.shape[0])


def encode(head: dict[str, Any], outputs: Sequence[OutputTensor], request: InferRequest) -> tuple[bytes, int | None]:
    """The answer's body, and the length of its JSON where tensors follow it as bytes."""
    described, blobs = [], []
    for output in outputs:
        entry: dict[str, Any] = {"name": output.name, "datatype": output.datatype, "shape": output.shape}
        if request.is_binary(output.name):
            blobs.append(output.raw)
            entry["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            entry["data"] = output.data
        described.append(entry)
    if request.id is not None:
        head = {**head, "id": request.id}
    json = orjson.dumps({**head, "outputs": described}, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join([json, *blobs]), len(json)) if blobs else (json, None)


def _listed(data: list[Any], count: int) -> list[str]:
    """Flat or nested, as the protocol allows."""
    while len(data) == 1 and isinstance(data[0], list):
        data = data[0]
    if any(not isinstance(text, str) for text in data):
        raise InvalidRequest("an element of text's data is no string: every element is a string")
    if len(data) != count:
        raise InvalidRequest(f"the shape of text is [{count}] and its data has {len(data)}: let them be equal")
    return data


def _unpacked(raw: bytes, count: int) -> list[str]:
    texts: list[str] = []
    at = 0
    while at < len(raw):
        if len(texts) == count or at + 4 > len(raw):
            raise InvalidRequest(f"text's bytes go on after element {len(texts)} of {count}: let shape and bytes agree")
        (length,) = struct.unpack_from("<I", raw, at)
        at += 4
        if length > len(raw) - at:
            raise InvalidRequest(
                f"element {len(texts)} of text has {length} bytes by its prefix, {len(raw) - at} are there"
            )
        try:
            texts.append(raw[at : at + length].decode())
        except UnicodeDecodeError:
            raise InvalidRequest(f"element {len(texts)} of text is not UTF-8: encode it so") from None
        at += length
    if len(texts) != count:
        raise InvalidRequest(f"the shape of text is [{count}] and its bytes hold {len(texts)}: let them be equal")
    return texts


def _brief(value: Any) -> str:
    return repr(value)[:60]
