"""Every choice of a training run, with its bounds: what `train` takes as options or as a TOML file."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..checkpoint.manifest import Name
from ..errors import RecipeError
from ..network.network import Reads, Task
from ..recurrence.cells import Cell
from ..recurrence.layer import Direction

Rate = Annotated[float, Field(ge=0, lt=1)]
Rows = Annotated[int, Field(ge=16, le=2_000_000)]
Dimension = Annotated[int, Field(ge=0, le=1024, description="0 leaves the feature out")]


class Recipe(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name = Field(description="of the model, and of its folder")
    task: Task
    language: Literal["zh", "en"] = Field(description="zh is read by character, en by word")
    cell: Cell = "lstm"
    units: Annotated[int, Field(ge=1, le=2048)] = 128
    layers: Annotated[int, Field(ge=1, le=8)] = 1
    bidirectional: bool = False
    reads: Reads = Field("last_state", description="what a classifier's head reads: last_state, or mean_max over all")
    description: str = ""
    license: str = Field("not stated", description="terms of the weights, which follow those of the data")
    training_data: str = Field("not stated", description="where the data come from, for the card")
    limits: str = Field("", description="what the model should not be used for, for the card")

    token_dimension: Annotated[int, Field(ge=1, le=1024)] = 128
    token_min_count: Annotated[int, Field(ge=1)] = 2
    token_rows: Rows = 40_000
    bigram_dimension: Dimension = 0
    bigram_min_count: Annotated[int, Field(ge=1)] = 2
    bigram_rows: Rows = 40_000
    subword_dimension: Dimension = 0
    subword_rows: Rows = 20_000
    affix_dimension: Dimension = 0
    affix_rows: Rows = 10_000
    shape_dimension: Dimension = 0
    shape_rows: Rows = 512
    freeze_vectors: bool = Field(False, description="leave rows that came from static vectors as they are")

    epochs: Annotated[int, Field(ge=1, le=1000)] = 8
    extra_epochs: Annotated[int, Field(ge=0)] = Field(0, description="epochs in which the extra rows are read as well")
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 64
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 2e-3
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    warmup: Rate = Field(0.05, description="share of the steps in which the learning rate rises")
    patience: Annotated[int, Field(ge=1)] = Field(4, description="epochs without a better dev figure before stopping")
    gradient_clip: Annotated[float, Field(gt=0)] = 5.0
    average: Rate = Field(0.998, description="decay of the running mean of the weights, which is what is kept")
    unknown_rate: Rate = Field(0.1, description="share of token and bigram ids read as unknown")
    input_dropout: Rate = 0.3
    layer_dropout: Rate = 0.3
    head_dropout: Rate = 0.3
    label_smoothing: Rate = 0.0
    longest: Annotated[int, Field(ge=8)] = Field(512, description="tokens of a training text that are read")
    bfloat16: bool = Field(False, description="run the recurrences of training in bfloat16")
    seed: Annotated[int, Field(ge=0)] = 1

    @model_validator(mode="after")
    def _fits(self) -> "Recipe":
        if self.task == "token-classification" and self.reads != "last_state":
            raise ValueError("reads is for classifiers: a tagger reads each step's state")
        if self.extra_epochs > self.epochs:
            raise ValueError(f"extra_epochs is {self.extra_epochs}, epochs {self.epochs}: it cannot be more")
        return self

    @property
    def directions(self) -> tuple[Direction, ...]:
        return ("forward", "reverse") if self.bidirectional else ("forward",)

    @property
    def tokenizer(self) -> Literal["characters", "words"]:
        return "characters" if self.language == "zh" else "words"


def read_recipe(path: Path | None, options: dict[str, Any]) -> Recipe:
    """The recipe of a TOML file, with the options given beside it laid over.

    Raises: RecipeError, naming the field, what was found and what is allowed.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise RecipeError(f"{path} cannot be read as TOML: {error}") from error
    values.update(options)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "recipe"
        raise RecipeError(f"{field}: {first['msg']}, found {first.get('input')!r}") from error
