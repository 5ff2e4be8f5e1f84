"""`python -m lecture`: writes `docs/lecture.md` and its pictures, in a few minutes on one core."""

import argparse
from collections.abc import Callable
from pathlib import Path
from string import Template

from . import sections
from .recall import Recipe
from .sections import Desk, Effort

SHORT = Effort(
    recipe=Recipe(units=8, steps=3, longest=8, tested=32),
    growing=Recipe(units=8, steps=3, longest=8, tested=32, grows=True),
    gaps=(2, 5),
    seeds=1,
    timesteps=(),
)
SECTIONS = (
    sections.influence,
    sections.lengths,
    sections.recall_task,
    sections.belt,
    sections.places,
    sections.training,
    sections.explanation,
)


def write(weights: Path, out: Path, effort: Effort, say: Callable[[str], None]) -> Path:
    """Writes the page and its folder of pictures, replacing older ones; returns the page's path."""
    pictures = out / "lecture"
    pictures.mkdir(parents=True, exist_ok=True)
    for old in pictures.glob("*.png"):
        old.unlink()
    desk = Desk(weights, pictures, effort, say)
    fields: sections.Fields = {}
    for place, section in enumerate(SECTIONS, 1):
        say(f"section {place} of {len(SECTIONS)}: {section.__name__}")
        fields |= section(desk)
    page = out / "lecture.md"
    template = Template(Path(__file__).with_name("template.md").read_text("utf-8"))
    page.write_text(template.substitute(fields).rstrip() + "\n", "utf-8")
    return page


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lecture", description=__doc__)
    parser.add_argument("--weights", type=Path, default=Path("weights"), help="the models (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="where the page goes (default: %(default)s)")
    parser.add_argument(
        "--short", action="store_true", help="a tiny recall task and no timing: to check that everything runs"
    )
    options = parser.parse_args()
    effort = SHORT if options.short else Effort()
    print(write(options.weights, options.out, effort, lambda message: print(message, flush=True)))


if __name__ == "__main__":
    main()
