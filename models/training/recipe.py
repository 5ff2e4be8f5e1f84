"""Every choice of a training run, with its bounds: what `train` takes as options or as a TOML file."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..checkpoint.manifest import Name
from ..errors import RecipeError
from ..network.network import Reads, Task
from ..recurrence.cells import Cell
from ..recurrence.layer import Direction

Rate = Annotated[float, Field(ge=0, lt=1)]
TABLES = ("noise", "files", "label_names")  # of a recipe: what a TOML file alone can say
Rows = Annotated[int, Field(ge=16, le=2_000_000)]
Dimension = Annotated[int, Field(ge=0, le=1024, description="0 leaves the feature out")]


class Noise(BaseModel):
    """How often a training text is read as people type: each a share of the texts, drawn anew each epoch."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    put_in: Rate = Field(0.0, description="one to three symbols, emoji, mark-up tags or addresses put in")
    wrapped: Rate = Field(0.0, description="put between a pair of quotes, brackets, tags or bullets")
    upper: Rate = Field(0.0, description="in capitals")
    lower: Rate = Field(0.0, description="in small letters")
    lost_apostrophes: Rate = Field(0.0, description="dont for don't")
    joined: Rate = Field(0.0, description="without the blanks before marks and clitics of tokenised corpora")
    ends: Rate = Field(0.0, description="another end than the final full stop: !!!!, an emoji, nothing")
    capitals: Rate = Field(0.0, description="lower-cased corpora: the first word, I, and tagged names with capitals")
    nothing: Rate = Field(0.0, description="classifiers: texts of symbols and of unknown words, which have no label")
    lines: Rate = Field(
        0.0, description="tagged texts: two joined by a line break or an empty line, or a list of names"
    )


class Source(BaseModel):
    """How the rows of one file are read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weight: Annotated[float, Field(gt=0, le=20)] = Field(1.0, description="times that each row is read in an epoch")
    epochs: Annotated[int, Field(ge=0)] | None = Field(None, description="the first in which it is read, if not all")
    neutral: bool = Field(False, description="its texts have no label: the answer to them is the labels' frequencies")
    without: tuple[str, ...] = Field((), description="kinds of entity that were not annotated in it")


class Recipe(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name = Field(description="of the model, and of its folder")
    task: Task
    language: Literal["zh", "en"]
    tokenizer: Literal["characters", "words", "mixed"] = Field(
        "mixed", description="mixed: Chinese by character, all else by word; the others are those of older models"
    )
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
    gap_dimension: Dimension = 0
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
    noise: Noise = Noise()
    files: dict[str, Source] = Field({}, description="by file name or folder/file name: weight, and what it lacks")
    label_names: dict[str, str] = Field({}, description="what labels are called in the model's language")
    outside_bias: Annotated[float, Field(ge=-5, le=5)] = Field(
        0.0, description="taggers: added to the emission of O after training; above 0 entities are fewer and surer"
    )
    adjust_priors: bool = Field(
        False, description="classifiers: take the frequencies of a file's labels off the logits"
    )
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

    def source(self, path: Path) -> Source:
        """How a data file is read."""
        return self.files.get("/".join(path.parts[-2:]), self.files.get(path.name, Source()))

    @property
    def directions(self) -> tuple[Direction, ...]:
        return ("forward", "reverse") if self.bidirectional else ("forward",)


Kind = TypeVar("Kind", bound=Recipe)


def read_recipe(path: Path | None, options: dict[str, Any]) -> Recipe:
    """As `read_recipe_as`, of a model."""
    return read_recipe_as(Recipe, path, options)


def read_recipe_as(kind: type[Kind], path: Path | None, options: dict[str, Any]) -> Kind:
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
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "recipe"
        raise RecipeError(f"{field}: {first['msg']}, found {first.get('input')!r}") from error
