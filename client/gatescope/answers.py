"""What a server answers, as dataclasses. Fields that were not asked for are None."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .tensors import Tensor


@dataclass(frozen=True)
class Raw:
    """What every answer has. raw: its JSON as it came; of a binary answer the arrays are not in it."""

    raw: Any = field(default=None, kw_only=True, repr=False, compare=False)


@dataclass(frozen=True)
class Label:
    label: str
    score: float


@dataclass(frozen=True)
class Entity:
    """text[start:end] of the input. final: of a stream, whether no later token can change it."""

    label: str
    text: str
    start: int
    end: int
    score: float
    final: bool | None = None


@dataclass(frozen=True)
class Token:
    """index: its timestep; id: in the model's vocabulary."""

    index: int
    text: str
    id: int
    start: int
    end: int
    known: bool


@dataclass(frozen=True)
class Selection:
    """What the axes of the tensors are."""

    layers: tuple[int, ...]
    directions: tuple[str, ...]
    timesteps: tuple[int, ...]
    units: tuple[int, ...]


@dataclass(frozen=True)
class Prefix:
    """Answers to the text cut after each token; from commit_timestep on the label never changes."""

    labels: tuple[str, ...]
    scores: tuple[float, ...]
    commit_timestep: int


@dataclass(frozen=True)
class Certificate:
    """recurrence_max_abs_error: the largest difference from the same step in float64."""

    recurrence_max_abs_error: float
    dtype: str
    device: str
    kernel: str


@dataclass(frozen=True, repr=False)
class Result:
    """The answer for one text. ``result["forget_gate"]`` is short for ``result.tensors["forget_gate"]``."""

    tokens: int
    known_fraction: float = 1.0
    labels: tuple[Label, ...] | None = None
    entities: tuple[Entity, ...] | None = None
    token_list: tuple[Token, ...] | None = None
    selection: Selection | None = None
    tensors: dict[str, Tensor] = field(default_factory=dict)
    reductions: dict[str, dict[str, Tensor]] | None = None
    prefix: Prefix | None = None
    embedding: Tensor | None = None
    token_scores: dict[str, Tensor] | None = None
    certificate: Certificate | None = None

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def __repr__(self) -> str:
        found = [f"{label.label} {label.score:.3f}" for label in (self.labels or ())[:2]]
        found += [f"{entity.label} {entity.text}" for entity in self.entities or ()]
        shown = f"; {', '.join(self.tensors)}" if self.tensors else ""
        return f"<Result of {self.tokens} tokens: {', '.join(found) or 'no entity'}{shown}>"

    @property
    def label(self) -> str | None:
        """A classifier's best label."""
        return self.labels[0].label if self.labels else None

    def to_dataframe(self) -> Any:
        """A `pandas.DataFrame`, a row for each layer, direction, timestep and unit, a column for each tensor."""
        import pandas as pd

        frame = pd.concat([tensor.to_dataframe() for tensor in self.tensors.values()], axis=1).reset_index()
        texts = [token.text for token in self.token_list or ()]
        frame.insert(0, "token", [texts[t] if t < len(texts) else None for t in frame["timestep"]])
        return frame

    def to_xarray(self) -> Any:
        """An `xarray.Dataset` of the tensors, with the tokens' texts as a coordinate of the timesteps."""
        import xarray

        data = xarray.Dataset({name: tensor.to_xarray() for name, tensor in self.tensors.items()})
        if self.token_list is None or self.selection is None:
            return data
        texts = [self.token_list[t].text for t in self.selection.timesteps]
        return data.assign_coords(token=("timestep", texts))

    def plot(self, tensor: str | None = None, layer: int = 0, direction: str = "forward") -> Any:
        """A heat map of one tensor, units against tokens, as matplotlib's Axes; matplotlib must be installed.

        tensor: by default the forget gate, of an RNN the hidden state.
        """
        from .plots import heat_map

        return heat_map(self, tensor, layer, direction)


@dataclass(frozen=True)
class Usage:
    tokens: int
    queue_ms: float
    compute_ms: float


@dataclass(frozen=True)
class ModelReference:
    name: str
    weights_sha256: str


@dataclass(frozen=True, repr=False)
class Answer(Raw):
    """Of predict and inspect: a result for each text, in their order.

    For a single text ``answer["forget_gate"]`` and ``answer.result`` are those of its result.
    """

    model: ModelReference
    results: tuple[Result, ...]
    usage: Usage

    def __repr__(self) -> str:
        return f"<Answer of {self.model.name}: {', '.join(map(repr, self.results[:3]))}{', ...' * (len(self) > 3)}>"

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Result]:
        return iter(self.results)

    def __getitem__(self, name: str) -> Tensor:
        return self.result[name]

    @property
    def result(self) -> Result:
        """Raises: ValueError where there are several."""
        if len(self.results) != 1:
            raise ValueError(f"the answer has {len(self.results)} results: take one of .results")
        return self.results[0]

    def plot(self, tensor: str | None = None, layer: int = 0, direction: str = "forward") -> Any:
        """See `Result.plot`."""
        return self.result.plot(tensor, layer, direction)


@dataclass(frozen=True)
class Step(Raw):
    """After a chunk of a stream.

    state: send it with the next chunk, to this server or another; timestep: tokens so far.
    """

    result: Result
    state: str
    timestep: int


@dataclass(frozen=True)
class Fading:
    """half_life_note: a sentence, why there is no half-life."""

    distance: tuple[int, ...]
    value: tuple[float, ...]
    half_life_tokens: float | None = None
    half_life_note: str | None = None


@dataclass(frozen=True)
class Memory:
    """measures: retention and mass [timestep, source], NaN where there is none; gradient_norm [timestep]."""

    token_list: tuple[Token, ...]
    measures: dict[str, Tensor]
    fading: Fading
    selection: Selection


@dataclass(frozen=True)
class MemoryAnswer(Raw):
    results: tuple[Memory, ...]


@dataclass(frozen=True)
class Attribution:
    """contributions: one a token, to `logit`; bias: the part that no token has, None where it is not defined."""

    token_list: tuple[Token, ...]
    target: str
    logit: float
    contributions: tuple[float, ...]
    bias: float | None
    completeness_error: float
    inflation: float
    warning: str | None
    method: str
    positions: str
    nodes: int | None = None
    permutations: int | None = None
    standard_error: tuple[float, ...] | None = None


@dataclass(frozen=True)
class AttributeAnswer(Raw):
    results: tuple[Attribution, ...]


@dataclass(frozen=True)
class Swept:
    index: int
    delta_logits: Any


@dataclass(frozen=True)
class InterveneAnswer(Raw):
    """delta_logits: intervened minus baseline, by label (NER: by token and tag)."""

    baseline: Result
    intervened: Result
    delta_logits: Any
    sweep: tuple[Swept, ...]


@dataclass(frozen=True)
class ComparedModel:
    name: str
    prediction: Result
    fading: Fading
    attribution: Attribution


@dataclass(frozen=True)
class CompareModelsAnswer(Raw):
    models: tuple[ComparedModel, ...]


@dataclass(frozen=True)
class CompareTextsAnswer(Raw):
    """aligned: pairs of tokens of a longest common subsequence; distance: of their states, pair by pair."""

    predictions: tuple[Result, ...]
    token_lists: tuple[tuple[Token, ...], ...]
    aligned: tuple[tuple[int, int], ...]
    distance: tuple[float, ...]


@dataclass(frozen=True)
class Top:
    input: int
    timestep: int
    value: float
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class TopAnswer(Raw):
    top: tuple[Top, ...]


@dataclass(frozen=True)
class Term:
    """One weight and the value that it multiplies; index is that of the value in x_t or h_{t-1}."""

    index: int
    weight: float
    value: float
    product: float


@dataclass(frozen=True)
class Terms:
    """total: of all `count` products; largest: as many as were asked; rest: the sum of the others."""

    count: int
    total: float
    largest: tuple[Term, ...]
    rest: float


@dataclass(frozen=True)
class GateSum:
    """preactivation = input.total + state.total + bias; value: the gate."""

    input: Terms
    state: Terms
    bias: float
    preactivation: float
    value: float


@dataclass(frozen=True)
class SumAnswer(Raw):
    """The sums of one unit at one token, by gate."""

    token: Token
    unit: int
    sums: dict[str, GateSum]


@dataclass(frozen=True)
class ModelInfo(Raw):
    name: str
    task: str
    cell: str
    language: str
    description: str
    layers: int
    directions: tuple[str, ...]
    units: int
    embedding_size: int
    vocabulary_size: int
    parameters: int
    labels: tuple[str, ...]
    max_tokens: int
    max_characters: int
    license: str
    training_data: str
    tensors: tuple[str, ...]
    streamable: bool
    analyses: tuple[str, ...]
    weights_sha256: str
    precision: str
    metrics: dict[str, float]
    temperature: float
    default_attribution: str
    default: bool
    label_names: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Broken:
    name: str
    reason: str


@dataclass(frozen=True)
class ModelList(Raw):
    models: tuple[ModelInfo, ...]
    broken: tuple[Broken, ...]


@dataclass(frozen=True)
class Readiness(Raw):
    ready: bool
    models: tuple[str, ...]
    broken: tuple[Broken, ...]


@dataclass(frozen=True)
class ServerInfo(Raw):
    name: str
    version: str
    device: str
    torch: str
    python: str
    models: tuple[str, ...]
    default_model: str | None
    limits: Mapping[str, int]
