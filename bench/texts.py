"""Texts that never repeat, of lengths as people write them, from a model's own characters or words."""

import numpy as np

from models.text.vocabulary import Vocabulary


def lengths(count: int, seed: int) -> list[int]:
    """5 to 60 tokens, median 20: log-normal, what falls outside drawn again."""
    random = np.random.default_rng(seed)
    found: list[int] = []
    while len(found) < count:
        n = round(float(random.lognormal(np.log(20), 0.6)))
        if 5 <= n <= 60:
            found.append(n)
    return found


def texts(vocabulary: Vocabulary, separator: str, tokens: list[int], seed: int) -> list[str]:
    """One text for each number of tokens; tokens are drawn evenly from the vocabulary."""
    random = np.random.default_rng(seed)
    forms = [form for form in vocabulary.forms if form.isalnum()]
    return [separator.join(forms[k] for k in random.integers(0, len(forms), n)) for n in tokens]
