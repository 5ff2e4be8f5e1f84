"""What a method explains: one logit of one text, and the runs of the network that a method may ask for.

A text with tokens left out is read as if they had never been there: their neighbours stand side by side. A tagger is
read where its token has moved to or, without that token, at the gap: the forward state before it, the reverse state
after it. With nothing left all states are the initial ones, zero, and the logit is the head's bias.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..network.constraints import bar
from ..network.network import Classifier, Tagger
from ..recurrence.encoder import Pass
from ..runtime.grouping import similar_lengths
from ..runtime.runner import Activations, Runner
from ..text.features import TextIds, batch_ids, kept_ids
from ..text.tokens import Tokens
from .arrays import host
from .attribution import Output

BATCH_TOKENS = 16384  # padded tokens that are re-run together at most
Kept = Sequence[int]  # timesteps of the text that are read, ascending


class TextRuns:
    """One text on one runner; its own pass runs once, whoever asks for it. tags: names of a tagger's outputs."""

    def __init__(self, runner: Runner, tokens: Tokens, ids: TextIds, tags: Sequence[str] = ()) -> None:
        self.runner, self.tokens, self.ids, self.tags = runner, tokens, ids, tuple(tags)
        self._run: Pass | None = None
        self._activations: Activations | None = None

    @property
    def network(self) -> Classifier | Tagger:
        return self.runner.network

    @property
    def reads_prefixes_at_once(self) -> bool:
        """Forward-only and read from the last state: h_t is the state of the text cut after t."""
        architecture = self.network.architecture
        return architecture.directions == ("forward",) and architecture.reads == "last_state"

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def run(self) -> Pass:
        """The pass over the whole text."""
        if self._run is None:
            self._run, _ = self.runner.run(batch_ids([self.ids]), torch.tensor([len(self)]), "nothing")
        return self._run

    def record(self) -> tuple[Pass, Activations]:
        """The same with everything that happened in it."""
        if self._activations is None:
            self._run, self._activations = self.runner.run(
                batch_ids([self.ids]), torch.tensor([len(self)]), "everything"
            )
        assert self._run is not None
        assert self._activations is not None
        return self._run, self._activations

    def outputs(self) -> NDArray[np.float32]:
        """The whole text's logits [label], or emissions [time, tag]."""
        values: NDArray[np.float32] = self.runner.outputs(self.run)[0].cpu().numpy()
        return values

    def decoded(self) -> list[int]:
        """A tagger's best path, as it is predicted."""
        assert isinstance(self.network, Tagger)
        emissions = bar(self.network.emissions(self.run), [self.tokens], self.tags)
        return self.network.crf.viterbi(emissions, self.run.lengths)[0]

    def outputs_of_kept(self, kept: Sequence[Kept], timestep: int | None) -> NDArray[np.float64]:
        """Logits of the text with only some tokens left, one row for each entry of `kept`: [kept, output].

        timestep: a tagger's; the row is the emission there.
        """
        rows = np.tile(host(self.network.head.bias).astype(np.float64), (len(kept), 1))
        read = [n for n in range(len(kept)) if kept[n]]
        for group in similar_lengths([len(kept[n]) for n in read], BATCH_TOKENS):
            places = [read[n] for n in group]
            ids = [kept_ids(self.network.architecture.features, self.tokens, self.ids, kept[n]) for n in places]
            lengths = torch.tensor([len(kept[n]) for n in places])
            run, _ = self.runner.run(batch_ids(ids), lengths, "nothing")
            if timestep is None:
                rows[places] = host(self.runner.outputs(run))
            else:
                rows[places] = _emissions_at(self.network, run, [kept[n] for n in places], timestep)
        return rows


@dataclass(frozen=True)
class Subject:
    """One logit of a text."""

    runs: TextRuns
    output: Output

    def __len__(self) -> int:
        return len(self.runs)

    @property
    def network(self) -> Classifier | Tagger:
        return self.runs.network

    @property
    def timesteps(self) -> list[int] | None:
        """As `read_out` takes them for one text."""
        return None if self.output.timestep is None else [self.output.timestep]

    @property
    def logit(self) -> float:
        values = self.runs.outputs()
        at = values if self.output.timestep is None else values[self.output.timestep]
        return float(at[self.output.index])

    @property
    def bias(self) -> float:
        """The logit of nothing read."""
        return float(self.network.head.bias[self.output.index])

    @property
    def seed(self) -> int:
        """Of a method that draws: the same text and output always give the same answer."""
        what = f"{self.output.index}/{self.output.timestep}/{self.runs.tokens.text}"
        return int.from_bytes(blake2b(what.encode("utf-8", "surrogatepass"), digest_size=8).digest())

    def logits_of_kept(self, kept: Sequence[Kept]) -> NDArray[np.float64]:
        """The logit with only some tokens left: [kept]."""
        return self.runs.outputs_of_kept(kept, self.output.timestep)[:, self.output.index]


def _emissions_at(network: Classifier | Tagger, run: Pass, kept: Sequence[Kept], timestep: int) -> NDArray[np.float32]:
    states: list[Tensor] = []
    rows = torch.arange(len(kept), device=run.top.device)
    inside = (torch.arange(run.top.shape[1], device=run.top.device) < run.lengths[:, None])[:, :, None]
    for d, h in enumerate(run.hidden_states[-1]):
        # before the first token and after the last the state is zero
        h = torch.nn.functional.pad(h.masked_fill(~inside, 0), (0, 0, 1, 1))
        places = []
        for tokens in kept:
            place = bisect_left(tokens, timestep)
            is_there = place < len(tokens) and tokens[place] == timestep
            places.append(place if is_there else place - 1 + d)  # forward: the token before; reverse: the one after
        states.append(h[rows, torch.tensor(places, device=h.device) + 1])
    values: NDArray[np.float32] = host(network.head(torch.cat(states, dim=-1)))
    return values
