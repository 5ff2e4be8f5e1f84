"""What a person reads of a training run: the learning curve as a picture and the model card."""

from collections.abc import Sequence
from pathlib import Path

from ..checkpoint import Checkpoint
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
    right.annotate(f"{best.dev:.4f}", (best.epoch + 1, best.dev), textcoords="offset points", xytext=(0, 6), ha="center")
    right.set_ylabel(f"dev {figure}")
    right.margins(y=0.15)
    canvas.legend(handles=[*left.lines, *right.lines], loc="outside upper center", ncols=2, frameon=False)
    canvas.savefig(path, dpi=110, metadata={"Software": None})


def write_card(path: Path, checkpoint: Checkpoint, evaluation: Evaluation, command: str, limits: str) -> None:
    """card.md: data and licence, the command, dev figures, limits."""
    m = checkpoint.manifest
    shape = f"{m.layers} layer{'s' if m.layers > 1 else ''}, {' and '.join(m.directions)}, {m.units} units"
    features = ", ".join(f"{f.kind} {f.rows} x {f.dimension}" for f in m.features)
    lines = [
        f"# {m.name}", "", m.description, "",
        "| | |", "|---|---|",
        f"| task | {m.task}, language `{m.language}` |",
        f"| network | {m.cell.upper()}, {shape}; the head reads {'each state' if checkpoint.tags and m.task == 'token-classification' else m.reads.replace('_', ' ')} |",
        f"| input | {m.tokenizer}: {features} |",
        f"| parameters | {checkpoint.parameters:,}, stored as float16 |",
        f"| labels | {', '.join(checkpoint.labels)} |",
        f"| temperature | {m.temperature} |",
        "", "## Data and terms", "", f"Training data: {m.training_data}", "", f"Terms: {m.license}", "",
        "## Command", "", "```", command, "```", "", "![learning curve](training.png)", "",
        f"## Figures on dev ({evaluation.texts} texts)", "",
        "Dev also chose the epoch (and a classifier's temperature), so expect a little less elsewhere.", "",
        "| figure | value |", "|---|---|", *(f"| {k.replace('_', ' ')} | {v:.4f} |" for k, v in evaluation.metrics.items()), "",
        "| label | F1 |", "|---|---|", *(f"| {k} | {v:.4f} |" for k, v in evaluation.by_label.items()), "",
        "| tokens | texts | figure |", "|---|---|---|",
        *(f"| {row['from']} to {row['to'] or 'the longest'} | {row['texts']} | {row['figure']:.4f} |" for row in evaluation.by_length), "",
        "## Limits", "", limits or "Trained on one corpus: expect less on other kinds of text.",
    ]  # fmt: skip
    path.write_text("\n".join(lines) + "\n", "utf-8")
