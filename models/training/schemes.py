"""Tags of the schemes that people use -> spans: BIO (IOB2), IOB1, and BIOES with its other spellings BMES and BILOU.

BIO    B-X opens an entity, I-X goes on.
IOB1   I-X opens an entity and goes on; B-X opens one that touches another of its kind.
BIOES  B-X opens, I-X (or M-X) goes on, E-X (or L-X) ends; S-X (or U-X) is an entity of one token.

BIO and IOB1 have one reading in common (`models.network.spans.to_spans`): a file need not say which it is.

Source: Ramshaw & Marcus 1995; Tjong Kim Sang & Veenstra 1999; Ratinov & Roth 2009.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from ..network.spans import Span, to_spans

TagScheme = Literal["auto", "bio", "iob1", "bioes"]

_BIOES = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S"}


class BadTag(Exception):
    """The tag at `place` cannot stand there."""

    def __init__(self, place: int, problem: str) -> None:
        self.place, self.problem = place, problem
        super().__init__(problem)


def prefix_and_label(tag: str) -> tuple[str, str]:
    """``"B-LOC"`` -> ``("B", "LOC")``, ``"O"`` -> ``("O", "")``.

    Raises: ValueError where the tag is of no scheme.
    """
    prefix, hyphen, label = tag.partition("-")
    if tag == "O" or (hyphen and label and prefix in _BIOES):
        return prefix, label
    raise ValueError(f"tag {tag!r} is not O, B-X, I-X, nor one of E-X, S-X, M-X, L-X, U-X")


def scheme_of(sentences: Iterable[Sequence[str]]) -> TagScheme:
    """bioes where some tag is of that scheme alone; iob1 where I-X opens entities and B-X parts touching ones alone."""
    scheme: TagScheme = "bio"
    opens_with_i = opens_with_b = False
    for tags in sentences:
        before = ""
        for tag in tags:
            prefix, label = prefix_and_label(tag)
            if prefix not in "OBI":
                return "bioes"
            if before != label:
                opens_with_i |= prefix == "I"
                opens_with_b |= prefix == "B"
            before = label
    if opens_with_i and not opens_with_b:
        scheme = "iob1"
    return scheme


def mixed_openings(sentences: Iterable[Sequence[str]]) -> tuple[int, int]:
    """How many entities open with I-X and how many with B-X where no entity of that kind stands before.

    Both are positive in no proper BIO or IOB1 file.
    """
    openings = {"B": 0, "I": 0, "O": 0}
    for tags in sentences:
        before = ""
        for tag in tags:
            prefix, label = prefix_and_label(tag)
            if before != label:
                openings[prefix] += 1
            before = label
    return openings["I"], openings["B"]


def spans_of(tags: Sequence[str], scheme: TagScheme) -> list[Span]:
    """The entities of one sentence. auto is the lenient reading that BIO and IOB1 share.

    Raises: BadTag where a tag cannot stand where it does.
    """
    if scheme == "bioes":
        return _bioes_spans(tags)
    before = ""
    for place, tag in enumerate(tags):
        prefix, label = prefix_and_label(tag)
        if prefix not in "OBI":
            raise BadTag(place, f"{tag} is a tag of BIOES: --tag-scheme bioes reads it")
        if scheme == "bio" and prefix == "I" and before != label:
            raise BadTag(place, f"{tag} follows no B-{label} or I-{label}: in BIO an entity begins with B-{label}")
        if scheme == "iob1" and prefix == "B" and before != label:
            raise BadTag(place, f"{tag} follows no entity of {label}: in IOB1 such an entity begins with I-{label}")
        before = label
    return to_spans(tags)


def _bioes_spans(tags: Sequence[str]) -> list[Span]:
    spans: list[Span] = []
    start: int | None = None
    for place, tag in enumerate(tags):
        prefix, label = prefix_and_label(tag)
        part = _BIOES.get(prefix, "O")
        if start is None and part in "IE":
            raise BadTag(place, f"{tag} follows no B-{label}: in BIOES it is inside an entity")
        if start is not None and (part not in "IE" or label != prefix_and_label(tags[start])[1]):
            raise BadTag(place, f"{tag} follows {tags[place - 1]}, whose entity has no end: in BIOES it ends with E-X")
        if part == "B":
            start = place
        elif part in "ES":
            spans.append(Span(label, place if start is None else start, place + 1))
            start = None
    if start is not None:
        raise BadTag(len(tags) - 1, f"the sentence ends inside an entity after {tags[-1]}: in BIOES it ends with E-X")
    return spans
