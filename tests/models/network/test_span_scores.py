"""The scores of all spans at once are those of `TextLattice`, span by span."""

import numpy as np
import pytest
import torch

from models.network.crf import LinearChain
from models.network.span_scores import span_scores
from models.network.spans import bio_tags, to_spans


@pytest.mark.parametrize("seed", range(12))
def test_each_span_has_the_score_of_its_own_lattice(seed: int) -> None:
    torch.manual_seed(seed)
    tags = bio_tags(["LOC", "ORG", "PER"])
    crf = LinearChain(len(tags)).requires_grad_(False)
    for parameter in crf.parameters():
        parameter.normal_()
    if seed % 2:
        crf.forbid(tags)
    lengths = torch.tensor([9, 1, 4, 7])
    emissions = 3 * torch.randn(4, 9, len(tags))
    emissions[..., 0] -= seed % 3  # few or many tokens outside
    paths = crf.best_paths(emissions, lengths)
    lattice = crf.lattice(emissions, lengths)
    scores = span_scores(crf, lattice, emissions, lengths, paths, tags).numpy()
    found = 0
    for b, n in enumerate(lengths.tolist()):
        path = paths[b, :n].tolist()
        text_lattice = crf.text_lattice(lattice, emissions, b, n)
        for span in to_spans([tags[k] for k in path]):
            inside = tags.index(f"I-{span.label}")
            want = text_lattice.span_probability(span.start, span.stop, path[span.start], inside)
            assert np.isclose(scores[b, span.start], want, rtol=1e-9, atol=1e-12)
            found += 1
    assert found > 3
