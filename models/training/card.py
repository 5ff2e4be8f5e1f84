"""The model card: what was trained on what, by which command, and how well it does."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..analysis.method_reports import MethodReport
from ..checkpoint.checkpoint import Checkpoint
from .evaluate import Evaluation
from .metrics import LabelScore
from .pictures import CONFUSION, CURVE

CARD = "card.md"
_MANY_LABELS = 10  # more are counted in the card's first table and listed in that of the labels


@dataclass(frozen=True)
class Past:
    """How a model came to be, as the Markdown of its card, and what it should not be used for."""

    name: str
    history: str
    limits: str


@dataclass(frozen=True)
class Member:
    """One of the models that were averaged. share: of the whole; figure: its own on the average's dev."""

    share: float
    figure: float
    past: Past


@dataclass(frozen=True)
class Origin:
    """How a model comes to be: the command, what it should not be used for, and the models that it was made of."""

    command: str
    limits: str = ""
    start: Past | None = None
    members: tuple[Member, ...] = ()
    teachers: tuple[Past, ...] = ()


def read_past(folder: Path) -> Past:
    """What the card that `write_card` wrote to a model's folder says of it; of another card or none, nothing."""
    card = folder / CARD
    text = card.read_text("utf-8", errors="replace") if card.exists() else ""
    history = re.search(r"^## Command\n\n(.*?\n)(?=\n## |\Z)", text, re.DOTALL | re.MULTILINE)
    limits = re.search(r"^## Limits\n\n(.*)\Z", text, re.DOTALL | re.MULTILINE)
    return Past(
        "/".join(folder.parts[-2:]), history[1] if history else "Not known.\n", limits[1].strip() if limits else ""
    )


def write_card(path: Path, checkpoint: Checkpoint, evaluation: Evaluation, origin: Origin) -> None:
    """card.md: data and licence, the command, dev figures with their pictures, limits."""
    m = checkpoint.manifest
    pictures, chosen = f"Pictures: [learning curve]({CURVE}), [confusion matrix]({CONFUSION}).", "the epoch"
    if origin.members:
        pictures, chosen = f"Picture: [confusion matrix]({CONFUSION}).", "the shares and each member's epoch"
    sections = [
        f"# {m.name}\n",
        *([f"{m.description}\n"] if m.description else []),
        _table(("", ""), _shape(checkpoint)),
        f"## Data and terms\n\nTraining data: {m.training_data}\n\nTerms: {m.license}\n",
        f"## Command\n\n{_code(origin.command)}",
        *_start(origin.start),
        *_teachers(origin.teachers),
        *_members(origin.members),
        f"## Figures on dev ({evaluation.texts:,} texts)\n",
        f"{pictures} Dev also chose {chosen} (and what calibrates the scores), so expect a little less elsewhere.\n",
        _figures(evaluation),
        *([] if origin.members else [f"[![learning curve]({CURVE})]({CURVE})\n"]),
        "### Labels\n",
        _table(("label", "precision", "recall", "F1", "support"), map(_label, evaluation.by_label), numbers=True),
        "### By length\n",
        _table(("tokens", "texts", "figure"), map(_bin, evaluation.by_length), numbers=True),
        explanations(evaluation.faithfulness, m.default_attribution),
        f"## Limits\n\n{origin.limits or 'Trained on one corpus: expect less on other kinds of text.'}\n",
    ]
    path.write_text("\n".join(sections), "utf-8", errors="backslashreplace")  # a file's name may not be UTF-8


def _code(command: str) -> str:
    return f"```\n{command}\n```\n"


def _start(start: Past | None) -> list[str]:
    """The model whose weights a training began with, and how that was trained."""
    return [f"### It starts from {start.name}\n", start.history] if start else []


def _teachers(teachers: Sequence[Past]) -> list[str]:
    """The models whose answers a training learnt from beside the labels, and how each of them was trained."""
    if not teachers:
        return []
    return ["### Its teachers\n", *(f"{teacher.name}:\n\n{teacher.history}" for teacher in teachers)]


def _members(members: Sequence[Member]) -> list[str]:
    """The models that were averaged, and how each of them was trained."""
    if not members:
        return []
    rows = [(member.past.name, f"{member.share:.3f}", f"{member.figure:.4f}") for member in members]
    return [
        "### What was averaged\n",
        _table(("model", "share", "figure on dev"), rows, numbers=True),
        *(f"{member.past.name}:\n\n{member.past.history}" for member in members),
    ]


def explanations(reports: Sequence[MethodReport], default: str | None) -> str:
    """The section of the attribution methods; empty where none was measured."""
    if not reports:
        return ""
    rows = [
        (
            f"**`{r.method}`**" if r.method == default else f"`{r.method}`",
            f"{r.comprehensiveness:.2f}",
            f"{r.sufficiency:.2f}",
        )
        for r in sorted(reports, key=lambda r: -r.comprehensiveness)
    ]
    return (
        f"## Explanations\n\nWhich attribution method finds the tokens that matter ({reports[0].texts} texts; more is "
        "better in both columns; the default in bold; `random` ranks by chance).\n\n"
        + _table(("method", "comprehensiveness", "sufficiency"), rows, numbers=True)
    )


def typed_command(arguments: Sequence[str]) -> str:
    """The command as it was typed, an option a line; of absolute paths the last two names: the rest is private."""
    lines = ["gatescope"]
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if option.startswith("--") and equals:
            argument = f"{option}={_without_home(value)}"
        word = shlex.quote(_without_home(argument))
        if argument.startswith("--"):
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return " \\\n  ".join(lines)


def _without_home(value: str) -> str:
    return "/".join(Path(value).parts[-2:]) if Path(value).is_absolute() and len(Path(value).parts) > 2 else value


def _figures(evaluation: Evaluation) -> str:
    """The headline figures and, where they were measured, those with the recurrences' weights in bfloat16."""
    rounded = evaluation.bfloat16
    names = {name: name.replace("_", " ") for name in evaluation.metrics}
    if rounded is None:
        return _table(("figure", "value"), [(names[k], f"{v:.4f}") for k, v in evaluation.metrics.items()])
    rows = [(names[k], f"{v:.4f}", f"{rounded[k]:.4f} ({rounded[k] - v:+.4f})") for k, v in evaluation.metrics.items()]
    rows.append(("texts answered otherwise", "", f"{rounded['texts_answered_otherwise']:.0f}"))
    return _table(("figure", "value", "in bfloat16 (change)"), rows)


def _shape(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    m = checkpoint.manifest
    layers = f"{m.layers} layer{'s' if m.layers > 1 else ''}, {' and '.join(m.directions)}, {m.units} units"
    reads = "each state" if m.task == "token-classification" else m.reads.replace("_", " ")
    return [
        ("task", f"{m.task}, language `{m.language}`"),
        ("network", f"{m.cell.upper()}, {layers}; the head reads: {reads}"),
        ("input", f"{m.tokenizer}: " + ", ".join(f"{f.kind} {f.rows} x {f.dimension}" for f in m.features)),
        ("parameters", f"{checkpoint.parameters:,}, stored as float16"),
        ("labels", _labels(checkpoint.labels)),
        ("temperature", f"{m.temperature}"),
    ]


def _labels(labels: Sequence[str]) -> str:
    return ", ".join(labels) if len(labels) <= _MANY_LABELS else f"{len(labels)}, listed under [Labels](#labels)"


def _label(score: LabelScore) -> tuple[str, ...]:
    return score.label, f"{score.precision:.4f}", f"{score.recall:.4f}", f"{score.f1:.4f}", f"{score.support:,}"


def _bin(row: Mapping[str, float | int | None]) -> tuple[str, str, str]:
    return f"{row['from']} to {row['to'] or 'the longest'}", f"{row['texts']:,}", f"{row['figure']:.4f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: bool = False) -> str:
    """Markdown; with `numbers` all columns but the first are aligned to the right."""
    rule = ["---", *["---:" if numbers else "---"] * (len(head) - 1)]
    return "".join(f"| {' | '.join(map(_escaped, line))} |\n" for line in [head, rule, *rows])


def _escaped(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
