"""manifest.json, field by field: what a weights folder says of itself. `weights/README.md` explains it to people."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..network.network import Reads, Task
from ..recurrence.cells import Cell
from ..recurrence.layer import Direction
from ..text.features import GAP_ROWS, FeatureKind

FORMAT: Literal["gatescope-checkpoint-1"] = "gatescope-checkpoint-1"
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"  # of a model, and of its folder
Name = Annotated[str, Field(pattern=f"^{NAME}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


class FeatureEntry(_Strict):
    """One table of x_t, in the order in which they stand in x_t."""

    kind: FeatureKind
    rows: Annotated[int, Field(ge=2, le=5_000_000)]
    dimension: Annotated[int, Field(ge=1, le=4096)]
    vocabulary: str | None = None

    @model_validator(mode="after")
    def _vocabulary_where_needed(self) -> "FeatureEntry":
        if (self.kind in ("token", "bigram")) != (self.vocabulary is not None):
            raise ValueError(f"feature {self.kind!r}: token and bigram name a vocabulary, the others have none")
        return self


class Manifest(_Strict):
    format: Literal["gatescope-checkpoint-1"] = FORMAT
    name: Name
    task: Task
    cell: Cell
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
    description: str
    tokenizer: Literal["characters", "words", "mixed"]
    features: Annotated[tuple[FeatureEntry, ...], Field(min_length=1, max_length=6)]
    layers: Annotated[int, Field(ge=1, le=16)]
    directions: tuple[Direction, ...]
    units: Annotated[int, Field(ge=1, le=4096)]
    reads: Reads = "last_state"
    labels: str = "labels.txt"
    label_names: dict[str, str] = {}
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 4096
    max_characters: Annotated[int, Field(ge=1, le=10_000_000)] = 20000
    temperature: Annotated[float, Field(gt=0, le=100)] = 1.0
    license: str
    training_data: str
    metrics: dict[str, float]
    default_attribution: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")] | None = None
    sha256: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]

    @model_validator(mode="after")
    def _consistent(self) -> "Manifest":
        if self.directions not in (("forward",), ("forward", "reverse")):
            raise ValueError(f"directions is {list(self.directions)}, allowed: [forward] or [forward, reverse]")
        kinds = [f.kind for f in self.features]
        if len(set(kinds)) != len(kinds):
            raise ValueError(f"a feature stands twice: {kinds}")
        if any(f.kind == "gap" and f.rows != GAP_ROWS for f in self.features):
            raise ValueError(f"the feature 'gap' has {GAP_ROWS} rows in every model")
        if kinds[0] != "token":
            raise ValueError(f"the first feature is {kinds[0]!r}: it is 'token' in every model")
        if self.task == "token-classification" and self.reads != "last_state":
            raise ValueError("a tagger reads each step's state: 'reads' is for classifiers")
        return self
