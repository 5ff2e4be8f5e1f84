"""Requests and answers as pydantic models. No torch, so that a client needs none."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator

OffsetUnit = Literal["code_point", "utf16"]
Direction = Literal["forward", "reverse"]
TensorName = Literal["hidden_state", "cell_state", "input_gate", "forget_gate", "cell_gate", "output_gate", "candidate"]
Reduction = Literal["saturation", "mean", "norm", "half_life", "phases"]
Index = Annotated[int, Field(ge=0, description="from 0")]


class StrictRequest(BaseModel):
    """Unknown fields and values of another type are errors: nothing is guessed or ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Timesteps(StrictRequest):
    """A slice of a text's timesteps, as a batch of texts of uneven lengths needs it."""

    start: Index = Field(0, description="the first timestep, from 0")
    stop: Annotated[int, Field(ge=1)] | None = Field(None, description="exclusive; past a text's end it is the end")
    stride: Annotated[int, Field(ge=1)] = Field(1, description="every how many timesteps")


class Select(StrictRequest):
    """Which part of every tensor; what is left out is whole. Lists keep the order asked."""

    layers: list[Index] | None = Field(None, description="from 0, each once")
    directions: list[Direction] | None = Field(None, description="each once; reverse for bidirectional models")
    timesteps: Timesteps | None = Field(None, description="a slice; by default every timestep")
    units: list[Index] | None = Field(None, description="from 0, each once")


class InspectOptions(StrictRequest):
    """Which activations to show; all of them by default."""

    tensors: list[TensorName] | None = Field(
        None, description="by default all that the model has, an RNN hidden_state alone; candidate is cell_gate"
    )
    preactivations: bool = Field(False, description="add {gate}_preactivation, the z before the nonlinearity")
    select: Select | None = Field(None, description="which layers, directions, timesteps and units")
    reduce: list[Reduction] | None = Field(
        None, description="statistics over the selection; without tensors they are sent alone"
    )
    prefix_predictions: bool = Field(False, description="classifiers: the best label of the text cut after each token")
    embedding: bool = Field(False, description="add x_t as it enters layer 0")
    token_scores: bool = Field(False, description="NER: add emissions and marginals of every tag")
    encoding: Literal["json", "base64"] = Field("json", description="nested lists, or little-endian float32 in base64")
    decimals: Annotated[int, Field(ge=0, le=9)] = Field(6, description="of tensors in JSON lists")


class TextsRequest(StrictRequest):
    inputs: str | list[str] = Field(description="a text or a list of texts", examples=["我想吃汉堡"])

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


class InputsRequest(TextsRequest):
    offset_unit: OffsetUnit = Field("code_point", description="what start and end count")


class PredictRequest(InputsRequest):
    top_k: Annotated[int, Field(ge=1)] | None = Field(
        None, description="classifiers: labels to answer with; default all"
    )
    inspect: InspectOptions | None = Field(None, description="also show activations: the options of Inspect")


class InspectRequest(InputsRequest, InspectOptions):
    pass


class HuggingFaceParameters(StrictRequest):
    top_k: Annotated[int, Field(ge=1)] | None = Field(None, description="classifiers: labels to answer with")
    function_to_apply: Literal["softmax", "sigmoid", "none"] | None = Field(
        None, description="classifiers: what makes scores of logits; softmax by default, with the model's temperature"
    )
    aggregation_strategy: Literal["none", "simple", "first", "average", "max"] | None = Field(
        None, description="NER: an entity is always whole, so that all but `none` answer the same"
    )
    ignore_labels: list[str] | None = Field(None, description="NER: kinds of entity to leave out")


class HuggingFaceRequest(TextsRequest):
    """What huggingface_hub's InferenceClient and huggingface.js send."""

    parameters: HuggingFaceParameters | None = Field(None, description="of the task")


class ModelReference(BaseModel):
    model_config = ConfigDict(protected_namespaces=())

    name: str = Field(description="of the model that answered")
    weights_sha256: str = Field(description="of its weights.safetensors")


class LabelScore(BaseModel):
    label: str = Field(description="one of the model's labels")
    score: float = Field(description="its probability, 0 to 1; over all labels they sum to 1")


class EntityOut(BaseModel):
    label: str = Field(description="the kind of entity, one of the model's labels")
    text: str = Field(description="as it stands in the input")
    start: int = Field(description="offset of its first character, in the request's offset_unit")
    end: int = Field(description="offset behind its last character")
    score: float = Field(description="the CRF's marginal probability of exactly this span")


class TokenOut(BaseModel):
    index: int = Field(description="its timestep, from 0, in text order")
    text: str = Field(description="as it stands in the input")
    id: int = Field(description="in the model's vocabulary; 1 for an unknown token")
    start: int = Field(description="offset of its first character, in the request's offset_unit")
    end: int = Field(description="offset behind its last character")
    known: bool = Field(description="whether the vocabulary has it")


class SelectionOut(BaseModel):
    layers: list[int] = Field(description="of every tensor's first axis")
    directions: list[Direction] = Field(description="of the second axis")
    timesteps: list[int] = Field(description="of the third axis")
    units: list[int] = Field(description="of the fourth axis")


class TensorOut(BaseModel):
    dtype: Literal["float32"] = Field("float32", description="of the numbers")
    shape: list[int] = Field(description="[layer, direction, timestep, unit]; of an embedding [timestep, feature]")
    data: Any = Field(None, description="nested lists, or base64 of little-endian float32; left out in binary answers")


class PrefixOut(BaseModel):
    labels: list[str] = Field(description="the best label of the text cut after each token")
    scores: list[float] = Field(description="the score of that label")
    commit_timestep: int = Field(description="from here on the label never changes")


class CertificateOut(BaseModel):
    recurrence_max_abs_error: float = Field(description="largest difference from the same step in float64")
    dtype: str = Field(description="of the recurrence's weights as they run")
    device: str = Field(description="where it ran")
    kernel: str = Field(description="what ran it: torch, or fused- and the instruction set")


class Result(BaseModel):
    """The answer for one text; fields that were not requested are left out."""

    labels: list[LabelScore] | None = Field(None, description="classifiers: best first")
    entities: list[EntityOut] | None = Field(None, description="NER: in text order, without overlap")
    tokens: int = Field(description="how many the text has")
    known_fraction: float = Field(
        description="share of the tokens that are in the vocabulary: low where the text is unlike the training data"
    )
    token_list: list[TokenOut] | None = Field(None, description="every token of the text")
    selection: SelectionOut | None = Field(None, description="what the axes of the tensors are")
    tensors: dict[str, TensorOut] | None = Field(None, description="by name, with the axes of selection")
    reductions: dict[str, Any] | None = Field(
        None,
        description="by tensor and statistic, [layer][direction][unit], norm [layer][direction][timestep]; "
        "half_life_tokens is null for a unit whose forget gate is 1 throughout, for it never forgets",
    )
    prefix: PrefixOut | None = Field(None, description="answers to the text cut after each token")
    embedding: TensorOut | None = Field(None, description="x_t as it enters layer 0")
    token_scores: dict[str, Any] | None = Field(
        None, description="emissions and marginals, [timestep][tag], in the order of the model's tags"
    )
    certificate: CertificateOut | None = Field(None, description="how exact the recurrence was in this answer")


class Usage(BaseModel):
    tokens: int = Field(description="of all texts together")
    queue_ms: float = Field(description="waited for the model")
    compute_ms: float = Field(description="of the batch in which the texts ran")


class Answer(BaseModel):
    model: ModelReference = Field(description="who answered")
    results: list[Result] = Field(description="one for each text, in the order of inputs")
    usage: Usage = Field(description="tokens and time")


class HuggingFaceEntity(BaseModel):
    entity_group: str = Field(description="the kind of entity")
    score: float = Field(description="probability of the whole entity")
    word: str = Field(description="the text from start to end")
    start: int = Field(description="first code point")
    end: int = Field(description="one past the last code point")


class HuggingFaceAnswer(RootModel[list[list[LabelScore]] | list[HuggingFaceEntity] | list[list[HuggingFaceEntity]]]):
    """A list of labels a text, nested for one text too; or the entities of one text, or a list of them a text."""


class ModelOut(BaseModel):
    model_config = ConfigDict(protected_namespaces=())

    name: str = Field(description="as it stands in addresses")
    task: Literal["text-classification", "token-classification"] = Field(description="token-classification is NER")
    cell: Literal["rnn", "lstm"] = Field(description="an RNN has no gates")
    language: str = Field(description="of its texts: zh or en, or what a model of your own names")
    description: str = Field(description="one sentence")
    layers: int = Field(description="how many")
    directions: list[Direction] = Field(description="of each layer")
    units: int = Field(description="of each layer and direction")
    embedding_size: int = Field(description="features of x_t as it enters layer 0")
    vocabulary_size: int = Field(description="known tokens")
    parameters: int = Field(description="numbers in the weights")
    labels: list[str] = Field(description="what predict answers with: classes, or kinds of entity")
    label_names: dict[str, str] = Field(
        description="what labels are called in the model's language, where they have names"
    )
    tags: list[str] | None = Field(None, description="NER: the output layer's, in order")
    max_tokens: int = Field(description="of one text")
    max_characters: int = Field(description="of one text")
    license: str = Field(description="terms of the weights")
    training_data: str = Field(description="what it was trained on")
    tensors: list[TensorName] = Field(description="that it can show")
    streamable: bool = Field(description="whether it reads forward only")
    analyses: list[str] = Field(description="routes that answer for it")
    weights_sha256: str = Field(description="of its weights.safetensors")
    precision: Literal["float32", "bfloat16"] = Field(description="of the recurrences' weights as they run here")
    metrics: dict[str, float] = Field(description="measured on the dev set that its card names")
    temperature: float = Field(description="logits are divided by it before softmax")
    default_attribution: str = Field(description="of attribute: the method when none is named")
    default: bool = Field(description="whether it answers where no model is named")


class Broken(BaseModel):
    name: str = Field(description="of the folder")
    reason: str = Field(description="one sentence: why it could not be loaded")


class ModelList(BaseModel):
    models: list[ModelOut] = Field(description="loaded, by name")
    broken: list[Broken] = Field(description="not loaded, and why")


class Liveness(BaseModel):
    live: bool = Field(description="true: the process answers")


class Readiness(BaseModel):
    ready: bool = Field(description="whether requests are answered")
    models: list[str] = Field(description="loaded, by name")
    broken: list[Broken] = Field(description="not loaded, and why")


class Info(BaseModel):
    name: str = Field(description="gatescope")
    version: str = Field(description="of gatescope")
    device: str = Field(description="cpu or cuda")
    threads: int = Field(description="of one process, for the model")
    workers: int = Field(description="processes that share the port; the other fields are of the one that answers")
    torch: str = Field(description="version of PyTorch")
    python: str = Field(description="version of Python")
    models: list[str] = Field(description="loaded, by name")
    default_model: str | None = Field(description="answers where no model is named; null where none is loaded")
    limits: dict[str, int] = Field(description="the settings that bound a request")


class Problem(BaseModel):
    """RFC 9457; `error` repeats `detail` for clients that look there."""

    type: str = Field(description="urn:gatescope:problem: and error_type")
    title: str = Field(description="the kind of problem in two or three words")
    status: int = Field(description="of HTTP")
    detail: str = Field(description="one sentence: what was found, what is allowed, what to do")
    error: str = Field(description="the same as detail")
    error_type: str = Field(description="the kind of problem, in snake_case")
    retry_after_ms: int | None = Field(None, description="429 and 503: when to come back")
