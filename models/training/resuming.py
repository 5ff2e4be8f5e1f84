"""Whether a kept run can be gone on with: what may change between two commands, and what makes it another run."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from .recipe import Recipe

# told in the card alone, or covered by the data's digest, or asked anew after each epoch
_FREE = {"description", "license", "training_data", "limits", "patience", "epochs"}
_FREE |= {"text_column", "label_column", "tag_column", "tag_scheme", "label_names"}
_FREE |= {"outside_bias", "label_biases"}  # what is done once the weights stand


def difference(notes: Mapping[str, Any], recipe: Recipe, data_sha256: str) -> str:
    """Why the run of `notes` cannot go on under `recipe`, "" where it can. `epochs` may be raised."""
    try:
        kept = Recipe.model_validate(notes["recipe"])
    except (KeyError, ValidationError):
        return "a recipe of another version"
    found, asked = kept.model_dump(), recipe.model_dump()
    if changed := sorted(name for name in asked if name not in _FREE and found[name] != asked[name]):
        return f"another recipe ({', '.join(changed)} differ{'s' if len(changed) == 1 else ''})"
    if recipe.epochs < kept.epochs:
        return f"a run of {kept.epochs} epochs, which can be raised and not lowered to {recipe.epochs}"
    return "" if notes.get("data") == data_sha256 else "other data"


def is_finished(notes: Mapping[str, Any]) -> bool:
    """Whether the run of `notes` had all the epochs that it was to have."""
    recipe, devs = notes["recipe"], [dev for _, _, dev in notes["curve"]]
    return len(devs) >= recipe["epochs"] or has_stopped(devs, recipe["patience"])


def has_stopped(devs: Sequence[float], patience: int) -> bool:
    """Whether the dev figure has not risen for `patience` epochs."""
    best = max(range(len(devs)), key=lambda i: devs[i], default=0)
    return len(devs) - 1 - best >= patience
