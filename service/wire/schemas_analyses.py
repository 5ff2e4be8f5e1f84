"""The wire of the analyses: requests and answers. No torch here either."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from .schemas import EntityOut, Index, InputsRequest, LabelScore, SelectionOut, StrictRequest, Timesteps, TokenOut

Measure = Literal["retention", "mass", "gradient_norm"]


class Window(StrictRequest):
    timesteps: Timesteps | None = Field(None, description="rows and columns; by default the last 256")
    units: list[Index] | None = Field(None, description="averaged (retention) or summed (mass) over; by default all")


class MemoryRequest(InputsRequest):
    layer: Index = 0
    direction: str = "forward"
    measures: list[Measure] | None = Field(None, description="by default all that the cell has")
    select: Window | None = None
    encoding: Literal["json", "base64"] = "json"
    decimals: Annotated[int, Field(ge=0, le=9)] = 6


class AttributeRequest(InputsRequest):
    target: str | None = Field(None, description="a label (NER: a tag); by default the predicted one")
    timestep: Index | None = Field(None, description="NER: whose output is taken apart")
    method: str | None = Field(None, description="by default the model's default_attribution")
    permutations: Annotated[int, Field(ge=1)] | None = Field(None, description="shapley: how many, an even number")
    wanted_error: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=False)] | None = Field(
        None, description="shapley: permutations are added until every token's standard error is below it"
    )


class Change(StrictRequest):
    """What is changed, and how. Within a step: gates, then the cell state, then the hidden state."""

    target: str
    layer: Index = 0
    direction: str = "forward"
    timesteps: list[Index] | Literal["all"] = "all"
    units: list[Index] | Literal["all"] = "all"
    op: Literal["set", "add", "scale", "zero"]
    value: Annotated[float, Field(allow_inf_nan=False, strict=False)] = 0.0


class Sweep(Change):
    over: Literal["units", "timesteps"]


class InterveneRequest(StrictRequest):
    input: str
    interventions: list[Change] = Field(max_length=64)
    sweep: Sweep | None = None


class CompareModelsRequest(StrictRequest):
    input: str
    models: list[str] = Field(min_length=1, max_length=8)
    method: str | None = Field(None, description="of attribution; by default the first model's default_attribution")


class CompareTextsRequest(StrictRequest):
    inputs: list[str] = Field(min_length=2, max_length=2)


class TopRequest(InputsRequest):
    tensor: str = "hidden_state"
    top_k: Annotated[int, Field(ge=1, le=1000)] = 10


class RenderRequest(StrictRequest):
    input: str
    view: str
    layer: Index | None = None
    direction: str | None = None
    target: str | None = None
    timestep: Index | None = None
    timesteps: Timesteps | None = None
    units: list[Index] | None = None
    language: Literal["en", "zh"] = "en"


class FadingOut(BaseModel):
    distance: list[int] = Field(description="tokens from the last one")
    value: list[float] = Field(description="gradient_norm there")
    half_life_tokens: float | None = Field(description="of the line through log value; null where nothing fades")
    half_life_note: str | None = Field(None, description="a sentence: why half_life_tokens is null")


class Cost(BaseModel):
    values: int
    bytes: int


class MemoryResult(BaseModel):
    token_list: list[TokenOut]
    measures: dict[str, Any] = Field(description="retention, mass: row t, column s; gradient_norm: one a token")
    fading: FadingOut
    selection: SelectionOut
    cost: Cost


class MemoryAnswer(BaseModel):
    results: list[MemoryResult]


class AttributionOut(BaseModel):
    token_list: list[TokenOut]
    target: str
    logit: float = Field(description="before the temperature")
    contributions: list[float]
    bias: float | None
    completeness_error: float = Field(description="|sum of contributions + bias - logit|")
    inflation: float = Field(description="sum of |contributions| / max(|logit - bias|, 0.1)")
    warning: str | None = Field(description="a sentence where inflation is over 30")
    method: str
    positions: Literal["tokens", "top_layer_input"]
    nodes: int | None = Field(None, description="integrated_gradients: points at which gradients were taken")
    permutations: int | None = Field(None, description="shapley")
    standard_error: list[float] | None = Field(None, description="shapley: one a token")


class AttributeAnswer(BaseModel):
    results: list[AttributionOut]


class PredictionOut(BaseModel):
    labels: list[LabelScore] | None = None
    entities: list[EntityOut] | None = None
    tokens: int


class SweptOut(BaseModel):
    index: int
    delta_logits: Any


class InterveneAnswer(BaseModel):
    baseline: PredictionOut
    intervened: PredictionOut
    delta_logits: Any = Field(description="intervened minus baseline, by label (NER: by token and tag)")
    sweep: list[SweptOut]


class ComparedModel(BaseModel):
    name: str
    prediction: PredictionOut
    fading: FadingOut
    attribution: AttributionOut


class CompareModelsAnswer(BaseModel):
    models: list[ComparedModel]


class CompareTextsAnswer(BaseModel):
    predictions: list[PredictionOut]
    token_lists: list[list[TokenOut]]
    aligned: list[tuple[int, int]] = Field(description="a longest common subsequence of the tokens")
    distance: list[float] = Field(description="L2 of the top layer's states, pair by pair")


class TopOut(BaseModel):
    input: int
    timestep: int
    value: float
    text: str
    start: int
    end: int


class TopAnswer(BaseModel):
    top: list[TopOut]
