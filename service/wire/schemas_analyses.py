"""The wire of the analyses: requests and answers. No torch here either."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from .schemas import (
    Direction,
    EntityOut,
    Index,
    InputsRequest,
    LabelScore,
    SelectionOut,
    StrictRequest,
    TensorName,
    Timesteps,
    TokenOut,
)

Measure = Literal["retention", "mass", "gradient_norm"]


class Window(StrictRequest):
    timesteps: Timesteps | None = Field(None, description="rows and columns; by default the last 256")
    units: list[Index] | None = Field(None, description="averaged (retention) or summed (mass) over; by default all")


class MemoryRequest(InputsRequest):
    layer: Index = Field(0, description="of retention and mass, from 0")
    direction: Direction = Field("forward", description="of retention and mass")
    measures: list[Measure] | None = Field(None, description="by default all that the cell has")
    select: Window | None = Field(None, description="which timesteps and units")
    encoding: Literal["json", "base64"] = Field("json", description="nested lists, or little-endian float32 in base64")
    decimals: Annotated[int, Field(ge=0, le=9)] = Field(6, description="of retention and mass in JSON lists")


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

    target: TensorName = Field(description="the tensor that is changed; an RNN has hidden_state alone")
    layer: Index = Field(0, description="from 0")
    direction: Direction = Field("forward", description="of the layer")
    timesteps: list[Index] | Literal["all"] = Field("all", description="from 0, each once")
    units: list[Index] | Literal["all"] = Field("all", description="from 0, each once")
    op: Literal["set", "add", "scale", "zero"] = Field(description="what is done with value; zero takes none")
    value: Annotated[float, Field(allow_inf_nan=False, strict=False)] = Field(0.0, description="of set, add and scale")


class Sweep(Change):
    """A change that is made at each unit, or at each timestep, alone."""

    over: Literal["units", "timesteps"] = Field(description="what it runs over: leave that field of the change out")


class InterveneRequest(StrictRequest):
    input: str = Field(description="one text")
    interventions: list[Change] = Field(max_length=64, description="made together; may be empty beside a sweep")
    sweep: Sweep | None = Field(None, description="one more change, made at each unit or timestep on top of the others")


class CompareModelsRequest(StrictRequest):
    input: str = Field(description="one text")
    models: list[str] = Field(min_length=1, max_length=8, description="names, each once")
    method: str | None = Field(None, description="of attribution; by default the first model's default_attribution")


class CompareTextsRequest(StrictRequest):
    inputs: list[str] = Field(min_length=2, max_length=2, description="two texts")


class TopRequest(InputsRequest):
    tensor: TensorName = Field("hidden_state", description="which is looked at; an RNN has hidden_state alone")
    top_k: Annotated[int, Field(ge=1, le=1000)] = Field(10, description="how many tokens")


class SumRequest(StrictRequest):
    input: str = Field(description="one text")
    timestep: Index = Field(description="at which the gates are taken apart")
    terms: Index | None = Field(8, description="of x_t and of h_{t-1}, how many stand one by one; null: all")


class RenderRequest(StrictRequest):
    input: str = Field(description="one text")
    view: str = Field(description="what is drawn; a field that the view has no use for is an error")
    layer: Index | None = Field(None, description="from 0; by default 0")
    direction: Direction | None = Field(None, description="of the layer; by default forward")
    target: str | None = Field(None, description="of an attribution: a label (NER: a tag); default: the predicted one")
    timestep: Index | None = Field(None, description="of the cell, and of an NER attribution; from 0")
    timesteps: Timesteps | None = Field(None, description="a slice; by default all, or as many as can be read")
    units: list[Index] | None = Field(None, description="from 0; by default those that the view chooses")
    language: Literal["en", "zh"] = Field("en", description="of titles and axes")


class FadingOut(BaseModel):
    distance: list[int] = Field(description="tokens from the last one")
    value: list[float] = Field(description="gradient_norm there")
    half_life_tokens: float | None = Field(description="of the line through log value; null where nothing fades")
    half_life_note: str | None = Field(None, description="a sentence: why half_life_tokens is null")


class Cost(BaseModel):
    values: int = Field(description="numbers in the measures")
    bytes: int = Field(description="that they take in this answer's form")


class MemoryResult(BaseModel):
    token_list: list[TokenOut] = Field(description="every token of the text")
    measures: dict[str, Any] = Field(
        description="retention, mass: row t, column s, null where s has not been read by t; gradient_norm: one a token"
    )
    fading: FadingOut = Field(description="gradient_norm against distance")
    selection: SelectionOut = Field(description="rows and columns of retention and mass")
    cost: Cost = Field(description="how large the measures are")


class MemoryAnswer(BaseModel):
    results: list[MemoryResult] = Field(description="one for each text, in the order of inputs")


class AttributionOut(BaseModel):
    token_list: list[TokenOut] = Field(description="every token of the text")
    target: str = Field(description="the label (NER: the tag) whose logit it is")
    logit: float = Field(description="before the temperature")
    contributions: list[float] = Field(description="to the logit, one a token")
    bias: float | None = Field(description="the part of the logit that no token has; null where it is not defined")
    completeness_error: float = Field(description="|sum of contributions + bias - logit|")
    inflation: float = Field(description="sum of |contributions| / max(|logit - bias|, 0.1)")
    warning: str | None = Field(description="a sentence where inflation is over 30")
    method: str = Field(description="the one that answered")
    positions: Literal["tokens", "top_layer_input"] = Field(description="what the contributions belong to")
    nodes: int | None = Field(None, description="integrated_gradients: points at which gradients were taken")
    permutations: int | None = Field(None, description="shapley")
    standard_error: list[float] | None = Field(None, description="shapley: one a token")


class AttributeAnswer(BaseModel):
    results: list[AttributionOut] = Field(description="one for each text, in the order of inputs")


class PredictionOut(BaseModel):
    labels: list[LabelScore] | None = Field(None, description="classifiers: best first")
    entities: list[EntityOut] | None = Field(None, description="NER: in text order, without overlap")
    tokens: int = Field(description="how many the text has")
    known_fraction: float = Field(description="share of the tokens that are in the vocabulary")


class SweptOut(BaseModel):
    index: int = Field(description="of the unit or timestep")
    delta_logits: Any = Field(description="with the change at this index alone")


class InterveneAnswer(BaseModel):
    baseline: PredictionOut = Field(description="without any change")
    intervened: PredictionOut = Field(description="with the interventions")
    delta_logits: Any = Field(description="intervened minus baseline, by label (NER: by token and tag)")
    sweep: list[SweptOut] = Field(description="one for each unit or timestep; empty without a sweep")


class ComparedModel(BaseModel):
    name: str = Field(description="of the model")
    prediction: PredictionOut = Field(description="as predict answers it")
    fading: FadingOut = Field(description="gradient_norm against distance")
    attribution: AttributionOut = Field(description="by one method for all models")


class CompareModelsAnswer(BaseModel):
    models: list[ComparedModel] = Field(description="in the order asked")


class CompareTextsAnswer(BaseModel):
    predictions: list[PredictionOut] = Field(description="of each text")
    token_lists: list[list[TokenOut]] = Field(description="of each text")
    aligned: list[tuple[int, int]] = Field(description="a longest common subsequence of the tokens")
    distance: list[float] = Field(description="L2 of the top layer's states, pair by pair")


class TopOut(BaseModel):
    input: int = Field(description="which of the inputs, from 0")
    timestep: int = Field(description="of the token, from 0")
    value: float = Field(description="of the unit there")
    text: str = Field(description="of the token")
    start: int = Field(description="offset of its first character, in the request's offset_unit")
    end: int = Field(description="offset behind its last character")


class TopAnswer(BaseModel):
    top: list[TopOut] = Field(description="largest value first")


class TermOut(BaseModel):
    index: int = Field(description="of the value in x_t or h_{t-1}")
    weight: float = Field(description="of the unit's row")
    value: float = Field(description="what it multiplies")
    product: float = Field(description="the term")


class TermsOut(BaseModel):
    count: int = Field(description="how many terms there are")
    total: float = Field(description="the sum of all of them")
    largest: list[TermOut] = Field(description="as many as were asked, by size")
    rest: float = Field(description="the sum of the others")


class GateSumOut(BaseModel):
    input: TermsOut = Field(description="W_ih x_t; above layer 0 x_t is the layer below, directions side by side")
    state: TermsOut = Field(description="W_hh h_{t-1}: of the step before in the direction of reading")
    bias: float = Field(description="b_ih + b_hh")
    preactivation: float = Field(description="z = input.total + state.total + bias")
    value: float = Field(description="sigmoid of z; of cell_gate, and of an RNN's hidden_state, tanh")


class SumAnswer(BaseModel):
    token: TokenOut = Field(description="at the timestep")
    unit: int = Field(description="of the address")
    sums: dict[str, GateSumOut] = Field(description="by gate, in float64 from the weights of the file")
