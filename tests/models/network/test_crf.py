"""The CRF against a sum over every path."""

import itertools

import numpy as np
import pytest
import torch

from models.network.crf import FORBIDDEN, LinearChain
from models.network.spans import bio_tags

from ...oracles import all_paths

TAGS = bio_tags(("LOC", "PER"))


@pytest.fixture
def chain() -> LinearChain:
    torch.manual_seed(2)
    chain = LinearChain(len(TAGS))
    for parameter in chain.parameters():
        torch.nn.init.normal_(parameter)
    chain.forbid(TAGS)
    return chain.requires_grad_(False)


def paths_of(chain: LinearChain, emissions: torch.Tensor) -> list[tuple[tuple[int, ...], float]]:
    parts = (chain.transitions, chain.start, chain.end)
    return list(all_paths(emissions.double().numpy(), *(p.detach().double().numpy() for p in parts)))


def ragged(seed: int, lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(lengths), max(lengths), len(TAGS), generator=generator) * 2, torch.tensor(lengths)


@pytest.mark.parametrize("seed", range(4))
def test_viterbi_equals_brute_force(chain: LinearChain, seed: int) -> None:
    emissions, lengths = ragged(seed, [4, 1, 5, 3])
    for row, path in enumerate(chain.viterbi(emissions, lengths)):
        best = max(paths_of(chain, emissions[row, : lengths[row]]), key=lambda p: p[1])
        assert tuple(path) == best[0]


def test_partition_marginals_and_loss_equal_brute_force(chain: LinearChain) -> None:
    emissions, lengths = ragged(7, [4, 1, 5])
    lattice = chain.lattice(emissions, lengths)
    for row, n in enumerate(lengths.tolist()):
        paths = paths_of(chain, emissions[row, :n])
        log_z = np.logaddexp.reduce([s for _, s in paths])
        assert float(lattice.log_z[row]) == pytest.approx(log_z, abs=1e-9)
        assert float(chain.log_partition(emissions, lengths)[row]) == pytest.approx(log_z, abs=1e-4)
        want = np.zeros((n, len(TAGS)))
        for path, score in paths:
            want[range(n), path] += np.exp(score - log_z)
        got = chain.text_lattice(lattice, emissions, row, n).marginals()
        assert np.abs(got - want).max() < 1e-9
        path, score = paths[len(paths) // 3]
        one = torch.tensor([path])
        loss = chain.loss(emissions[row : row + 1, :n], one, torch.tensor([n]))
        assert float(loss) == pytest.approx(log_z - score, rel=1e-4, abs=1e-3)


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (0, 3), (1, 3), (2, 5), (4, 5), (0, 5)])
@pytest.mark.parametrize("first", ["B-LOC", "I-LOC", "B-PER"])
def test_span_probability_equals_brute_force(chain: LinearChain, start: int, stop: int, first: str) -> None:
    emissions, lengths = ragged(11, [5, 2])
    inside = TAGS.index(f"I-{first[2:]}")
    want_tags = [TAGS.index(first)] + [inside] * (stop - start - 1)
    paths = paths_of(chain, emissions[0])
    log_z = np.logaddexp.reduce([s for _, s in paths])
    want = sum(
        np.exp(s - log_z) for p, s in paths if list(p[start:stop]) == want_tags and (stop == 5 or p[stop] != inside)
    )
    lattice = chain.text_lattice(chain.lattice(emissions, lengths), emissions, 0, 5)
    assert lattice.span_probability(start, stop, want_tags[0], inside) == pytest.approx(want, abs=1e-9)


def test_no_decoded_path_takes_a_forbidden_step(chain: LinearChain) -> None:
    emissions, lengths = ragged(5, [30] * 8)
    for path in chain.viterbi(emissions, lengths):
        for a, b in itertools.pairwise(["O", *(TAGS[k] for k in path)]):
            assert not (b.startswith("I-") and a[2:] != b[2:])
    assert float(chain.transitions.min()) == FORBIDDEN


def test_the_gradient_of_the_loss_equals_finite_differences(chain: LinearChain) -> None:
    emissions, lengths = ragged(3, [4, 2])
    tags = torch.tensor([[0, 1, 2, 0], [3, 4, 0, 0]])
    double = LinearChain(len(TAGS)).double().requires_grad_(False)
    for name, value in chain.state_dict().items():
        getattr(double, name).copy_(value.clamp(min=-50))
    wanted = (emissions.double().requires_grad_(), double.transitions.clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda e, t: _loss(double, e, t, tags, lengths), wanted)


def _loss(
    chain: LinearChain, emissions: torch.Tensor, transitions: torch.Tensor, tags: torch.Tensor, lengths: torch.Tensor
) -> torch.Tensor:
    kept = chain.transitions
    del chain.transitions
    chain.transitions = transitions  # type: ignore[assignment]
    try:
        return chain.loss(emissions, tags, lengths)
    finally:
        del chain.transitions
        chain.transitions = kept


def test_marginals_of_a_long_text_still_sum_to_one(chain: LinearChain) -> None:
    emissions, lengths = ragged(1, [4000])
    marginals = chain.text_lattice(chain.lattice(emissions * 10, lengths), emissions * 10, 0, 4000).marginals()
    assert np.abs(marginals.sum(1) - 1).max() < 1e-9


def test_the_partial_loss_equals_brute_force_over_the_allowed_paths(chain: LinearChain) -> None:
    emissions, lengths = ragged(17, [4, 2, 5])
    random = np.random.default_rng(3)
    allowed = torch.from_numpy(random.random((3, 5, len(TAGS))) < 0.5)
    allowed[:, :, 0] = True
    want = 0.0
    for row, n in enumerate(lengths.tolist()):
        paths = paths_of(chain, emissions[row, :n])
        inside = [s for path, s in paths if all(allowed[row, t, k] for t, k in enumerate(path))]
        want += np.logaddexp.reduce([s for _, s in paths]) - np.logaddexp.reduce(inside)
    assert float(chain.partial_loss(emissions, allowed, lengths)) == pytest.approx(want, rel=1e-4)


def test_the_partial_loss_of_one_tag_a_token_is_the_loss(chain: LinearChain) -> None:
    emissions, lengths = ragged(19, [3, 4])
    tags = torch.tensor([[0, 1, 2, 0], [3, 4, 0, 1]])
    one = torch.nn.functional.one_hot(tags, len(TAGS)).bool()
    assert float(chain.partial_loss(emissions, one, lengths)) == pytest.approx(
        float(chain.loss(emissions, tags, lengths)), rel=1e-4
    )
