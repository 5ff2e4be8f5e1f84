"""`python -m lecture`: writes `docs/lecture.md`, `docs/lecture.zh-CN.md` and their pictures, in minutes on one core."""

import argparse
from pathlib import Path
from string import Template

from . import sections
from .measurements import Effort, Measurements, Report, loaded_once, measure
from .recall import Recipe
from .sections import Page
from .words import SUFFIX

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


def write(weights: Path, out: Path, effort: Effort, report: Report) -> list[Path]:
    """Writes the page in each language and the folder of pictures, replacing older ones; returns the pages' paths.

    Everything is measured once and then told in each language.
    """
    pictures = out / "lecture"
    pictures.mkdir(parents=True, exist_ok=True)
    models = loaded_once(weights)
    measured = measure(weights, models, effort, report)
    for old in pictures.glob("*.png"):
        old.unlink()
    return [_written(out, measured, Page(language, pictures, models), report) for language in SUFFIX]


def _written(out: Path, measured: Measurements, page: Page, report: Report) -> Path:
    path = out / f"lecture{SUFFIX[page.language]}.md"
    report(f"writing {path}")
    fields = {name: value for section in SECTIONS for name, value in section(measured, page).items()}
    template = Path(__file__).with_name(f"template{SUFFIX[page.language]}.md").read_text("utf-8")
    path.write_text(Template(template).substitute(fields).rstrip() + "\n", "utf-8")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lecture", description=__doc__)
    parser.add_argument("--weights", type=Path, default=Path("weights"), help="the models (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="where the page goes (default: %(default)s)")
    parser.add_argument(
        "--short", action="store_true", help="a tiny recall task and no timing: to check that everything runs"
    )
    options = parser.parse_args()
    effort = SHORT if options.short else Effort()
    for page in write(options.weights, options.out, effort, lambda message: print(message, flush=True)):
        print(page)


if __name__ == "__main__":
    main()
