"""Random texts of realistic lengths, made of a model's own characters or words; practically never the same twice."""

import numpy as np

from models.text.vocabulary import Vocabulary


def lengths(count: int, seed: int) -> list[int]:
    """Lengths from 5 to 60 tokens, median 20: log-normal, drawn again where out of range."""
    random = np.random.default_rng(seed)
    drawn: list[int] = []
    while len(drawn) < count:
        n = round(float(random.lognormal(np.log(20), 0.6)))
        if 5 <= n <= 60:
            drawn.append(n)
    return drawn


def texts(vocabulary: Vocabulary, separator: str, tokens: list[int], seed: int) -> list[str]:
    """One text for each number of tokens; tokens are drawn uniformly from the vocabulary.

    Without a separator they are Chinese characters alone: Latin letters or digits side by side are one token.
    """
    random = np.random.default_rng(seed)
    forms = [form for form in vocabulary.forms if form.isalnum() and (separator or "\u4e00" <= form <= "\u9fff")]
    return [separator.join(forms[k] for k in random.integers(0, len(forms), n)) for n in tokens]
