"""What a person reads of a training run: the learning curve as a picture and the model card."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..checkpoint.checkpoint import Checkpoint
from .evaluate import Evaluation
from .train import Epoch

CARD, CURVE = "card.md", "training.png"


def draw_curve(path: Path, curve: Sequence[Epoch], figure: str) -> None:
    """Loss and the dev figure, epoch by epoch, as PNG."""
    from matplotlib.figure import Figure  # an extra: serving needs no plots of training

    epochs = [row.epoch + 1 for row in curve]
    canvas = Figure(figsize=(6, 3.2), layout="constrained")
    left = canvas.subplots()
    left.plot(epochs, [row.loss for row in curve], color="#D55E00", marker="o", markersize=3, label="training loss")
    left.set(xlabel="epoch", ylabel="training loss", xticks=epochs)
    right = left.twinx()
    right.plot(epochs, [row.dev for row in curve], color="#0072B2", marker="s", markersize=3, label=f"dev {figure}")
    best = max(curve, key=lambda row: row.dev)
    right.annotate(
        f"{best.dev:.4f}", (best.epoch + 1, best.dev), textcoords="offset points", xytext=(0, 6), ha="center"
    )
    right.set_ylabel(f"dev {figure}")
    right.margins(y=0.15)
    canvas.legend(handles=[*left.lines, *right.lines], loc="outside upper center", ncols=2, frameon=False)
    canvas.savefig(path, dpi=110, metadata={"Software": None})


def write_card(path: Path, checkpoint: Checkpoint, evaluation: Evaluation, command: str, limits: str) -> None:
    """card.md: data and licence, the command, dev figures, limits."""
    m = checkpoint.manifest
    sections = [
        f"# {m.name}\n\n{m.description}\n",
        _table(("", ""), _shape(checkpoint)),
        f"## Data and terms\n\nTraining data: {m.training_data}\n\nTerms: {m.license}\n",
        f"## Command\n\n```\n{command}\n```\n\n![learning curve]({CURVE})\n",
        f"## Figures on dev ({evaluation.texts} texts)\n",
        "Dev also chose the epoch (and a classifier's temperature), so expect a little less elsewhere.\n",
        _figures(evaluation),
        _table(("label", "F1"), [(k, f"{v:.4f}") for k, v in evaluation.by_label.items()]),
        _table(("tokens", "texts", "figure"), [_bin(row) for row in evaluation.by_length]),
        f"## Limits\n\n{limits or 'Trained on one corpus: expect less on other kinds of text.'}\n",
    ]
    path.write_text("\n".join(sections), "utf-8")


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
        ("labels", ", ".join(checkpoint.labels)),
        ("temperature", f"{m.temperature}"),
    ]


def _bin(row: Mapping[str, float | int | None]) -> tuple[str, str, str]:
    return f"{row['from']} to {row['to'] or 'the longest'}", f"{row['texts']}", f"{row['figure']:.4f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
