"""The table of attribution methods. Whoever lists, prices, checks or calls methods reads it: a new one is one entry."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..errors import OptionError
from ..recurrence.cells import Cell
from .attribution import Attribution, Options
from .closed_form import cell_additive, gradient_x_input, secant
from .deletion import occlusion, prefix
from .integrated_gradients import integrated_gradients, most_nodes
from .shapley import shapley, tokens_read
from .subject import Subject

_BACK = 3  # a pass back through time costs about two of the passes forward, and comes after one


@dataclass(frozen=True)
class TextCost:
    """What a price depends on: tokens of the text, and whether one pass gives every prefix's logit."""

    tokens: int
    reads_prefixes_at_once: bool
    options: Options


@dataclass(frozen=True)
class AttributionMethod:
    """One entry of the table of methods.

    cells: that it can explain; adds_up: whether contributions and bias are the logit by construction; price: tokens
    that are read for a text, a pass back counted as two passes forward; help: one phrase in each language.
    records: whether it wants the pass with everything recorded; options: of `Options`, those it takes; for_study:
    an exact decomposition, which answers by default only where no other method comes near it.
    """

    name: str
    cells: tuple[Cell, ...]
    adds_up: bool
    price: Callable[[TextCost], int]
    function: Callable[[Subject, Options], Attribution]
    help: dict[Literal["en", "zh"], str]
    records: bool = False
    for_study: bool = False
    options: tuple[str, ...] = ()

    def check(self, cell: Cell, options: Options) -> None:
        """Raises: OptionError where the method is not for this cell, or does not take an option that is given."""
        self.check_cell(cell)
        for name in options.given:
            if name not in self.options:
                raise OptionError(f"{name} is an option of shapley, and the method is {self.name}: leave it out")

    def check_cell(self, cell: Cell) -> None:
        """Raises: OptionError where the method is not for this cell."""
        if cell not in self.cells:
            raise OptionError(
                f"{self.name} takes an LSTM's cell_state apart, and this model is an RNN: use another method"
            )


def _one_pass_back(cost: TextCost) -> int:
    return _BACK * cost.tokens


def _every_prefix(cost: TextCost) -> int:
    return cost.tokens if cost.reads_prefixes_at_once else cost.tokens * (cost.tokens + 1) // 2


def _every_deletion(cost: TextCost) -> int:
    return cost.tokens * max(1, cost.tokens - 1)


def _nodes(cost: TextCost) -> int:
    return _BACK * cost.tokens * most_nodes(cost.tokens)


def _coalitions(cost: TextCost) -> int:
    return tokens_read(cost.tokens, cost.options)


METHODS: dict[str, AttributionMethod] = {
    method.name: method
    for method in (
        AttributionMethod(
            "shapley",
            ("rnn", "lstm"),
            True,
            _coalitions,
            shapley,
            {
                "en": "the mean effect of adding the token, over random orders; adds up, with a standard error",
                "zh": "随机次序中加入该词的平均影响；精确相加，并给出标准误",
            },
            options=("permutations", "wanted_error"),
        ),
        AttributionMethod(
            "integrated_gradients",
            ("rnn", "lstm"),
            False,
            _nodes,
            integrated_gradients,
            {
                "en": "the gradient averaged on the way from zero embeddings to the text's; adds up to quadrature",
                "zh": "从零嵌入到文本的直线上对梯度取平均；在求积误差内相加为 logit",
            },
        ),
        AttributionMethod(
            "prefix",
            ("rnn", "lstm"),
            True,
            _every_prefix,
            prefix,
            {
                "en": "how the logit changed when the token was read; adds up",
                "zh": "读入该词时 logit 的变化；精确相加",
            },
        ),
        AttributionMethod(
            "occlusion",
            ("rnn", "lstm"),
            False,
            _every_deletion,
            occlusion,
            {
                "en": "the logit minus that of the text without the token, run again; need not add up",
                "zh": "logit 减去去掉该词后重新运行的 logit；不必相加为 logit",
            },
        ),
        AttributionMethod(
            "gradient_x_input",
            ("rnn", "lstm"),
            False,
            _one_pass_back,
            gradient_x_input,
            {
                "en": "the gradient at the text times the embedding; need not add up",
                "zh": "文本处的梯度乘以嵌入；不必相加为 logit",
            },
            records=True,
        ),
        AttributionMethod(
            "secant",
            ("rnn", "lstm"),
            True,
            _one_pass_back,
            secant,
            {
                "en": "an exact decomposition with the gates held, for study; may cancel without end on long texts",
                "zh": "固定各门的精确分解，供研究；长文本上可能大量相互抵消",
            },
            records=True,
            for_study=True,
        ),
        AttributionMethod(
            "cell_additive",
            ("lstm",),
            True,
            _one_pass_back,
            cell_additive,
            {
                "en": "what each step laid on the top layer's cell state, an exact decomposition for study",
                "zh": "每一步写入顶层细胞状态的量，精确分解，供研究",
            },
            records=True,
            for_study=True,
        ),
    )
}
FALLBACK = "integrated_gradients"  # of a model whose manifest names no default


def method_named(name: str) -> AttributionMethod:
    """Raises: OptionError where there is none of that name."""
    if name not in METHODS:
        raise OptionError(f"method is {name[:64]!r}: allowed are {', '.join(METHODS)}")
    return METHODS[name]


def attribute(subject: Subject, method: str, options: Options | None = None) -> Attribution:
    """One logit of one text by the method of that name.

    Raises: OptionError for an unknown method, and for a cell or an option that it does not take.
    """
    entry, options = method_named(method), options or Options()
    entry.check(subject.network.encoder.cell, options)
    return entry.function(subject, options)
