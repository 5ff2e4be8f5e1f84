"""What the verbs' parsers share: one-sentence errors, defaults and choices in --help, lists of values before a text.

argparse alone cannot read ``--units 0 1 2 "text"``: the list would take the text. Here texts are what no option takes;
where none is left, the last value of a list that is no value of that list is the text.
"""

import argparse
import math
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

Item = Callable[[str], Any]


class UsageError(Exception):
    """The command line is wrong; the message is one sentence."""


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of a text that has some, fills one that has none, and adds every default."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=110)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return super()._fill_text(text, width, indent) if "\n" in text else textwrap.fill(text, width)

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default = action.default
        if (
            not action.help
            or "default" in action.help
            or default is None
            or default is False
            or default == ()
            or default == argparse.SUPPRESS
        ):
            return action.help
        return f"{action.help} (default: %(default)s)"


class _Append(argparse.Action):
    """Collects the values of a list option, given once or several times, and notes which list came last."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or []), *values])
        namespace.lists = [*(name for name in getattr(namespace, "lists", []) if name != self.dest), self.dest]


class Parser(argparse.ArgumentParser):
    """One verb's parser. Raises UsageError instead of printing usage and leaving the process."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options.setdefault("formatter_class", HelpFormatter)
        options.setdefault("allow_abbrev", False)
        super().__init__(*arguments, **options)
        self._texts: tuple[int, int] | None = None
        self._items: dict[str, tuple[str, Item, int]] = {}

    def add_texts(self, least: int = 1, most: int = 1) -> None:
        """The verb takes from `least` to `most` texts: `options.texts`, and `options.text`, the first or None."""
        self._texts = (least, most)
        shown = "[TEXT]" if not least else "TEXT" if most == 1 else "TEXT ..."
        self.usage = f"{self.prog} [options] {shown}"
        self.add_argument_group(
            "TEXT", "in quotes; - reads standard input, and -- stands before one that begins with -"
        )

    def add_list(self, flag: str, group: Any, item: Item, least: int = 1, **options: Any) -> None:
        """An option of one value or more. item: a word -> a value, or ValueError; least: how many values it takes."""
        action = group.add_argument(flag, nargs="+", action=_Append, **options)
        self._items[action.dest] = (flag, item, least)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (`{self.prog} --help` shows what is allowed)")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._texts is None:
            return super().parse_known_args(args, namespace)
        words = list(args or [])
        end = words.index("--") if "--" in words else len(words)
        options, rest = super().parse_known_args(words[:end], namespace)
        if unknown := [word for word in rest if word.startswith("-") and word != "-"]:
            self.error(f"there is no option {unknown[0]}")
        options.texts = self._counted([*rest, *words[end + 1 :]] or self._text_after_list(options))
        options.text = options.texts[0] if options.texts else None
        self._convert_lists(options)
        return options, []

    def _text_after_list(self, options: argparse.Namespace) -> list[str]:
        for name in reversed(getattr(options, "lists", [])):
            _, item, least = self._items[name]
            values = getattr(options, name)
            if len(values) > least and (item is word or not _is_value(item, values[-1])):
                return [values.pop()]
        return []

    def _counted(self, texts: list[str]) -> list[str]:
        least, most = self._texts or (0, 0)
        if len(texts) < least:
            missing = "the text is missing" if least == 1 else f"{least} texts are wanted, found {len(texts)}"
            self.error(f"{missing}: put it last, in quotes")
        if len(texts) > most:
            self.error(f"found {len(texts)} texts where {most} may stand: put each text in quotes")
        return texts

    def _convert_lists(self, options: argparse.Namespace) -> None:
        for name, (flag, item, least) in self._items.items():
            values = getattr(options, name)
            if values is None:
                continue
            if len(values) < least:
                self.error(f"argument {flag}: {least} values or more are wanted, found {len(values)}")
            try:
                setattr(options, name, [item(value) for value in values])
            except ValueError as error:
                self.error(f"argument {flag}: {error}")


def word(value: str) -> str:
    """Any word: the item of a list of names."""
    return value


def index(value: str) -> int:
    """Raises: ValueError where it is no number from 0."""
    if not value.isdecimal() or len(value) > 9:
        raise ValueError(f"found {value!r}, allowed are numbers from 0")
    return int(value)


def number(value: str) -> float:
    """Raises: ValueError where it is no finite number."""
    try:
        found = float(value)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise ValueError(f"found {value!r}, allowed are finite numbers")
    return found


def one_of(values: Sequence[str]) -> Item:
    def item(value: str) -> str:
        if value not in values:
            raise ValueError(f"found {value!r}, allowed are {', '.join(values)}")
        return value

    return item


def as_type(item: Item) -> Item:
    """The same converter for an option of one value: argparse shows the sentence of no other error."""

    def convert(value: str) -> Any:
        try:
            return item(value)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return convert


def _is_value(item: Item, value: str) -> bool:
    try:
        item(value)
    except ValueError:
        return False
    return True


def timesteps(value: str) -> slice:
    """``START:STOP:STRIDE``; each part may be left out.

    Raises: ValueError.
    """
    parts = value.split(":")
    if not 2 <= len(parts) <= 3:
        raise ValueError(f"found {value!r}, allowed is START:STOP or START:STOP:STRIDE, as in 0:64")
    return slice(*(index(part) if part else None for part in parts))
