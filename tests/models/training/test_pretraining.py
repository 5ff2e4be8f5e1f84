"""A language model learns its texts, goes on after a kill, and what starts from it has its rows."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from models.errors import TrainingError
from models.training.data import prepare
from models.training.pretraining import LanguageModel, Pretraining, pretrain
from models.training.produce import Files, produce
from models.training.recipe import Recipe
from models.training.starting import START, read_start, start_from
from models.training.train import Trainer

CPU = torch.device("cpu")
SIZES: dict[str, Any] = {
    "name": "m",
    "task": "token-classification",
    "language": "en",
    "units": 16,
    "bidirectional": True,
    "token_dimension": 8,
    "token_min_count": 1,
    "subword_dimension": 4,
    "subword_rows": 64,
    "gap_dimension": 2,
}
READ = Pretraining(
    **SIZES, epochs=12, batch_size=8, learning_rate=0.02, negatives=8, unknown_rate=0.0, input_dropout=0.0
)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.bio"
    lines = ["one two three four five .", "red green blue .", "red green", "six seven eight nine ."]
    path.write_text(
        "".join("".join(f"{w} O\n" for w in f"{line} {n}".split()) + "\n" for n in range(9) for line in lines)
    )
    return path


def notes_of(log: pytest.LogCaptureFixture) -> list[float]:
    return [float(r.getMessage().split()[-1]) for r in log.records if "loss" in r.getMessage()]


def test_it_learns_which_word_follows(texts: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    pretrain(READ, [texts], tmp_path / "lm", CPU)
    losses = notes_of(caplog)
    assert losses[-1] < losses[0] - 0.5


@pytest.mark.parametrize("reads_bigrams", [False, True])
def test_the_sampled_loss_with_every_form_once_is_the_full_one(
    reads_bigrams: bool, texts: Path, tmp_path: Path
) -> None:
    """With each form sampled once and expected once, the sampled softmax is the softmax.

    A bigram tells the reverse states the token before, so that they predict the one before that.
    """
    from models.training.batches import collate
    from models.training.data import choose_features, encode_rows, read_rows

    rows = read_rows("token-classification", "en", texts)[:3]
    recipe = READ.model_copy(update={"bigram_dimension": 4 if reads_bigrams else 0})
    features = choose_features(recipe, [row.text for row in rows])
    model = LanguageModel(recipe, features).eval()
    batch = collate(encode_rows(rows, "mixed", features, (), None))
    forms, every = batch.ids["token"][:, :, 0], torch.arange(features[0].rows)
    found = model.loss(batch, forms, every, torch.zeros(len(every)))
    run = model.encoder(model.embedding(batch.ids), batch.lengths)
    want = []
    for b, n in enumerate(batch.lengths.tolist()):
        reach = 2 if reads_bigrams else 1
        for d, pairs in enumerate(([(t, t + 1) for t in range(n - 1)], [(t + reach, t) for t in range(n - reach)])):
            for here, there in pairs:
                logits = model.outputs[d] @ run.hidden_states[0][d][b, here] + model.biases[d]
                want.append(-torch.log_softmax(logits, 0)[forms[b, there]])
    assert float(found.detach()) == pytest.approx(float(torch.stack(want).mean().detach()), rel=1e-4)


def test_it_begins_from_static_vectors(texts: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8))
    (tmp_path / "forms.txt").write_text("red\nabsent")
    still = READ.model_copy(update={"epochs": 1, "learning_rate": 1e-12})
    path = pretrain(still, [texts], tmp_path / "lm", CPU, (tmp_path / "v.npy", tmp_path / "forms.txt"))
    with safe_open(path, "pt") as file:
        forms = json.loads(file.metadata()["forms"])["token"].split("\n")
    row = load_file(path)["embedding.token"][forms.index("red")].numpy()
    vector = np.linspace(-1, 1, 16)[:8]
    np.testing.assert_allclose(row, 0.1 * vector / vector.std(ddof=1), rtol=1e-4)


class Killed(Exception):
    pass


def test_a_killed_run_goes_on_to_the_same_weights(texts: Path, tmp_path: Path) -> None:
    recipe = READ.model_copy(update={"epochs": 3, "unknown_rate": 0.2, "input_dropout": 0.2})
    pretrain(recipe, [texts], tmp_path / "whole", CPU)
    epochs = 0

    def kill_in_the_second_epoch(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
        nonlocal epochs
        epochs += 1
        if epochs == 2:
            raise Killed
        return items

    with pytest.raises(Killed):
        pretrain(recipe, [texts], tmp_path / "killed", CPU, progress=kill_in_the_second_epoch)
    pretrain(recipe, [texts], tmp_path / "killed", CPU)
    whole, resumed = (load_file(tmp_path / name / START) for name in ("whole", "killed"))
    assert all(torch.equal(value, resumed[key]) for key, value in whole.items())
    with pytest.raises(TrainingError, match="another recipe"):
        pretrain(recipe.model_copy(update={"units": 8}), [texts], tmp_path / "killed", CPU)


def test_a_model_starts_with_the_rows_of_the_forms_that_both_know(texts: Path, tmp_path: Path) -> None:
    path = pretrain(READ.model_copy(update={"epochs": 1}), [texts], tmp_path / "lm", CPU)
    data = tmp_path / "data.bio"
    data.write_text("seven B-X\nred O\nunheard O\n\n")
    corpus = prepare(Recipe(**SIZES), data, data)
    trainer = Trainer(corpus.recipe, corpus, CPU)
    before = trainer.network.embedding.tables["token"].detach().clone()
    trainer.start(read_start(path))
    vocabulary, tensors = corpus.features[0].vocabulary, load_file(path)
    assert vocabulary is not None
    after = trainer.network.embedding.tables["token"].detach()
    assert torch.equal(after[vocabulary.id("unheard")], before[vocabulary.id("unheard")])
    assert not torch.equal(after[vocabulary.id("seven")], before[vocabulary.id("seven")])
    assert torch.equal(trainer.network.embedding.tables["subword"], tensors["embedding.subword"])
    assert torch.equal(
        trainer.network.encoder.recurrence(0, "reverse").weights.weight_hh, tensors["layer0.reverse.weight_hh"]
    )
    assert torch.equal(trainer.average["embedding.tables.token"], after)
    other = Trainer(Recipe(**{**SIZES, "units": 8}), corpus, CPU)
    with pytest.raises(TrainingError, match="must agree"):
        start_from(read_start(path), other.network, ())
    with pytest.raises(TrainingError, match="pretrain"):
        read_start(data)


def test_a_model_can_keep_every_form_of_what_it_starts_from(texts: Path, tmp_path: Path) -> None:
    """Words and pairs that no training row has keep the rows that the language model learned for them."""
    bigrams = {"bigram_dimension": 4, "bigram_min_count": 1}
    path = pretrain(READ.model_copy(update={"epochs": 1, **bigrams}), [texts], tmp_path / "lm", CPU)
    data = tmp_path / "data.bio"
    data.write_text("seven B-X\nred O\nunheard O\n\n")
    recipe = Recipe(**{**SIZES, **bigrams}, epochs=1, start_forms=True, weight_decay=0.0)
    files = Files(data, data, tmp_path, start=path)
    made = produce(recipe, files, CPU, "the command").network
    tensors, known = load_file(path), read_start(path).vocabularies
    for feature, unread in zip(made.architecture.features, ("blue", "red green"), strict=False):  # token and bigram
        vocabulary, learned = feature.vocabulary, tensors[f"embedding.{feature.kind}"].numpy().astype(np.float16)
        assert vocabulary is not None
        assert vocabulary.forms == known[feature.kind].forms
        place, found = vocabulary.id(unread), made.embedding.tables[feature.kind].numpy()
        np.testing.assert_array_equal(found[place], learned[place])
        assert np.any(found != learned)
    with pytest.raises(TrainingError, match="give it as --start"):
        produce(recipe, Files(data, data, tmp_path / "other"), CPU, "the command")
