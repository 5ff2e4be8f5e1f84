"""Token forms <-> ids. Id 0 is padding, id 1 every form that training did not keep."""

from collections import Counter
from collections.abc import Iterable, Sequence

PADDING, UNKNOWN = 0, 1
_RESERVED = ("<padding>", "<unknown>")


class Vocabulary:
    """An ordered list of forms; a form's id is its place.

    Stored as UTF-8 text, one form a line, so that a person can read and diff it.
    """

    def __init__(self, forms: Sequence[str]) -> None:
        if tuple(forms[:2]) != _RESERVED:
            raise ValueError(f"a vocabulary begins with {_RESERVED}, found {tuple(forms[:2])}")
        self.forms = tuple(forms)
        self._ids = {form: i for i, form in enumerate(forms)}
        if len(self._ids) != len(self.forms):
            raise ValueError(f"{len(self.forms) - len(self._ids)} forms of the vocabulary stand twice")

    @classmethod
    def count(cls, forms: Iterable[str], min_count: int = 1, at_most: int | None = None) -> "Vocabulary":
        """The forms seen at least `min_count` times, the most frequent first, ties in code-point order."""
        counted = [(n, form) for form, n in Counter(forms).items() if n >= min_count and "\n" not in form]
        counted.sort(key=lambda pair: (-pair[0], pair[1]))
        return cls((*_RESERVED, *(form for _, form in counted[:at_most] if form not in _RESERVED)))

    @classmethod
    def parse(cls, text: str) -> "Vocabulary":
        return cls(text.removesuffix("\n").split("\n"))

    def dump(self) -> str:
        return "\n".join(self.forms) + "\n"

    def id(self, form: str) -> int:
        return self._ids.get(form, UNKNOWN)

    def ids(self, forms: Iterable[str]) -> list[int]:
        known = self._ids.get
        return [known(form, UNKNOWN) for form in forms]

    def __len__(self) -> int:
        return len(self.forms)

    def __contains__(self, form: str) -> bool:
        return form in self._ids
