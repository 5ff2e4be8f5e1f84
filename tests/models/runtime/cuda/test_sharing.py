"""How texts are shared out over a card, and what a block takes of it."""

import pytest

from models.runtime.cuda.compiling import Variant, cluster_of, padded
from models.runtime.cuda.problem import Limits, shared_out

H200, A100, L4 = Limits((9, 0), 132, 227 << 10), Limits((8, 0), 108, 163 << 10), Limits((8, 9), 58, 99 << 10)


@pytest.mark.parametrize("limits", [H200, A100, L4])
@pytest.mark.parametrize("units", [7, 64, 128, 200, 256])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("texts", [1, 3, 16, 33, 512, 16384])
def test_every_block_fits(limits: Limits, units: int, directions: int, texts: int) -> None:
    cluster = cluster_of(units, limits.capability)
    assert cluster
    width = padded(units)
    variant, clusters = shared_out(texts, directions, lambda together: Variant(width, 4, 2, together, cluster), limits)  # type: ignore[arg-type]
    assert 1 <= clusters <= texts
    assert variant.shared_bytes(-(-texts // clusters)) <= limits.shared_bytes
    if variant.together == 1:
        assert clusters == texts
        assert texts * directions * cluster <= limits.processors


def test_older_cards_have_no_clusters() -> None:
    assert [cluster_of(128, capability) for capability in ((7, 5), (8, 0), (8, 9), (9, 0), (10, 0))] == [
        None,
        1,
        1,
        4,
        4,
    ]
