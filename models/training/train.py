"""The training loop: AdamW, a running mean of the weights, early stopping on dev, resumable after a kill.

Each epoch draws its randomness from (seed, epoch) alone, so a run that was killed and resumed gives what it would have.
"""

import contextlib
import dataclasses
import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import TrainingError
from ..network.network import Architecture, Classifier, Tagger, build
from ..network.spans import bio_tags
from ..runtime.runner import TorchRunner
from ..text.features import Feature
from . import resuming
from .batches import Batch, hide_ids, shuffled
from .calibration import divide_scores, label_biases, tagger_temperature
from .data import Corpus
from .metrics import summary
from .predicted import Predicted, predict_examples
from .recipe import Recipe
from .starting import Start, fill_table, outputs_of, start_from
from .state import load_state, read_notes, save_state

log = logging.getLogger(__name__)
Item = TypeVar("Item")
Progress = Callable[[Iterable[Item], int, str], Iterable[Item]]  # (items, total, what) -> the same items, shown


def quiet(items: Iterable[Item], total: int, what: str) -> Iterable[Item]:
    return items


@dataclass(frozen=True)
class Epoch:
    """One row of the learning curve."""

    epoch: int
    loss: float
    dev: float


@dataclass(frozen=True)
class Trained:
    """The network with its best averaged weights, what it says of dev, and how it got there."""

    network: Classifier | Tagger
    dev: Predicted
    curve: tuple[Epoch, ...]


class Trainer:
    def __init__(self, recipe: Recipe, corpus: Corpus, device: torch.device, state: Path | None = None) -> None:
        """state: the file in which a run can be resumed; None where it need not."""
        torch.manual_seed(recipe.seed)
        self.recipe, self.corpus, self.device, self.state = recipe, corpus, device, state
        self.network = network_of(recipe, corpus.features, corpus.labels)
        self.network.reset()
        if isinstance(self.network, Tagger):
            self.network.crf.forbid(bio_tags(corpus.labels))
        self.network.to(device)
        self.runner = TorchRunner(self.network, device)
        self.frozen: tuple[Tensor, Tensor] | None = None  # rows of the token table, and what they stay
        weights = corpus.class_weights
        self.class_weights = None if weights is None else torch.tensor(weights, device=device)
        self.steps = sum(math.ceil(corpus.rows(e) / recipe.batch_size) for e in range(recipe.epochs))
        self.prior = torch.from_numpy(corpus.prior).to(device)
        self.done = 0
        decayed = [p for n, p in self.network.named_parameters() if p.ndim > 1 and not n.startswith("crf.")]
        plain = [p for n, p in self.network.named_parameters() if p.ndim <= 1 or n.startswith("crf.")]
        groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.best = self.average
        self.curve: list[Epoch] = []

    def use_vectors(self, vectors: Path, forms: Path) -> None:
        """Start the token table from static vectors."""
        rows, values = fill_table(self.network.embedding, self.corpus.features[0], vectors, forms)
        self.average["embedding.tables.token"] = self.network.embedding.tables["token"].detach().clone()
        if self.recipe.freeze_vectors:
            self.frozen = rows, values

    def start(self, start: Start) -> None:
        """Begin from a language model that `pretraining.pretrain` wrote, or from a model."""
        rows = start_from(start, self.network, outputs_of(self.recipe.task, self.corpus.labels))
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        forms = sum(len(feature.vocabulary) for feature in self.corpus.features if feature.vocabulary)
        log.info("%s has rows for %d of %d words and pairs", start.path.name, rows, forms)

    def run(self, progress: Progress[Any] = quiet) -> Trained:
        """Train to the end, from where the state file left off if there is one.

        Raises: TrainingError where the state file belongs to another recipe or to other data.
        """
        self._resume()
        while len(self.curve) < self.recipe.epochs and not self._is_over():
            epoch = len(self.curve)
            loss = self._epoch(epoch, progress)
            with self._averaged():
                dev = summary(self.runner, self.corpus.labels, self.corpus.dev, self.recipe.balance)
            if not self.curve or dev > max(row.dev for row in self.curve):
                self.best = {k: v.clone() for k, v in self.average.items()}
            self.curve.append(Epoch(epoch, loss, dev))
            log.info("epoch %d: loss %.4f, dev %.4f", epoch + 1, loss, dev)
            self._save()
        self.network.load_state_dict(self.best)
        self.network.eval()
        self._calibrate()
        return Trained(self.network, predict_examples(self.runner, self.corpus.dev), tuple(self.curve))

    @torch.no_grad()
    def _calibrate(self) -> None:
        """What the recipe asks for once the weights stand; a classifier's temperature goes to its manifest instead."""
        if isinstance(self.network, Tagger):
            self.network.head.bias[0] += self.recipe.outside_bias
            temperature = tagger_temperature(self.runner, self.network, self.corpus.dev, self.corpus.labels)
            divide_scores(self.network, temperature)
        elif self.recipe.label_biases:
            biases = label_biases(predict_examples(self.runner, self.corpus.dev))
            self.network.head.bias.add_(torch.from_numpy(biases).to(self.network.head.bias))

    def _is_over(self) -> bool:
        return resuming.has_stopped([row.dev for row in self.curve], self.recipe.patience)

    def _epoch(self, epoch: int, progress: Progress[Any]) -> float:
        torch.manual_seed(self.recipe.seed * 100_003 + epoch)
        random = np.random.default_rng((self.recipe.seed, epoch))
        rows, total, seen = self.corpus.examples(epoch, random), 0.0, 0
        self.network.train()
        batches = shuffled(rows, self.recipe.batch_size, random)
        for batch in progress(
            batches, math.ceil(len(rows) / self.recipe.batch_size), f"epoch {epoch + 1}/{self.recipe.epochs}"
        ):
            total += self._step(batch.to(self.device)) * len(batch.lengths)
            seen += len(batch.lengths)
        return total / seen

    def _step(self, batch: Batch) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._loss(dataclasses.replace(batch, ids=hide_ids(batch.ids, self.recipe.unknown_rate)))
        if not bool(torch.isfinite(loss)):
            raise TrainingError(
                f"the loss is {float(loss)} after {self.done} steps: lower learning_rate or gradient_clip"
            )
        loss.backward()  # type: ignore[no-untyped-call]
        table = self.network.embedding.tables["token"]
        if self.frozen is not None and table.grad is not None:
            table.grad[self.frozen[0]] = 0
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.gradient_clip)
        self.optimizer.step()
        if self.frozen is not None:
            table.data[self.frozen[0]] = self.frozen[1]  # weight decay moves rows without a gradient, too
        self.done += 1
        self._follow()
        return float(loss.detach())

    def _loss(self, batch: Batch) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.bfloat16):
            run = self.network.run(batch.ids, batch.lengths)
        run = dataclasses.replace(
            run, hidden_states=tuple(tuple(h.float() for h in layer) for layer in run.hidden_states)
        )
        if isinstance(self.network, Tagger):
            crf, emissions = self.network.crf, self.network.emissions(run)
            if batch.allowed is not None:
                return crf.partial_loss(emissions, batch.allowed, batch.lengths) / len(batch.lengths)
            return crf.loss(emissions, batch.targets, batch.lengths) / len(batch.lengths)
        return self._classes_loss(self.network.logits(run), batch)

    def _classes_loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Cross entropy, each text weighed as its class is; of a text without a label against the prior.

        Where teachers have answered q (no row of zeros), `teacher_share` of it is H(q, p), see `teachers`. A file's
        own frequencies are no part of what they answer, nor of p.
        """
        labelled, chosen, logs = batch.targets >= 0, batch.targets.clamp(min=0), torch.log_softmax(logits, dim=1)
        losses = nn.functional.cross_entropy(
            logits if batch.offsets is None else logits + batch.offsets,
            chosen,
            self.class_weights,
            reduction="none",
            label_smoothing=self.recipe.label_smoothing,
        )
        weights = torch.ones_like(losses) if self.class_weights is None else self.class_weights[chosen]
        if batch.taught is not None:
            share = self.recipe.teacher_share * batch.taught.any(dim=1)
            losses = (1 - share) * losses - share * weights * (batch.taught * logs).sum(1)
        losses = torch.where(labelled, losses, -(self.prior * logs).sum(1))
        return losses.sum() / torch.where(labelled, weights, 1.0).sum()

    def _learning_rate(self) -> float:
        """Up in a line, then down in a line to zero."""
        warm = max(1, int(self.steps * self.recipe.warmup))
        rate = min(1.0, (self.done + 1) / warm, (self.steps - self.done) / max(1, self.steps - warm))
        return self.recipe.learning_rate * rate

    @torch.no_grad()
    def _follow(self) -> None:
        """average <- d * average + (1 - d) * weights, d rising to the recipe's decay."""
        decay = min(self.recipe.average, (1 + self.done) / (10 + self.done))
        for key, value in self.network.state_dict().items():
            self.average[key].lerp_(value, 1 - decay)

    @contextlib.contextmanager
    def _averaged(self) -> Any:
        """The network with its averaged weights, in eval mode, for a while."""
        kept = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.network.load_state_dict(self.average)
        self.network.eval()
        try:
            yield
        finally:
            self.network.load_state_dict(kept)

    def _save(self) -> None:
        if self.state is not None:
            notes = {
                "recipe": self.recipe.model_dump(),
                "data": self.corpus.sha256,
                "curve": [dataclasses.astuple(row) for row in self.curve],
                "done": self.done,
            }
            save_state(self.state, self.network, self.optimizer, self.average, self.best, notes)

    def _resume(self) -> None:
        """Go on with the run of the state file, unless that one is finished and was another."""
        if self.state is None or not self.state.exists():
            return
        notes = read_notes(self.state)
        if difference := resuming.difference(notes, self.recipe, self.corpus.sha256):
            if not resuming.is_finished(notes):
                raise TrainingError(
                    f"{self.state} belongs to {difference}: go on with that one, or remove the file to start anew"
                )
            log.info("%s holds a finished run and belongs to %s: starting anew", self.state, difference)
            return
        self.average, self.best, notes = load_state(self.state, self.network, self.optimizer)
        self.curve, self.done = [Epoch(*row) for row in notes["curve"]], notes["done"]
        log.info("going on after epoch %d", len(self.curve))
        if self._is_over() and len(self.curve) < self.recipe.epochs:
            log.info("dev has not risen for %d epochs, which is --patience: raise it to go on", self.recipe.patience)


def network_of(recipe: Recipe, features: tuple[Feature, ...], labels: tuple[str, ...]) -> Classifier | Tagger:
    outputs = len(outputs_of(recipe.task, labels))
    shape = Architecture(
        recipe.task, recipe.cell, features, recipe.units, recipe.layers, recipe.directions, outputs, recipe.reads
    )
    return build(shape, (recipe.input_dropout, recipe.layer_dropout, recipe.head_dropout))
