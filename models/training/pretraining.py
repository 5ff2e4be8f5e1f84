r"""A language model whose tables and recurrences other models start from: the next word from what came before it, and
the previous word from what comes after.

The forward states h_t predict the form of token t+1, the reverse states that of t-1, each by a softmax over the true
form and `negatives` sampled ones, whose logits are corrected by the log of how often a form is sampled. Where bigrams
(t-1, t) are read, the reverse h_t has seen t-1 and predicts t-2.

Source: Dai & Le 2015 (starting from a language model); Jean et al. 2015 (sampled softmax).
"""

import hashlib
import json
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ..errors import TrainingError
from ..network.embedding import Embedding
from ..recurrence.encoder import Encoder
from ..text.features import Feature, text_ids
from ..text.tokenizers import TOKENIZERS
from ..text.vocabulary import UNKNOWN
from .augmentation import Augmenter
from .batches import Batch, Example, hide_ids, shuffled
from .corpora import LabelledText
from .data import choose_features, read_texts
from .recipe import Recipe
from .starting import START, fill_table, write_start
from .state import load_state, read_notes, save_state
from .train import Progress, quiet

log = logging.getLogger(__name__)


class Pretraining(Recipe):
    """A recipe, of which the fields of the input, the recurrence, the noise and the optimiser count, and two more."""

    negatives: Annotated[int, Field(ge=1, le=100_000)] = Field(1000, description="sampled forms a batch")
    flattening: Annotated[float, Field(gt=0, le=1)] = Field(0.75, description="power of a form's frequency in sampling")


class LanguageModel(nn.Module):
    """Embedding, one layer in both directions, and for each direction a vector and a bias a form."""

    def __init__(self, recipe: Pretraining, features: Sequence[Feature]) -> None:
        super().__init__()
        self.embedding = Embedding(features)
        self.encoder = Encoder(recipe.cell, self.embedding.size, recipe.units, 1, recipe.directions)
        forms = features[0].rows
        self.dropout = nn.Dropout(recipe.input_dropout)
        self.outputs = nn.ParameterList(torch.zeros(forms, recipe.units) for _ in recipe.directions)
        self.biases = nn.ParameterList(torch.zeros(forms) for _ in recipe.directions)
        self.rounded = recipe.bfloat16
        self.reverse_reach = 2 if any(feature.kind == "bigram" for feature in features) else 1
        self.embedding.reset()
        self.encoder.reset()
        for vectors in self.outputs:
            nn.init.normal_(vectors, std=recipe.units**-0.5)

    def loss(self, batch: Batch, forms: Tensor, sampled: Tensor, log_expected: Tensor) -> Tensor:
        """Mean -log P of the next and of the previous form, over the forms that the vocabulary knows.

        batch: what is read; forms: int64 [batch, time], what is to be predicted; sampled: int64 [n], the wrong answers;
        log_expected: [form], log of how often a form is expected among the sampled.
        """
        with torch.autocast(forms.device.type, torch.bfloat16, enabled=self.rounded):
            run = self.encoder(self.dropout(self.embedding(batch.ids)), batch.lengths)
        total, predicted = torch.zeros((), device=forms.device), 0
        steps = torch.arange(forms.shape[1], device=forms.device)
        for direction, states in enumerate(run.hidden_states[0]):
            reach = self.reverse_reach if direction else 1
            earlier, later = slice(None, -reach), slice(reach, None)
            reading, predicting = (later, earlier) if direction else (earlier, later)
            known = (steps[later] < batch.lengths[:, None]) & (forms[:, predicting] > UNKNOWN)
            h, target = states[:, reading].float()[known], forms[:, predicting][known]
            vectors, bias = self.outputs[direction], self.biases[direction] - log_expected
            right = (h * vectors[target]).sum(1) + bias[target]
            wrong = (h @ vectors[sampled].T + bias[sampled]).masked_fill(sampled == target[:, None], float("-inf"))
            total = total + (torch.logsumexp(torch.cat([right[:, None], wrong], 1), 1) - right).sum()
            predicted += len(target)
        return total / max(1, predicted)


class _Run:
    """A language model under way: what it reads, its optimiser, and how far it is."""

    def __init__(
        self, recipe: Pretraining, files: Sequence[Path], device: torch.device, vectors: tuple[Path, Path] | None
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device = recipe, device
        self.rows = [row for path in files for row in _texts(recipe, path)]
        self.features = choose_features(recipe, [row.text for row in self.rows])
        self.model = LanguageModel(recipe, self.features).to(device)
        if vectors:
            fill_table(self.model.embedding, self.features[0], *vectors)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        self.frequencies = self._frequencies().to(device)
        self.log_expected = (self.frequencies * recipe.negatives).clamp(min=1e-12).log()
        self.losses: list[float] = []

    @property
    def notes(self) -> dict[str, Any]:
        digest = hashlib.sha256("\n".join(row.text for row in self.rows).encode("utf-8", "surrogatepass")).hexdigest()
        return {"recipe": json.loads(self.recipe.model_dump_json()), "texts": digest, "losses": self.losses}

    def epoch(self, progress: Progress[Any]) -> None:
        epoch, recipe = len(self.losses), self.recipe
        torch.manual_seed(recipe.seed * 100_003 + epoch)
        batches = math.ceil(len(self.rows) / recipe.batch_size)
        self.model.train()
        total, done = 0.0, epoch * batches
        drawn = self._batches(np.random.default_rng((recipe.seed, epoch)))
        for batch in progress(drawn, batches, f"epoch {epoch + 1}/{recipe.epochs}"):
            steps = recipe.epochs * batches
            warm, left = max(1, int(steps * recipe.warmup)), 1 - done / steps
            for group in self.optimizer.param_groups:
                group["lr"] = recipe.learning_rate * min(1.0, (done + 1) / warm, left)
            total, done = total + self._step(batch.to(self.device)), done + 1
        self.losses.append(round(total / batches, 4))
        log.info("epoch %d: loss %.4f", epoch + 1, self.losses[-1])

    def _step(self, batch: Batch) -> float:
        hidden = replace(batch, ids=hide_ids(batch.ids, self.recipe.unknown_rate))
        sampled = torch.multinomial(self.frequencies, self.recipe.negatives, replacement=True)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.model.loss(hidden, batch.ids["token"][:, :, 0], sampled, self.log_expected)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.gradient_clip)
        self.optimizer.step()
        return float(loss.detach())

    def _batches(self, random: np.random.Generator) -> Iterator[Batch]:
        augmented = Augmenter(self.recipe.noise, self.recipe.language).rows(self.rows, random)
        tokenize = TOKENIZERS[self.recipe.tokenizer]
        texts = (tokenize(row.text)[: self.recipe.max_tokens] for row in augmented)
        examples = [Example(text_ids(self.features, tokens), _NO_TARGET) for tokens in texts]
        return shuffled(examples, self.recipe.batch_size, random)

    def _frequencies(self) -> Tensor:
        """How often each form is sampled as a wrong answer: its share of the texts, flattened; reserved ones never."""
        vocabulary, tokenize = self.features[0].vocabulary, TOKENIZERS[self.recipe.tokenizer]
        assert vocabulary is not None
        counts = torch.zeros(len(vocabulary))
        for row in self.rows:
            ids = torch.tensor(vocabulary.ids(tokenize(row.text).forms))
            counts += torch.bincount(ids, minlength=len(vocabulary))
        counts[: UNKNOWN + 1] = 0
        flat: Tensor = counts**self.recipe.flattening
        return flat / flat.sum()


_NO_TARGET = np.array(0)


def pretrain(
    recipe: Pretraining,
    files: Sequence[Path],
    folder: Path,
    device: torch.device,
    vectors: tuple[Path, Path] | None = None,
    progress: Progress[Any] = quiet,
) -> Path:
    """Read the texts of labelled files and write what `Trainer.start` reads to `folder`.

    vectors: static vectors that the token table begins from, and their forms, see `static_vectors`.
    A killed run goes on from the state file in `folder`.
    Raises: BadRow, TrainingError where the state belongs to another recipe or other texts.
    """
    run, state = _Run(recipe, files, device, vectors), folder / "state.safetensors"
    if state.exists():
        found = read_notes(state)
        if any(found.get(key) != run.notes[key] for key in ("recipe", "texts")):
            raise TrainingError(f"{state} belongs to another recipe or other texts: remove it to start anew")
        load_state(state, run.model, run.optimizer)
        run.losses = found["losses"]
    while len(run.losses) < recipe.epochs:
        run.epoch(progress)
        save_state(state, run.model, run.optimizer, {}, {}, run.notes)
        write_start(folder / START, run.model, run.features)
    return folder / START


def _texts(recipe: Pretraining, path: Path) -> list[LabelledText]:
    """The texts of a file, JSON lines or two columns; one that stands within a longer one of the file is left out."""
    texts = sorted(set(read_texts(recipe.language, path)), key=lambda text: (-len(text), text))
    longer, kept = "", []
    for text in texts:
        if text not in longer:
            kept.append(text)
            longer += f"\n{text}"
    return [LabelledText(text, "") for text in kept]
