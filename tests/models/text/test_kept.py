"""What is left of a text when tokens are left out is read as if they had never been there."""

import numpy as np
import pytest

from models.checkpoint.checkpoint import Checkpoint
from models.text.features import kept_ids, text_ids
from models.text.tokenizers import TOKENIZERS
from tests.conftest import SENTENCES, TINY, make_checkpoint


@pytest.mark.parametrize("name", ["tiny-zh-lstm", "tiny-en-bilstm"])
def test_ids_of_what_is_left_are_those_of_its_tokens(name: str) -> None:
    checkpoint: Checkpoint = make_checkpoint(name, TINY[name])
    features = checkpoint.network.architecture.features
    for text in SENTENCES[checkpoint.manifest.language]:
        tokens = TOKENIZERS[checkpoint.manifest.tokenizer](text)
        ids = text_ids(features, tokens)
        for places in ([0], [len(tokens) - 1], range(1, len(tokens)), range(0, len(tokens), 2), range(len(tokens))):
            expected = text_ids(features, tokens.only(places))
            for kind, rows in kept_ids(features, tokens, ids, places).items():
                shorter = expected[kind].shape[1]  # bags of fewer pieces where the longest word is left out
                assert np.array_equal(rows[:, :shorter], expected[kind])
                assert not rows[:, shorter:].any()
