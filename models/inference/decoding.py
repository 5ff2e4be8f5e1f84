"""The head's output -> labels with scores by softmax with temperature, or entities by the CRF's path and marginals."""

from collections.abc import Sequence
from operator import itemgetter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..checkpoint.checkpoint import Checkpoint
from ..network.constraints import bar
from ..network.crf import LinearChain, TextLattice
from ..network.network import Tagger
from ..network.spans import Span, to_spans
from .prediction import Array, Entity, Prediction, Prepared

Scores = tuple[tuple[str, float], ...]  # best first
_score = itemgetter(1)


class Decoder:
    """One model's logits or emissions -> predictions."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.labels, self.tags = checkpoint.labels, checkpoint.tags
        self.temperature = checkpoint.manifest.temperature
        self.crf: LinearChain | None = checkpoint.network.crf if isinstance(checkpoint.network, Tagger) else None

    def decode(self, texts: Sequence[Prepared], outputs: Tensor) -> list[Prediction]:
        """outputs: logits [batch, label] of a classifier, or a tagger's emissions [batch, time, tag], padded."""
        if self.crf is None:
            logits = _host(outputs)
            scores = self.ranked(logits)
            return [Prediction(t.tokens, z, t.known_fraction, s) for t, z, s in zip(texts, logits, scores, strict=True)]
        return self._tagged(self.crf, texts, outputs)

    def scores(self, logits: Array) -> Scores:
        """softmax(logits / temperature), best first; equal scores in the order of the labels."""
        return self.ranked(logits[None])[0]

    def ranked(self, logits: Array) -> list[Scores]:
        """As `scores`, of each row: logits [row, label]."""
        rows = softmax(logits, self.temperature).tolist()
        # Python's sort: it is stable in reverse too, and on so few labels numpy's takes ten times as long
        return [tuple(sorted(zip(self.labels, row, strict=True), key=_score, reverse=True)) for row in rows]

    def _tagged(self, crf: LinearChain, texts: Sequence[Prepared], emissions: Tensor) -> list[Prediction]:
        lengths = torch.tensor([len(t) for t in texts], device=emissions.device)
        scored = bar(emissions, [t.tokens for t in texts], self.tags)
        paths = crf.viterbi(scored, lengths)
        spans = [to_spans([self.tags[k] for k in path]) for path in paths]
        lattice = crf.lattice(scored, lengths) if any(spans) else None
        predictions = []
        for b, (text, path) in enumerate(zip(texts, paths, strict=True)):
            entities: tuple[Entity, ...] = ()
            if lattice and spans[b]:
                text_lattice = crf.text_lattice(lattice, scored, b, len(text))
                entities = tuple(self._entity(text, span, path, text_lattice) for span in spans[b])
            own = _host(emissions[b, : len(text)])
            predictions.append(Prediction(text.tokens, own, text.known_fraction, entities=entities))
        return predictions

    def from_paths(
        self, texts: Sequence[Prepared], emissions: Array, paths: NDArray[np.int32], scores: NDArray[np.float64]
    ) -> list[Prediction]:
        """A tagger's predictions, all [batch, time, ...] on the host; scores: of the span that begins at a timestep."""
        predictions = []
        for text, own, path, score in zip(texts, emissions, paths, scores, strict=True):
            n = len(text)
            spans = to_spans([self.tags[k] for k in path[:n]])
            entities = tuple(self._placed(text, span, float(score[span.start])) for span in spans)
            predictions.append(Prediction(text.tokens, own[:n], text.known_fraction, entities=entities))
        return predictions

    def _entity(self, text: Prepared, span: Span, path: Sequence[int], lattice: TextLattice) -> Entity:
        inside = self.tags.index(f"I-{span.label}")
        return self._placed(text, span, lattice.span_probability(span.start, span.stop, path[span.start], inside))

    def _placed(self, text: Prepared, span: Span, score: float) -> Entity:
        start, end = text.tokens[span.start].start, text.tokens[span.stop - 1].end
        return Entity(span.label, text.text[start:end], start, end, score)


def softmax(logits: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """exp(z / temperature) / sum, over the last axis, in float64."""
    z: NDArray[np.float64] = np.divide(logits, temperature, dtype=np.float64)
    z -= np.maximum.reduce(z, axis=-1, keepdims=True)  # in place, and by ufuncs: on so few numbers calls are the cost
    np.exp(z, out=z)
    z /= np.add.reduce(z, axis=-1, keepdims=True)
    return z


def _host(x: Tensor) -> Array:
    out: Array = x.float().cpu().numpy()
    return out
