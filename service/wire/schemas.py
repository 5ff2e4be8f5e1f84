"""Requests and answers as pydantic models. No torch, so that a client needs none."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

OffsetUnit = Literal["code_point", "utf16"]
Direction = Literal["forward", "reverse"]
TensorName = Literal["hidden_state", "cell_state", "input_gate", "forget_gate", "cell_gate", "output_gate", "candidate"]
Reduction = Literal["saturation", "mean", "norm", "half_life", "phases"]
Index = Annotated[int, Field(ge=0, description="from 0")]


class StrictRequest(BaseModel):
    """Unknown fields and values of another type are errors: nothing is guessed or ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Timesteps(StrictRequest):
    start: Index = 0
    stop: Annotated[int, Field(ge=1)] | None = Field(None, description="exclusive; past a text's end it is the end")
    stride: Annotated[int, Field(ge=1)] = 1


class Select(StrictRequest):
    layers: list[Index] | None = None
    directions: list[Direction] | None = None
    timesteps: Timesteps | None = None
    units: list[Index] | None = None


class InspectOptions(StrictRequest):
    """Which activations to show; all of them by default."""

    tensors: list[TensorName] | None = Field(
        None, description="by default all that the model has, an RNN hidden_state alone; candidate is cell_gate"
    )
    preactivations: bool = Field(False, description="add {gate}_preactivation, the z before the nonlinearity")
    select: Select | None = None
    reduce: list[Reduction] | None = Field(None, description="statistics over the selection; alone, instead of tensors")
    prefix_predictions: bool = Field(False, description="classifiers: the best label of the text cut after each token")
    embedding: bool = Field(False, description="add x_t as it enters layer 0")
    token_scores: bool = Field(False, description="NER: add emissions and marginals of every tag")
    encoding: Literal["json", "base64"] = "json"
    decimals: Annotated[int, Field(ge=0, le=9)] = Field(6, description="of tensors in JSON lists")


class InputsRequest(StrictRequest):
    inputs: str | list[str] = Field(description="a text or a list of texts", examples=["我想吃汉堡"])
    offset_unit: OffsetUnit = Field("code_point", description="what start and end count")

    @field_validator("inputs", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        if isinstance(value, list):
            if not value:
                raise ValueError("an empty list: send one text or more")
            for i, text in enumerate(value):
                if not isinstance(text, str):
                    raise ValueError(f"element {i} is of type {type(text).__name__}: every element is a string")
        elif not isinstance(value, str):
            raise ValueError("neither a string nor a list of strings")
        return value

    @property
    def texts(self) -> list[str]:
        return [self.inputs] if isinstance(self.inputs, str) else self.inputs


class PredictRequest(InputsRequest):
    top_k: Annotated[int, Field(ge=1)] | None = Field(
        None, description="classifiers: labels to answer with; default all"
    )
    inspect: InspectOptions | None = Field(None, description="also show activations: the options of Inspect")


class InspectRequest(InputsRequest, InspectOptions):
    pass


class ModelReference(BaseModel):
    name: str
    weights_sha256: str


class LabelScore(BaseModel):
    label: str
    score: float


class EntityOut(BaseModel):
    label: str
    text: str
    start: int
    end: int
    score: float


class TokenOut(BaseModel):
    index: int
    text: str
    id: int
    start: int
    end: int
    known: bool


class SelectionOut(BaseModel):
    layers: list[int]
    directions: list[str]
    timesteps: list[int]
    units: list[int]


class TensorOut(BaseModel):
    dtype: str = "float32"
    shape: list[int] = Field(description="[layer, direction, timestep, unit]")
    data: Any = Field(None, description="nested lists, or base64 of little-endian float32; left out in binary answers")


class PrefixOut(BaseModel):
    labels: list[str]
    scores: list[float]
    commit_timestep: int = Field(description="from here on the label never changes")


class CertificateOut(BaseModel):
    recurrence_max_abs_error: float = Field(description="largest difference from the same step in float64")
    dtype: str
    device: str
    kernel: str


class Result(BaseModel):
    """The answer for one text; fields that were not requested are left out."""

    labels: list[LabelScore] | None = None
    entities: list[EntityOut] | None = None
    tokens: int
    token_list: list[TokenOut] | None = None
    selection: SelectionOut | None = None
    tensors: dict[str, TensorOut] | None = None
    reductions: dict[str, Any] | None = None
    prefix: PrefixOut | None = None
    embedding: TensorOut | None = None
    token_scores: dict[str, Any] | None = None
    certificate: CertificateOut | None = None


class Usage(BaseModel):
    tokens: int
    queue_ms: float
    compute_ms: float


class Answer(BaseModel):
    model: ModelReference
    results: list[Result]
    usage: Usage


class ModelOut(BaseModel):
    model_config = ConfigDict(protected_namespaces=())

    name: str
    task: Literal["text-classification", "token-classification"]
    cell: Literal["rnn", "lstm"]
    language: str
    description: str
    layers: int
    directions: list[str]
    units: int
    embedding_size: int
    vocabulary_size: int
    parameters: int
    labels: list[str]
    tags: list[str] | None = None
    max_tokens: int
    max_characters: int
    license: str
    training_data: str
    tensors: list[str]
    streamable: bool
    analyses: list[str]
    weights_sha256: str
    precision: Literal["float32", "bfloat16"] = Field(description="of the recurrences' weights as they run here")
    metrics: dict[str, float]
    temperature: float
    default_attribution: str = Field(description="the attribution method that answers where none is named")
    default: bool


class Broken(BaseModel):
    name: str
    reason: str


class ModelList(BaseModel):
    models: list[ModelOut]
    broken: list[Broken]


class Readiness(BaseModel):
    ready: bool
    models: list[str]
    broken: list[Broken]


class Info(BaseModel):
    name: str
    version: str
    device: str
    torch: str
    python: str
    models: list[str]
    default_model: str | None
    limits: dict[str, int]


class Problem(BaseModel):
    """RFC 9457; `error` repeats `detail` for clients that look there."""

    type: str
    title: str
    status: int
    detail: str
    error: str
    error_type: str
    retry_after_ms: int | None = None
