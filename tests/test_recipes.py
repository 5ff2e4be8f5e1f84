"""Each shipped model's card has the command that made it, and the recipe that the command names is the one it had."""

import re
import shlex
from pathlib import Path

import pytest

from models.checkpoint.checkpoint import read_manifest
from models.training.card import CARD
from models.training.pretraining import Pretraining
from models.training.recipe import Recipe, read_recipe, read_recipe_as

ROOT = Path(__file__).parents[1]
MODELS = sorted(path.parent for path in ROOT.glob("weights/*/manifest.json"))
FACTS = (
    *("task", "cell", "language", "tokenizer", "layers", "directions", "units", "reads"),
    *("description", "license", "training_data", "label_names"),
)


TEACHERS = "### Its teachers"


def trainings(folder: Path, teachers: bool = True) -> list[dict[str, list[str]]]:
    """The options of every `gatescope train` of a card: one, one for each member of an average, and the teachers'."""
    card = (folder / CARD).read_text("utf-8")
    own, _, others = card.partition(TEACHERS)
    blocks = re.findall(r"^```\n(gatescope train .*?)\n```$", own + others * teachers, re.DOTALL | re.MULTILINE)
    found = []
    for words in (shlex.split(block.replace("\\\n", "")) for block in blocks):
        options: dict[str, list[str]] = {}
        for word in words[2:]:
            if word.startswith("--"):
                values = options.setdefault(word[2:].replace("-", "_"), [])
            else:
                values.append(word)
        found.append(options)
    return found


def recipe_of(options: dict[str, list[str]]) -> Recipe:
    given = {name: values[0] for name, values in options.items() if name in Recipe.model_fields}
    return read_recipe(ROOT / options["recipe"][0], given)


@pytest.mark.parametrize("folder", MODELS, ids=lambda folder: folder.name)
def test_the_recipe_is_that_of_the_model(folder: Path) -> None:
    manifest, commands = read_manifest(folder), trainings(folder, teachers=False)
    assert commands
    for options in commands:
        recipe = recipe_of(options)
        assert {name: getattr(recipe, name) for name in FACTS} == {name: getattr(manifest, name) for name in FACTS}
        assert recipe.limits in (folder / CARD).read_text("utf-8")
        sizes = {feature.kind: feature.dimension for feature in manifest.features}
        assert {kind: getattr(recipe, f"{kind}_dimension") for kind in sizes} == sizes
    for options in trainings(folder):  # a teacher may be of another shape, and reads the same language for the same end
        recipe = recipe_of(options)
        assert (recipe.task, recipe.language) == (manifest.task, manifest.language)


@pytest.mark.parametrize("folder", MODELS, ids=lambda folder: folder.name)
def test_the_recipe_says_how_the_commands_files_are_read(folder: Path) -> None:
    """A classifier has no label of a tagged text, and a file that the recipe speaks of is among those given."""
    for options in trainings(folder):
        recipe, files = recipe_of(options), [Path(name) for key in ("train", "extra") for name in options.get(key, ())]
        assert recipe.files.keys() <= {name for path in files for name in (path.name, "/".join(path.parts[-2:]))}
        for path in files:
            tagged = path.suffix == ".bio"
            assert tagged == (recipe.task == "token-classification") or recipe.source(path).neutral, path


@pytest.mark.parametrize("path", sorted(ROOT.glob("recipes/*-language-model.toml")), ids=lambda path: path.stem)
def test_a_language_models_recipe_fits_those_that_start_from_it(path: Path) -> None:
    language_model = read_recipe_as(Pretraining, path, {})
    started = [
        recipe_of(options)
        for folder in MODELS
        for options in trainings(folder)
        if Path(options.get("start", ["none/"])[0]).parent.name == path.stem
    ]
    assert started
    for recipe in started:
        for name in ("units", "directions", "cell", "token_dimension", "bigram_dimension", "gap_dimension"):
            assert getattr(recipe, name) == getattr(language_model, name)
