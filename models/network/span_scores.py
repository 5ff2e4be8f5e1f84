"""The exact marginals of all spans of a batch's paths at once, where the emissions are: no copy on the way.

`models.network.crf.TextLattice` has the same for one span of one text, on the host.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .crf import Lattice, LinearChain


def span_scores(
    crf: LinearChain, lattice: Lattice, emissions: Tensor, lengths: Tensor, paths: Tensor, tags: Sequence[str]
) -> Tensor:
    """P(the span is just so) of the span that begins at each timestep: float64 [batch, time], elsewhere any number.

    Args: lattice of these emissions [batch, time, tag]; paths int64 [batch, time], as `LinearChain.best_paths` gives
          them; tags: BIO, with an I-X for each B-X.
    """
    e, transitions = emissions.double(), crf.transitions.double()
    batch, time, _ = e.shape
    inside_tag, is_inside = _inside_tags(tags, e.device)
    inside = inside_tag[paths]  # I-X of each timestep's own label, -1 at O
    t = torch.arange(time, device=e.device).expand(batch, time)
    stop = _stops(is_inside[paths], inside, lengths)
    last, x = stop - 1, inside.clamp(min=0)
    along_path = e.gather(2, paths[:, :, None])[:, :, 0].cumsum(1)
    log_p = lattice.alpha.gather(2, paths[:, :, None])[:, :, 0]
    steps = transitions[paths, x] + along_path.gather(1, last) - along_path + (stop - t - 2) * transitions[x, x]
    several = stop - t > 1
    log_p = torch.where(several, log_p + steps, log_p)
    tag = torch.where(several, x, paths)
    rows = torch.arange(batch, device=e.device)[:, None]
    log_z = lattice.log_z[:, None]
    p = torch.exp(log_p + lattice.beta[rows, last, tag] - log_z)
    after = stop.clamp(max=time - 1)  # the first timestep behind the span
    longer = log_p + transitions[tag, x] + e[rows, after, x] + lattice.beta[rows, after, x]
    p = p - torch.where(stop < lengths[:, None], torch.exp(longer - log_z), 0.0)
    return p.clamp(0.0, 1.0)  # the difference of two close numbers can leave [0, 1] by rounding


def _inside_tags(tags: Sequence[str], device: torch.device) -> tuple[Tensor, Tensor]:
    """For each tag: the index of I-X of its label, -1 for O; and whether it is an I-X itself."""
    index = [list(tags).index(f"I-{tag[2:]}") if tag != "O" else -1 for tag in tags]
    return torch.tensor(index, device=device), torch.tensor([tag.startswith("I-") for tag in tags], device=device)


def _stops(is_inside: Tensor, inside: Tensor, lengths: Tensor) -> Tensor:
    """The first timestep behind the span that begins at each timestep: int64 [batch, time]."""
    batch, time = inside.shape
    t = torch.arange(time, device=inside.device)
    goes_on = is_inside & (inside == torch.nn.functional.pad(inside[:, :-1], (1, 0), value=-2))
    goes_on &= t < lengths[:, None]
    end = lengths[:, None].expand(batch, time)
    ends_at = torch.where(goes_on, end, torch.minimum(t.expand(batch, time), end))
    ahead = torch.cat([ends_at[:, 1:], end[:, :1]], dim=1)
    return ahead.flip(1).cummin(1).values.flip(1)
