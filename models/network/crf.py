r"""A linear-chain CRF over tags: the best path, and how sure the model is of it (Lafferty et al. 2001).

score(y) = start[y_1] + sum_t emission[t, y_t] + sum_t transition[y_{t-1}, y_t] + end[y_T],   P(y) = exp(score) / Z

A forbidden step (O to I-X) is a large negative transition, stored with the weights: no mask in code. Marginals run in
float64, for log Z of a long text is in the thousands. Texts are padded; lengths int64 [batch] say what counts.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

FORBIDDEN = -1e4


class Lattice(NamedTuple):
    """Forward and backward sums in float64, enough for any marginal.

    alpha[b, t, k] = log sum of scores of the paths up to t that end in k, emission t included;
    beta[b, t, k]  = log sum of what follows t, given k at t, emission t left out; log_z [batch].
    """

    alpha: Tensor
    beta: Tensor
    log_z: Tensor


class LinearChain(nn.Module):
    """transitions [from, to], start [tag], end [tag]."""

    def __init__(self, tags: int) -> None:
        super().__init__()
        self.transitions = nn.Parameter(torch.zeros(tags, tags))
        self.start = nn.Parameter(torch.zeros(tags))
        self.end = nn.Parameter(torch.zeros(tags))

    def forbid(self, tags: list[str]) -> None:
        """Write BIO's rule into the weights: I-X follows B-X or I-X alone."""
        with torch.no_grad():
            for to, tag in enumerate(tags):
                if not tag.startswith("I-"):
                    continue
                self.start[to] = FORBIDDEN
                for origin, before in enumerate(tags):
                    if before not in (f"B-{tag[2:]}", tag):
                        self.transitions[origin, to] = FORBIDDEN

    def score(self, emissions: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """score(y) of the given tags: emissions [batch, time, tag], tags int64 [batch, time] -> [batch]."""
        time = torch.arange(emissions.shape[1], device=emissions.device)
        inside = time < lengths[:, None]
        emission_scores = emissions.gather(2, tags[:, :, None])[:, :, 0].masked_fill(~inside, 0).sum(1)
        steps = self.transitions[tags[:, :-1], tags[:, 1:]].masked_fill(~inside[:, 1:], 0).sum(1)
        last = tags.gather(1, (lengths - 1)[:, None])[:, 0]
        return self.start[tags[:, 0]] + emission_scores + steps + self.end[last]

    def log_partition(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """log Z: [batch]."""
        alpha = self.start + emissions[:, 0]
        for t in range(1, emissions.shape[1]):
            # [batch, from, 1] + [from, to], summed over from
            ahead = torch.logsumexp(alpha[:, :, None] + self.transitions, dim=1) + emissions[:, t]
            alpha = torch.where((t < lengths)[:, None], ahead, alpha)
        return torch.logsumexp(alpha + self.end, dim=1)

    def loss(self, emissions: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """-log P(tags), summed over the batch."""
        return (self.log_partition(emissions, lengths) - self.score(emissions, tags, lengths)).sum()

    def partial_loss(self, emissions: Tensor, allowed: Tensor, lengths: Tensor) -> Tensor:
        """-log of the sum of P over the paths that use allowed tags alone, summed over the batch.

        allowed: bool [batch, time, tag]; one tag a token gives `loss`. Source: Tsuboi et al. 2008.
        """
        within = self.log_partition(emissions.masked_fill(~allowed, FORBIDDEN), lengths)
        return (self.log_partition(emissions, lengths) - within).sum()

    def viterbi(self, emissions: Tensor, lengths: Tensor) -> list[list[int]]:
        """The best path of each text; of equal ones the one of the lower tag."""
        paths: list[list[int]] = self.best_paths(emissions, lengths).tolist()
        return [row[:n] for row, n in zip(paths, lengths.tolist(), strict=True)]

    def best_paths(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """As `viterbi`, where the emissions are: int64 [batch, time], without meaning in the padding."""
        best = self.start + emissions[:, 0]
        back: list[Tensor] = []
        stay = torch.arange(best.shape[1], device=best.device).expand_as(best)
        for t in range(1, emissions.shape[1]):
            ahead, origin = (best[:, :, None] + self.transitions).max(dim=1)
            inside = (t < lengths)[:, None]
            best = torch.where(inside, ahead + emissions[:, t], best)
            back.append(torch.where(inside, origin, stay))
        tag = (best + self.end).argmax(dim=1)
        path = [tag]
        for origin in reversed(back):
            tag = origin.gather(1, tag[:, None])[:, 0]
            path.append(tag)
        return torch.stack(path[::-1], dim=1)

    def lattice(self, emissions: Tensor, lengths: Tensor) -> Lattice:
        """Forward and backward sums of a padded batch, in float64: see `Lattice`."""
        e, step = emissions.double(), self.transitions.double()
        start, end = self.start.double(), self.end.double()
        time = e.shape[1]
        alpha = [start + e[:, 0]]
        for t in range(1, time):
            alpha.append(torch.logsumexp(alpha[-1][:, :, None] + step, dim=1) + e[:, t])
        beta = [end.expand(e.shape[0], -1)]
        for t in range(time - 2, -1, -1):
            ahead = torch.logsumexp(step + (e[:, t + 1] + beta[-1])[:, None, :], dim=2)
            beta.append(torch.where((t < lengths - 1)[:, None], ahead, end))
        alphas, betas = torch.stack(alpha, 1), torch.stack(beta[::-1], 1)
        return Lattice(alphas, betas, torch.logsumexp(alphas[:, 0] + betas[:, 0], dim=1))

    def text_lattice(self, lattice: Lattice, emissions: Tensor, text: int, length: int) -> "TextLattice":
        """One text's part of a batch's lattice, padding cut off, on the host."""
        e, alpha, beta = (_host(x[text, :length]) for x in (emissions, lattice.alpha, lattice.beta))
        return TextLattice(e, _host(self.transitions), alpha, beta, float(lattice.log_z[text]))


def _host(x: Tensor) -> NDArray[np.float64]:
    out: NDArray[np.float64] = x.detach().double().cpu().numpy()
    return out


class TextLattice(NamedTuple):
    """One text in float64: emissions, alpha and beta [time, tag]; transitions [from, to]; log Z."""

    emissions: NDArray[np.float64]
    transitions: NDArray[np.float64]
    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]
    log_z: float

    def marginals(self) -> NDArray[np.float64]:
        """P(y_t = k): [time, tag], rows sum to 1."""
        return np.exp(self.alpha + self.beta - self.log_z)

    def span_probability(self, start: int, stop: int, first: int, inside: int | None) -> float:
        """P(the span is just so): tag `first` at `start`, `inside` (I-X) up to `stop`, and not I-X after it.

        Args:  start, stop in timesteps, stop exclusive; inside None where the tags know no I-X.
        """
        log_p, tag = self.alpha[start, first], first
        if stop - start > 1:
            assert inside is not None, "a span of several tokens is made of I-X"
            log_p += self.transitions[first, inside] + self.emissions[start + 1 : stop, inside].sum()
            log_p += (stop - start - 2) * self.transitions[inside, inside]
            tag = inside
        p = np.exp(log_p + self.beta[stop - 1, tag] - self.log_z)
        if inside is not None and stop < len(self.emissions):
            longer = log_p + self.transitions[tag, inside] + self.emissions[stop, inside] + self.beta[stop, inside]
            p -= np.exp(longer - self.log_z)
        return float(min(max(p, 0.0), 1.0))  # the difference of two close numbers can leave [0, 1] by rounding
