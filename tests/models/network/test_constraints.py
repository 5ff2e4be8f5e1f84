"""No entity where none can be, and none over an empty line: by the best path, by marginals, and by brute force."""

import numpy as np
import pytest
import torch

from models.network.constraints import bar, barred, possible
from models.network.crf import LinearChain
from models.network.spans import bio_tags, to_spans
from models.text.tokenizers import OUTSIDE, mixed, words

from ...oracles import all_paths

TAGS = bio_tags(("LOC", "PER"))
TEXTS = [
    "Anna 😀 Smith\n\nTom",
    "\ufeffAnna",
    "see http://a.b ok",
    "Anna\nTom\n \nMay",
    "no limits here",
    "( Tom ) ... @ x",
    "“Anna” !!",
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_best_path_is_the_best_of_those_that_the_text_allows(text: str) -> None:
    torch.manual_seed(len(text))
    chain, tokens = LinearChain(len(TAGS)).requires_grad_(False), mixed(text)
    chain.transitions.normal_()
    chain.forbid(TAGS)
    emissions, lengths = torch.randn(1, len(tokens), len(TAGS)) * 3, torch.tensor([len(tokens)])
    (found,) = chain.viterbi(bar(emissions, [tokens], TAGS), lengths)
    parts = (chain.transitions, chain.start, chain.end)
    paths = all_paths(emissions[0].double().numpy(), *(p.detach().double().numpy() for p in parts))
    best = max((p for p in paths if allowed(p[0], text)), key=lambda p: p[1])
    assert tuple(found) == best[0]


def allowed(path: tuple[int, ...], text: str) -> bool:
    tokens, names = mixed(text), [TAGS[k] for k in path]
    crosses = any(
        "\n\n" in text[tokens[s.start].start : tokens[s.stop - 1].end].replace(" ", "") for s in to_spans(names)
    )
    starts = (tokens[s.start].spelling for s in to_spans(names))
    if any(start != "@" and not any(c.isalnum() for c in start) for start in starts):
        return False
    return not crosses and all(tag == "O" for tag, token in zip(names, tokens, strict=True) if token.form in OUTSIDE)


def test_texts_without_limits_keep_their_emissions() -> None:
    emissions = torch.randn(2, 3, len(TAGS))
    assert bar(emissions, [mixed("a b c"), mixed("北 京 市")], TAGS) is emissions
    assert barred(words("Anna\n\nTom"), TAGS) is None


def test_training_tags_are_possible() -> None:
    tokens = mixed("Anna 😀 Smith\n\nTom")
    tags = possible(["B-PER", "I-PER", "I-PER", "I-PER"], tokens)
    assert tags == ["B-PER", "O", "B-PER", "B-PER"]
    assert possible(["B-PER", "I-PER", "I-PER", "O"], mixed("( Tom ) .")) == ["O", "B-PER", "I-PER", "O"]
    assert possible(["B-PER", "I-PER"], words("( Tom")) == ["B-PER", "I-PER"]
    mask = barred(tokens, TAGS)
    assert mask is not None
    assert not np.any([mask[t, TAGS.index(tag)] for t, tag in enumerate(tags)])
