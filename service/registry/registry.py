"""The models that are served, behind one pointer that every request reads once."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch

from models.checkpoint.checkpoint import MANIFEST
from models.errors import CheckpointError
from models.inference.predictor import Predictor
from models.runtime.cpu.fused import FusedRunner
from models.runtime.cpu.tables import table_bytes, tabulate

from ..errors import LoadRefused, UnknownModel
from ..settings import Settings
from .folders import Fingerprint, fingerprint, folder_of, folders
from .versions import Models, Version, load_version

log = logging.getLogger(__name__)
PREFERRED_DEFAULT = "zh-sentiment-bilstm"


class Registry:
    """Versions of models by name, and the reason for each folder that could not be loaded.

    A change makes new `Models` aside and ends with one assignment, so readers need no lock: a request goes on with the
    predictor that it was given, and the last one that holds an old version lets its memory go. Changes are made by one
    thread at a time (`service.registry.control`).
    """

    def __init__(self, settings: Settings, device: torch.device) -> None:
        self.settings, self.device = settings, device
        self.models = Models()
        self.loaded = False
        self._tried: dict[Path, Fingerprint] = {}  # what each folder held when it was last read

    def get(self, name: str) -> Predictor:
        """Raises: UnknownModel, with the reason where the model is broken."""
        models = self.models
        found = models.versions.get(name)
        if found is None:
            raise UnknownModel(name, sorted(models.versions), models.broken.get(name))
        return found.predictor

    @property
    def predictors(self) -> dict[str, Predictor]:
        """By name, in order."""
        return {name: version.predictor for name, version in sorted(self.models.versions.items())}

    @property
    def names(self) -> list[str]:
        return sorted(self.models.versions)

    @property
    def broken(self) -> dict[str, str]:
        return dict(sorted(self.models.broken.items()))

    @property
    def default(self) -> str | None:
        """The default model's name; None where no model is loaded."""
        names = self.names
        for name in (self.settings.default_model, PREFERRED_DEFAULT):
            if name in names:
                return name
        return next(iter(names), None)

    def load_all(self, unloaded: frozenset[str] = frozenset()) -> None:
        """Load every model of the folder but those that were unloaded; one that fails never stops the others.

        Nothing is visible until all are loaded, since the tables' memory is shared out among all of them.
        """
        models = Models(unloaded=unloaded)
        for folder in folders(self.settings.weights_dir):
            if folder.name in unloaded:
                continue
            try:
                version = self._read(folder, models)
                models = models.with_version(version)
                log.info("loaded %s (%d parameters)", version.name, version.predictor.checkpoint.parameters)
            except CheckpointError as error:
                models = models.with_failure(folder, str(error))
                log.error("%s is broken: %s", folder.name, error)
        fused = _fused(models.versions.values())
        if fused:
            used = tabulate(fused, self.settings.table_cache_mb * 1_000_000)
            log.info("tables of looked-up inputs take %.0f MB", used / 1e6)
        self.models = models
        self._log_what_is_missing()
        self.loaded = True

    def load(self, name: str) -> None:
        """Read the model in the folder of this name, and put it in place of the version that is served.

        Raises: LoadRefused; what was served before still is.
        """
        folder = folder_of(self.settings.weights_dir, name)
        try:
            version = self._read(folder, self.models)
            if version.name != name:
                raise CheckpointError(f"its folder holds a model of the name {version.name}: let the two be equal")
        except CheckpointError as error:
            self._reject(folder, error)
            raise LoadRefused(name, str(error)) from error
        self._serve(version)

    def unload(self, name: str) -> None:
        """Raises: UnknownModel where it is neither served nor unloaded already."""
        if name not in self.models.unloaded:
            self.get(name)
        self.models = replace(self.models.without(name), unloaded=self.models.unloaded | {name})
        log.info("unloaded %s", name)

    def follow(self, unloaded: frozenset[str] | None = None) -> None:
        """Serve what the weights folder holds: read what is new or has changed, let go what is no longer there.

        unloaded: models to leave out, by default those that were unloaded before.
        """
        unloaded = self.models.unloaded if unloaded is None else unloaded
        present = list(folders(self.settings.weights_dir))
        if not any((folder / MANIFEST).exists() for folder in present):
            log.error("the weights folder holds no model: what was served before still is")
            return
        for version in self.models.versions.values():
            if version.name in unloaded or version.folder not in present:
                self.models = self.models.without(version.name)
                log.info("unloaded %s", version.name)
        gone = set(self.models.broken) - {folder.name for folder in present}
        for name in gone:
            self.models = self.models.without_folder(name)
        self.models = replace(self.models, unloaded=unloaded)
        for folder in present:
            if folder.name not in unloaded and self._has_changed(folder):
                self._renew(folder, unloaded)

    def _renew(self, folder: Path, unloaded: frozenset[str]) -> None:
        """Serve what the folder holds, where it can be read and its model was not unloaded."""
        try:
            version = self._read(folder, self.models)
        except CheckpointError as error:
            self._reject(folder, error)
        else:
            if version.name not in unloaded:
                self._serve(version)

    def _has_changed(self, folder: Path) -> bool:
        is_known = self.models.of_folder(folder) is not None or folder.name in self.models.broken
        return not is_known or self._tried.get(folder) != fingerprint(folder)

    def _read(self, folder: Path, models: Models) -> Version:
        """Raises: CheckpointError, also where another folder's model has the same name."""
        self._tried[folder] = fingerprint(folder)
        version = load_version(folder, self.settings, self.device)
        served = models.versions.get(version.name)
        if served and served.folder != folder:
            raise CheckpointError(f"another folder holds a model of the name {version.name}: rename one")
        return version

    def _serve(self, version: Version) -> None:
        others = [each for each in self.models.versions.values() if each.folder != version.folder]
        left = self.settings.table_cache_mb * 1_000_000 - sum(map(table_bytes, _fused(others)))
        tabulate(_fused([version]), left)
        self.models = self.models.with_version(version)
        log.info("loaded %s, weights %s", version.name, version.predictor.checkpoint.weights_sha256[:12])

    def _reject(self, folder: Path, error: CheckpointError) -> None:
        self.models = self.models.with_failure(folder, str(error))
        kept = "what was served before still is" if self.models.of_folder(folder) else "it is not served"
        log.error("%s is broken, %s: %s", folder.name, kept, error)

    def _log_what_is_missing(self) -> None:
        names, wanted = set(self.names), self.settings.default_model
        if not names:
            log.error("no model could be loaded from %s", self.settings.weights_dir)
        for name in set(self.settings.models_of_a_precision) - names:
            log.error("GATESCOPE_PRECISION names the model %s, which is not loaded", name)
        if wanted and wanted not in names:
            log.error("the default model %s is not loaded; %s is the default instead", wanted, self.default)


def _fused(versions: Iterable[Version]) -> list[FusedRunner]:
    runners = [version.predictor.runner for version in versions]
    return [runner for runner in runners if isinstance(runner, FusedRunner)]
