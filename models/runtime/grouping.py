"""Which texts run together in one padded batch."""

from collections.abc import Iterator, Sequence


def similar_lengths(lengths: Sequence[int], most_tokens: int) -> Iterator[list[int]]:
    """Indices of `lengths` in batches of similar length, the shortest first, each of at most `most_tokens` padded.

    A text that is longer by itself is a batch of its own.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        if batch and lengths[index] * (len(batch) + 1) > most_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
