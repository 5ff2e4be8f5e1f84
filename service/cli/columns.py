"""Options of the verbs that read labelled rows of which the columns may have any name."""

import argparse

from models.training.readers import Layout


def add_columns(parser: argparse.ArgumentParser) -> None:
    columns = parser.add_argument_group("columns of the file")
    usual = Layout()
    columns.add_argument(
        "--text-column", default=usual.text_column, metavar="NAME", help="of the text: a key or header, or a number"
    )
    columns.add_argument("--label-column", default=usual.label_column, metavar="NAME", help="of the label")
    columns.add_argument("--tag-column", type=int, choices=(2, 3, 4), help="of CoNLL columns (default: the last)")
    columns.add_argument(
        "--tag-scheme",
        choices=("auto", "bio", "iob1", "bioes"),
        default=usual.tag_scheme,
        help="of the tags; auto tells bioes (bmes, bilou) from the rest",
    )


def layout_of(options: argparse.Namespace) -> Layout:
    return Layout(options.text_column, options.label_column, options.tag_column, options.tag_scheme)
