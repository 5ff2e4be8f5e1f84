"""A version of a model, and the set of versions that is served at one moment. Nothing in here is ever changed."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import torch

from models.checkpoint.checkpoint import load_checkpoint
from models.errors import CheckpointError
from models.inference.inspection import Inspection, plan
from models.inference.predictor import Predictor

from ..settings import Settings
from .folders import Fingerprint, fingerprint
from .placing import WARM_UP, make_predictor

T = TypeVar("T")
log = logging.getLogger(__name__)
_CANNOT_RUN = "it cannot be run: the server's log has the details"


@dataclass(frozen=True, eq=False)
class Version:
    """A model as it was read from its folder. Who holds it may run it, whatever is served meanwhile."""

    name: str
    folder: Path
    fingerprint: Fingerprint
    predictor: Predictor


@dataclass(frozen=True)
class Models:
    """What is served at one moment.

    broken: folder -> why its model is not served; rejected: model -> why the newer version in its folder is not, and
    the older one still is; unloaded: models that were unloaded by name.
    """

    versions: Mapping[str, Version] = field(default_factory=lambda: MappingProxyType({}))
    broken: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    rejected: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    unloaded: frozenset[str] = frozenset()

    def of_folder(self, folder: Path) -> Version | None:
        return next((version for version in self.versions.values() if version.folder == folder), None)

    def with_version(self, version: Version) -> "Models":
        """The same with this version in place of the one of its name, and of the one of its folder."""
        before = self.of_folder(version.folder)
        models = self.without(before.name) if before else self
        return replace(
            models,
            versions=MappingProxyType({**models.versions, version.name: version}),
            broken=_without(self.broken, version.folder.name),
            unloaded=self.unloaded - {version.name},
        )

    def with_failure(self, folder: Path, reason: str) -> "Models":
        """The same with the reason why this folder could not be read; what is served of it goes on."""
        served = self.of_folder(folder)
        if served:
            return replace(self, rejected=MappingProxyType({**self.rejected, served.name: reason}))
        return replace(self, broken=MappingProxyType({**self.broken, folder.name: reason}))

    def without(self, name: str) -> "Models":
        return replace(self, versions=_without(self.versions, name), rejected=_without(self.rejected, name))

    def without_folder(self, folder: str) -> "Models":
        """The same after a folder that could not be read has gone."""
        return replace(self, broken=_without(self.broken, folder))


def load_version(folder: Path, settings: Settings, device: torch.device) -> Version:
    """Read a folder, check its digests, build its model and run it once.

    Raises: CheckpointError, with the reason in one sentence.
    """
    found = fingerprint(folder)  # before reading, so that what is written meanwhile counts as a change
    try:
        checkpoint = load_checkpoint(folder)
        name = checkpoint.manifest.name
        predictor = make_predictor(checkpoint, settings, device)
        predictor.predict([WARM_UP])
        predictor.run([predictor.prepare(WARM_UP)], plan(Inspection(), predictor.shape))
    except CheckpointError:
        raise
    except Exception as error:  # any other failure of one model must not stop the others
        log.error("%s cannot be run", folder.name, exc_info=error)
        raise CheckpointError(_CANNOT_RUN) from error
    return Version(name, folder, found, predictor)


def _without(values: Mapping[str, T], name: str) -> Mapping[str, T]:
    return MappingProxyType({key: value for key, value in values.items() if key != name})
