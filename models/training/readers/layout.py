"""Where in a file the text, the label and the tags stand."""

from dataclasses import dataclass

from ..schemes import TagScheme


@dataclass(frozen=True)
class Layout:
    """Columns are named as people name them.

    text_column, label_column: a key of each JSON line; in CSV and TSV a word of the header, or where there is no
    header the column's number, 1 for the first.
    tag_column: number of the CoNLL column that holds the tags; None is the last. The first holds the tokens.
    tag_scheme: how the tags mark where an entity begins and ends; auto tells from the tags.
    """

    text_column: str = "text"
    label_column: str = "label"
    tag_column: int | None = None
    tag_scheme: TagScheme = "auto"


USUAL = Layout()
