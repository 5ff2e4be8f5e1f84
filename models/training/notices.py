"""What a person should hear about their data before the first epoch, and the weights of unevenly filled classes."""

from collections import Counter
from collections.abc import Sequence

from ..text.tokenizers import TOKENIZERS
from .corpora import LabelledText, TaggedText
from .recipe import Recipe

_UNEVEN = 99  # times as many rows of the most frequent class as of the rarest

Rows = Sequence[LabelledText | TaggedText]


def notices(recipe: Recipe, files: Sequence[Rows], dev: Rows) -> list[str]:
    """One sentence for each thing that is probably not meant. files: the rows of train, then those of extra files."""
    training = [row for rows in files for row in rows]
    found = (_long_rows(recipe, training), _uneven_classes(recipe, files[0]), _shared_texts(training, dev))
    return [notice for notice in found if notice]


def class_weights(rows: Rows, labels: Sequence[str]) -> tuple[float, ...]:
    """For each label N / (labels * its rows), so that each class has the same part in the loss and a mean row weighs 1.

    A label that only extra rows have weighs as if it had one row.
    """
    counts = Counter(row.label for row in rows if isinstance(row, LabelledText))
    return tuple(counts.total() / (len(labels) * max(1, counts[label])) for label in labels)


def _long_rows(recipe: Recipe, rows: Rows) -> str:
    tokenize = TOKENIZERS[recipe.tokenizer]
    long = sum(len(row.text) > recipe.max_tokens and len(tokenize(row.text)) > recipe.max_tokens for row in rows)
    if not long:
        return ""
    treatment = "cut" if recipe.task == "text-classification" else "split"
    return (
        f"{long:,} of {len(rows):,} rows {'is' if long == 1 else 'are'} longer than {recipe.max_tokens:,} tokens and "
        f"{'was' if long == 1 else 'were'} {treatment}: --max-tokens"
    )


def _uneven_classes(recipe: Recipe, rows: Rows) -> str:
    counts = Counter(row.label for row in rows if isinstance(row, LabelledText)).most_common()
    if recipe.balance or len(counts) < 2 or counts[0][1] < _UNEVEN * counts[-1][1]:
        return ""
    (most, many), (least, few) = counts[0], counts[-1]
    return (
        f"the label {most!r} has {many:,} rows and {least!r} has {few:,}: the rare one may never be predicted; "
        "--balance weighs each class alike"
    )


def _shared_texts(training: Rows, dev: Rows) -> str:
    known = {_squeezed(row.text) for row in training}
    shared = sum(_squeezed(row.text) in known for row in dev)
    if not shared:
        return ""
    stand = "stands" if shared == 1 else "stand"
    return (
        f"{shared:,} of {len(dev):,} dev texts {stand} in the training rows too: figures on dev will flatter the model"
    )


def _squeezed(text: str) -> str:
    return " ".join(text.split())
