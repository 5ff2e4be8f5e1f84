"""Every choice of a training run, with its bounds: what `train` takes as options or as a TOML file."""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..checkpoint.manifest import Name
from ..errors import RecipeError
from ..network.network import Reads, Task
from ..recurrence.cells import Cell
from ..recurrence.layer import Direction
from .readers import Layout
from .schemes import TagScheme

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
    blanks: Rate = Field(0.0, description="Chinese corpora that join Latin words (MichaelJackson): blanks between them")
    ends: Rate = Field(0.0, description="another end than the final full stop: !!!!, an emoji, nothing")
    capitals: Rate = Field(0.0, description="lower-cased corpora: the first word, I, and tagged names with capitals")
    nothing: Rate = Field(0.0, description="classifiers: texts of symbols and of unknown words, which have no label")
    follows: Rate = Field(0.0, description="tagged texts: read as one text with the one to four that follow")
    lines: Rate = Field(
        0.0, description="tagged texts: two joined by a line break or an empty line, or a list of names"
    )


class Source(BaseModel):
    """How the rows of one file are read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weight: Annotated[float, Field(gt=0, le=20)] = Field(1.0, description="times that each row is read in an epoch")
    epochs: Annotated[int, Field(ge=0)] | None = Field(None, description="the first in which it is read, if not all")
    even: bool = Field(False, description="of texts of like length as many of each label, drawn anew each epoch")
    neutral: bool = Field(False, description="its texts have no label: the answer to them is the labels' frequencies")
    without: tuple[str, ...] = Field((), description="kinds of entity that were not annotated in it")


class Recipe(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name = Field(description="of the model, and of its folder")
    task: Task = Field(description="a label for each text, or entities in it")
    language: Literal["zh", "en"] = Field(description="of the texts")
    tokenizer: Literal["characters", "words", "mixed"] = Field(
        "mixed", description="mixed: Chinese by character, all else by word; the others are those of older models"
    )
    cell: Cell = Field("lstm", description="of the recurrence")
    units: Annotated[int, Field(ge=1, le=2048)] = Field(128, description="of each layer and direction")
    layers: Annotated[int, Field(ge=1, le=8)] = Field(1, description="one above the other")
    bidirectional: bool = Field(False, description="read each text from its end as well")
    reads: Reads = Field("last_state", description="what a classifier's head reads: last_state, or mean_max over all")
    description: str = Field("", description="one sentence about the model")
    license: str = Field("not stated", description="terms of the weights, which follow those of the data")
    training_data: str = Field("not stated", description="where the data come from, for the card")
    limits: str = Field("", description="what the model should not be used for, for the card")

    text_column: str = Field("text", description="JSON key, CSV or TSV header or column number of the text")
    label_column: str = Field("label", description="JSON key, CSV or TSV header or column number of the label")
    tag_column: Annotated[int, Field(ge=2, le=4)] | None = Field(
        None, description="number of the CoNLL column with the tags; left out, it is the last"
    )
    tag_scheme: TagScheme = Field(
        "auto", description="of the tags; auto tells bioes (bmes, bilou) from the rest, and reads bio and iob1 alike"
    )

    token_dimension: Annotated[int, Field(ge=1, le=1024)] = Field(128, description="of a character's or word's row")
    token_min_count: Annotated[int, Field(ge=1)] = Field(2, description="times that a token with a row is seen")
    token_rows: Rows = Field(40_000, description="tokens with a row of their own, at most")
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
    start_forms: bool = Field(False, description="a row for every form of --start, not those of the texts alone")
    freeze_vectors: bool = Field(False, description="leave rows that came from static vectors as they are")

    epochs: Annotated[int, Field(ge=1, le=1000)] = Field(8, description="times that the training rows are read")
    extra_epochs: Annotated[int, Field(ge=0)] = Field(0, description="epochs in which the extra rows are read as well")
    batch_size: Annotated[int, Field(ge=1, le=4096)] = Field(64, description="texts of one step")
    learning_rate: Annotated[float, Field(gt=0, le=1)] = Field(2e-3, description="of AdamW, at its highest")
    weight_decay: Annotated[float, Field(ge=0, le=1)] = Field(0.01, description="of AdamW")
    warmup: Rate = Field(0.05, description="share of the steps in which the learning rate rises")
    patience: Annotated[int, Field(ge=1)] = Field(4, description="epochs without a better dev figure before stopping")
    gradient_clip: Annotated[float, Field(gt=0)] = Field(5.0, description="largest norm of a step's gradient")
    average: Rate = Field(0.998, description="decay of the running mean of the weights, which is what is kept")
    unknown_rate: Rate = Field(0.1, description="share of token and bigram ids read as unknown")
    input_dropout: Rate = Field(0.3, description="share of the inputs' numbers that are dropped")
    layer_dropout: Rate = Field(0.3, description="the same between layers")
    head_dropout: Rate = Field(0.3, description="the same before the head")
    label_smoothing: Rate = Field(0.0, description="share of the target that is spread over all labels")
    teacher_share: Rate = Field(0.5, description="with --teacher: share of the loss that is about its answers")
    balance: bool = Field(False, description="weigh each class of a classifier alike, and choose the epoch by macro F1")
    noise: Noise = Noise()
    files: dict[str, Source] = Field({}, description="by file name or folder/file name: weight, and what it lacks")
    label_names: dict[str, str] = Field({}, description="what labels are called in the model's language")
    outside_bias: Annotated[float, Field(ge=-5, le=5)] = Field(
        0.0, description="taggers: added to the emission of O after training; above 0 entities are fewer and surer"
    )
    label_biases: bool = Field(
        False, description="classifiers: fit a bias of each label on dev, which should be as the texts to come are"
    )
    adjust_priors: bool = Field(
        False, description="classifiers: take the frequencies of a file's labels off the logits"
    )
    max_tokens: Annotated[int, Field(ge=8)] = Field(512, description="tokens of a training text that are read")
    bfloat16: bool = Field(False, description="run the recurrences of training in bfloat16")
    seed: Annotated[int, Field(ge=0)] = Field(1, description="the same seed and recipe train the same model")

    @model_validator(mode="after")
    def _fits(self) -> "Recipe":
        if self.task == "token-classification" and self.reads != "last_state":
            raise ValueError("reads is for classifiers: a tagger reads each step's state")
        if self.task == "token-classification" and self.balance:
            raise ValueError("balance is for classifiers: the loss of a tagger is one of whole sentences")
        if self.label_biases and (self.task == "token-classification" or self.balance):
            raise ValueError("label_biases is for classifiers, and without balance: it makes frequent labels likelier")
        even = sorted(name for name, source in self.files.items() if source.even)
        if even and (self.task == "token-classification" or self.adjust_priors or self.files[even[0]].neutral):
            raise ValueError(f"{even[0]}: even is for a classifier's labelled rows, and without adjust_priors")
        if self.extra_epochs > self.epochs:
            raise ValueError(f"extra_epochs is {self.extra_epochs}, epochs {self.epochs}: it cannot be more")
        return self

    def source(self, path: Path) -> Source:
        """How a data file is read."""
        return self.files.get("/".join(path.parts[-2:]), self.files.get(path.name, Source()))

    @property
    def layout(self) -> Layout:
        return Layout(self.text_column, self.label_column, self.tag_column, self.tag_scheme)

    @property
    def directions(self) -> tuple[Direction, ...]:
        return ("forward", "reverse") if self.bidirectional else ("forward",)


Kind = TypeVar("Kind", bound=Recipe)
_NOTHING: Mapping[str, Any] = MappingProxyType({})


def read_recipe(path: Path | None, options: dict[str, Any], usual: Mapping[str, Any] = _NOTHING) -> Recipe:
    """As `read_recipe_as`, of a model."""
    return read_recipe_as(Recipe, path, options, usual)


def read_recipe_as(
    kind: type[Kind], path: Path | None, options: dict[str, Any], usual: Mapping[str, Any] = _NOTHING
) -> Kind:
    """The recipe of a TOML file laid over what is `usual`, with the options given beside it laid over both.

    Raises: RecipeError, naming the field, what was found and what is allowed.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise RecipeError(f"{path} cannot be read as TOML: {error}") from error
    values = {**usual, **values, **options}
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise RecipeError("; ".join(map(_problem, error.errors(include_url=False)))) from error


def _problem(error: Mapping[str, Any]) -> str:
    """What pydantic found wrong with one field, as a part of a sentence."""
    field = ".".join(map(str, error["loc"]))
    if error["type"] == "missing":
        return f"{field} is missing: give --{field.replace('_', '-')}, or {field} in the recipe's file"
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(field, Recipe.model_fields, 1)
        return f"{field} is not a choice of a recipe" + (f": did you mean {near[0]}?" if near else "")
    if not field:
        return str(error["msg"]).removeprefix("Value error, ")
    return f"{field}: {error['msg']}, found {error['input']!r}"
