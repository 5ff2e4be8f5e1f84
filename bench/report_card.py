"""The card's section of docs/performance.md."""

from typing import Any

from lecture.markdown import table

from .results import Results
from .wording import Fields, Put, machine, number

NAMES = ("card_machine", "card_answers", "card_recurrences")


def card(part: Results, put: Put) -> Fields:
    return {
        "card_machine": f"{part['card']}, {part['multiprocessors']} multiprocessors, torch "
        f"{part['versions'].get('torch', '?')}; beside it {machine(part)}",
        "card_answers": answers(part["answers"]),
        "card_recurrences": recurrences(part["recurrences"]),
    }


def answers(rows: list[dict[str, Any]]) -> str:
    places = list(rows[0]["seconds"])
    head = ["work", "texts", *(f"{place}, ms" for place in places), "largest difference", "certificate"]
    return table(
        head,
        [
            [
                row["work"],
                str(row["texts"]),
                *(number(1000 * row["seconds"][place]["median"]) for place in places),
                f"{row['largest_difference']:.0e}",
                "" if row["certificate"] is None else f"{row['certificate']:.0e}",
            ]
            for row in rows
        ],
    )


def recurrences(rows: list[dict[str, Any]]) -> str:
    ways = list(rows[0]["microseconds"])
    return table(
        ["units", "texts", *(f"{way}, µs" for way in ways)],
        [
            [
                str(row["units"]),
                f"{row['texts']}{' ragged' if row['ragged'] else ''}",
                *(number(row["microseconds"][way]["median"]) for way in ways),
            ]
            for row in rows
        ],
    )
