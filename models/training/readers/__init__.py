"""Files as people have them -> rows: JSON lines, CSV and TSV for classifiers, CoNLL columns for taggers.

A bad row is an error with its file and line; nothing is skipped in silence.
"""

from .labelled import read_labelled
from .layout import USUAL, Layout
from .tagged import read_tagged

__all__ = ["USUAL", "Layout", "read_labelled", "read_tagged"]
