"""Client of a gatescope server: recurrent text models over HTTP, their states and gates as numpy arrays.

import gatescope

gates = gatescope.Client().inspect("酒店服务一点也不好")
gates["forget_gate"].sel(layer=0, direction="forward").values.mean(axis=1)
"""

from . import errors
from .answers import (
    Answer,
    AttributeAnswer,
    Attribution,
    CompareModelsAnswer,
    CompareTextsAnswer,
    InterveneAnswer,
    MemoryAnswer,
    ModelInfo,
    ModelList,
    Result,
    ServerInfo,
    Step,
    SumAnswer,
    TopAnswer,
)
from .clients import AsyncClient, Client
from .errors import ProblemError, UnexpectedAnswer, UnwritableRequest
from .tensors import Tensor

__all__ = [
    "Answer",
    "AsyncClient",
    "AttributeAnswer",
    "Attribution",
    "Client",
    "CompareModelsAnswer",
    "CompareTextsAnswer",
    "InterveneAnswer",
    "MemoryAnswer",
    "ModelInfo",
    "ModelList",
    "ProblemError",
    "Result",
    "ServerInfo",
    "Step",
    "SumAnswer",
    "Tensor",
    "TopAnswer",
    "UnexpectedAnswer",
    "UnwritableRequest",
    "errors",
]
