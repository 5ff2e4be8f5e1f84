"""The mean of trainings is that of their weights, is measured and served as any model, and is refused where it is none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.checkpoint.checkpoint import Checkpoint, load_checkpoint, to_key
from models.errors import TrainingError
from models.training.averaging import mean_network, produce_average
from models.training.data import read_rows
from models.training.evaluate import evaluate
from models.training.measured import measure
from models.training.produce import Files, produce
from models.training.recipe import Recipe
from service.cli.main import main

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {
    "name": "m",
    "language": "zh",
    "units": 8,
    "token_dimension": 8,
    "bigram_dimension": 4,
    "epochs": 3,
    "learning_rate": 0.03,
    "batch_size": 8,
    "limits": "Toys alone.",
}
TASKS = {"text-classification": "rows.jsonl", "token-classification": "rows.bio"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "rows.jsonl").write_text(
        "".join(
            f'{{"text": "{a}{b}", "label": "{label}"}}\n' for a, label in ("好正", "坏负") for b in "酒店很贵啊" * 6
        ),
        "utf-8",
    )
    sentence = "".join(f"{c} {t}\n" for c, t in zip("我在北京见张三", ["O", "O", *"BI", "O", *"BI"], strict=True))
    sentence = sentence.replace("北 B", "北 B-LOC").replace("京 I", "京 I-LOC")
    sentence = sentence.replace("张 B", "张 B-PER").replace("三 I", "三 I-PER")
    (tmp_path / "rows.bio").write_text((sentence + "\n") * 20, "utf-8")
    return tmp_path


def trained(data: Path, task: str, seed: int, **changes: Any) -> Path:
    recipe = Recipe(**{**SMALL, "task": task, "seed": seed, **changes})
    rows = data / TASKS[task]
    produce(recipe, Files(rows, rows, data / f"seed-{seed}"), CPU, f"the command of {seed}")
    return data / f"seed-{seed}" / recipe.name


def states(*folders: Path) -> list[dict[str, np.ndarray[Any, Any]]]:
    return [
        {key: value.numpy().astype(np.float64) for key, value in load_file(folder / "weights.safetensors").items()}
        for folder in folders
    ]


@pytest.mark.parametrize("task", TASKS)
def test_every_weight_is_the_mean_by_shares(data: Path, task: str) -> None:
    one, other = trained(data, task, 1), trained(data, task, 2)
    network = mean_network([load_checkpoint(one), load_checkpoint(other)], [3, 1])
    first, second = states(one, other)
    assert len(network.state_dict()) == len(first)
    for name, value in network.state_dict().items():
        key = to_key(name)
        np.testing.assert_allclose(value.numpy(), (3 * first[key] + second[key]) / 4, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("task", TASKS)
def test_the_mean_of_a_model_and_itself_is_that_model(data: Path, task: str) -> None:
    one = trained(data, task, 1)
    network = mean_network([load_checkpoint(one)] * 3, [0.1, 0.2, 0.3])
    for key, value in load_checkpoint(one).network.state_dict().items():
        assert torch.equal(network.state_dict()[key], value)


@pytest.mark.parametrize("task", TASKS)
def test_it_is_written_measured_and_says_where_it_comes_from(
    data: Path, task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other, rows = trained(data, task, 1), trained(data, task, 2), data / TASKS[task]
    command = ["average", str(one), str(other), "--shares", "1", "3", "--name", "mean", "--dev", str(rows)]
    assert main([*command, "--out", str(data / "out")]) == 0
    made = load_checkpoint(data / "out/mean")
    figure = next(iter(made.manifest.metrics))
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in printed[1:3]] == [["seed-1/m", "0.250"], ["seed-2/m", "0.750"]]
    assert f"mean: {figure} {made.manifest.metrics[figure]:.4f}" in printed[-1]
    again = evaluate(measure(made, read_rows(task, "zh", rows), CPU))  # type: ignore[arg-type]
    assert made.manifest.metrics == again.metrics
    assert made.manifest.name == "mean"
    card = (data / "out/mean/card.md").read_text("utf-8")
    for said in ("the command of 1", "the command of 2", "gatescope average", "| seed-2/m | 0.750 |", "Toys alone."):
        assert said in card
    assert "training.png" not in card
    assert sorted(path.name for path in (data / "out").iterdir()) == ["mean"]
    assert main([*command, "--out", str(data / "out")]) == 2
    assert "--replace" in capsys.readouterr().err
    assert main([*command, "--out", str(data / "out"), "--replace"]) == 0


def test_the_card_tells_what_its_members_started_from(data: Path) -> None:
    """Of a mean of a model and of one that was trained on from it, every command stands in the card, in order."""
    task, rows = "text-classification", data / "rows.jsonl"
    one = trained(data, task, 1)
    recipe = Recipe(**{**SMALL, "task": task, "name": "on", "start_forms": True})
    produce(recipe, Files(rows, rows, data / "further", start=one), CPU, "the command of the other")
    card = (data / "further/on/card.md").read_text("utf-8")
    assert "### It starts from seed-1/m\n\n```\nthe command of 1\n```\n\n## Figures" in card
    averaged(data, [one, data / "further/on"], [1, 1])
    card = (data / "out/mean/card.md").read_text("utf-8")
    own, first, other, start, figures = (
        card.index(said)
        for said in (
            "```\nthe command\n",
            "seed-1/m:\n\n```\nthe command of 1\n",
            "further/on:\n\n```\nthe command of the other\n",
            "### It starts from seed-1/m\n\n```\nthe command of 1\n",
            "## Figures",
        )
    )
    assert own < first < other < start < figures
    assert card.count("## Limits") == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"units": 4}, "units"),
        ({"cell": "rnn"}, "cell"),
        ({"bidirectional": True}, "directions"),
        ({"bigram_min_count": 9}, "input features and vocabulary"),
        ({"reads": "mean_max"}, "what the head reads"),
        ({"tokenizer": "characters"}, "tokenizer"),
    ],
)
def test_models_that_differ_in_more_than_weights_are_refused(data: Path, changes: dict[str, Any], said: str) -> None:
    folders = [trained(data, "text-classification", 1), trained(data, "text-classification", 2, **changes)]
    with pytest.raises(TrainingError, match=said):
        mean_network([load_checkpoint(folder) for folder in folders], [1, 1])


def averaged(data: Path, members: list[Path], shares: list[float], name: str = "mean") -> Checkpoint:
    return produce_average(members, shares, name, data / "rows.jsonl", data / "out", "the command")[0]


def test_mistakes_are_said_in_a_sentence(data: Path) -> None:
    one = trained(data, "text-classification", 1)
    for members, shares in (([one], [1.0]), ([one, one], [1.0]), ([one, one], [1.0, 0.0]), ([one, one], [2.0, -1.0])):
        with pytest.raises(TrainingError, match="two or more models, with a share above 0 for each"):
            averaged(data, members, shares)
    for share in (float("nan"), float("inf")):
        with pytest.raises(TrainingError, match="share"):
            averaged(data, [one, one], [1.0, share])
    for name in ("../mean", "", "a" * 65, ".hidden"):
        with pytest.raises(TrainingError, match="is no model's"):
            averaged(data, [one, one], [1.0, 1.0], name)
    assert not (data / "out").exists()
