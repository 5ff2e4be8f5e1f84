"""A weights/ folder <-> a ready network, or the reason why not. Safetensors alone: loading runs nobody's code.

Every file that the manifest names is checked against its sha256 before it is read, and every tensor against the shape
that the manifest implies before it is used.
"""

import hashlib
import json
import re
import stat
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from ..errors import CheckpointError, DigestMismatch, ManifestError, MissingFile, WeightMismatch
from ..network.network import Architecture, Classifier, Tagger, build
from ..network.spans import bio_tags
from ..text.features import Feature
from ..text.vocabulary import Vocabulary
from .manifest import FeatureEntry, Manifest

MANIFEST, WEIGHTS = "manifest.json", "weights.safetensors"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# bytes; a folder of someone else's cannot make the server read a disk into memory
_LARGEST_FILE, _LARGEST_MANIFEST = 2**31, 2**20


@dataclass(frozen=True)
class Checkpoint:
    """A network with all that belongs to it. labels: classes, or kinds of entity; tags: a tagger's outputs."""

    manifest: Manifest
    network: Classifier | Tagger
    labels: tuple[str, ...]

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(bio_tags(self.labels))

    @property
    def weights_sha256(self) -> str:
        return self.manifest.sha256[WEIGHTS]

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.network.parameters())


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a weights folder; the network is in eval mode, on the CPU, in float32.

    Raises: CheckpointError: MissingFile, ManifestError, DigestMismatch or WeightMismatch.
    """
    manifest = read_manifest(folder)
    labels = _labels(folder, manifest)
    features = tuple(_feature(folder, entry, manifest) for entry in manifest.features)
    with torch.device("meta"):  # no memory yet: what a manifest claims costs nothing until its weights bear it out
        network = build(architecture(manifest, features, labels))
    tensors = _tensors(folder, _checked(folder, WEIGHTS, manifest))
    _fill(network, tensors, folder / WEIGHTS)
    return Checkpoint(manifest, network.eval().requires_grad_(False), labels)


def save_checkpoint(folder: Path, checkpoint: Checkpoint, dtype: torch.dtype = torch.float16) -> Checkpoint:
    """Write the folder; digests are made here. Returns what `load_checkpoint` will give, rounded to `dtype`."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest, files = checkpoint.manifest, {}
    texts = {manifest.labels: "\n".join(checkpoint.labels) + "\n"}
    for entry, feature in zip(manifest.features, checkpoint.network.architecture.features, strict=True):
        if entry.vocabulary is not None and feature.vocabulary is not None:
            texts[entry.vocabulary] = feature.vocabulary.dump()
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    tensors = {to_key(k): v.detach().cpu().to(dtype).contiguous() for k, v in checkpoint.network.state_dict().items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / WEIGHTS).chmod(0o644)  # safetensors makes it private, and a server may run as somebody else
    for name in (*texts, WEIGHTS):
        files[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    written = manifest.model_copy(update={"sha256": files})
    (folder / MANIFEST).write_text(
        json.dumps(written.model_dump(mode="json"), ensure_ascii=False, indent=1) + "\n", "utf-8"
    )
    return load_checkpoint(folder)


def read_manifest(folder: Path) -> Manifest:
    """Raises: MissingFile, ManifestError."""
    try:
        return Manifest.model_validate_json(_read(folder / MANIFEST, _LARGEST_MANIFEST), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}: " for part in [".".join(map(str, first["loc"]))] if part)
        raise ManifestError(folder, f"{where}{first['msg']} ({error.error_count()} in all)") from error


def architecture(manifest: Manifest, features: tuple[Feature, ...], labels: tuple[str, ...]) -> Architecture:
    outputs = len(labels) if manifest.task == "text-classification" else len(bio_tags(labels))
    return Architecture(
        manifest.task,
        manifest.cell,
        features,
        manifest.units,
        manifest.layers,
        manifest.directions,
        outputs,
        manifest.reads,
    )


def to_key(name: str) -> str:
    """A parameter's name in the network -> its key in the file: ``layer0.forward.weight_ih``, ``embedding.token``."""
    if found := re.fullmatch(r"encoder\.layers\.(\d+)\.(\d)\.kernel\.(\w+)_l0", name):
        layer, direction, weight = found.groups()
        return f"layer{layer}.{('forward', 'reverse')[int(direction)]}.{weight}"
    return name.replace("embedding.tables.", "embedding.")


def _feature(folder: Path, entry: FeatureEntry, manifest: Manifest) -> Feature:
    if entry.vocabulary is None:
        return Feature(entry.kind, entry.rows, entry.dimension)
    text = _checked(folder, entry.vocabulary, manifest)
    try:
        vocabulary = Vocabulary.parse(text.decode("utf-8"))
    except (UnicodeDecodeError, ValueError) as error:
        raise ManifestError(folder, f"{entry.vocabulary}: {error}") from error
    if len(vocabulary) != entry.rows:
        raise ManifestError(
            folder, f"{entry.vocabulary} has {len(vocabulary)} forms, feature {entry.kind!r} {entry.rows} rows"
        )
    return Feature(entry.kind, entry.rows, entry.dimension, vocabulary)


def _labels(folder: Path, manifest: Manifest) -> tuple[str, ...]:
    try:
        labels = _checked(folder, manifest.labels, manifest).decode("utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise ManifestError(folder, f"{manifest.labels}: {error}") from error
    if len(set(labels)) != len(labels) or not all(label.strip() for label in labels):
        raise ManifestError(folder, f"{manifest.labels} has a label that stands twice or is empty")
    return tuple(labels)


def _fill(network: Classifier | Tagger, tensors: dict[str, Tensor], path: Path) -> None:
    """Give a network without memory its tensors, as float32."""
    wanted = {to_key(name): parameter for name, parameter in network.named_parameters()}
    if wanted.keys() != tensors.keys():
        raise WeightMismatch(path, _names_mismatch(wanted.keys(), tensors.keys()))
    for key, parameter in wanted.items():
        found = tensors[key]
        if found.shape != parameter.shape:
            raise WeightMismatch(
                path, f"{key} has shape {list(found.shape)}, the manifest says {list(parameter.shape)}"
            )
        if found.dtype not in (torch.float32, torch.float16):
            raise WeightMismatch(path, f"{key} is {found.dtype}, allowed are float32 and float16")
        if not bool(torch.isfinite(found).all()):
            raise WeightMismatch(path, f"{key} has values that are not finite")
    values = {name: tensors[to_key(name)].to(torch.float32, copy=True) for name, _ in network.named_parameters()}
    network.load_state_dict(values, assign=True)


def _names_mismatch(wanted: Set[str], found: Set[str]) -> str:
    """Which tensors are missing and which are unknown, and the prefix where it alone makes the difference."""
    longest = max(wanted, key=len)
    for prefix in sorted({key.removesuffix(longest) for key in found if key.endswith(f".{longest}")}):
        if {key.removeprefix(prefix) for key in found} == set(wanted):
            return f"every key begins with {prefix!r}, as a wrapped module is saved: remove that prefix from the keys"
    missing, surplus = sorted(wanted - found), sorted(found - wanted)
    parts = [f"it lacks {_listed(missing)}"] if missing else []
    parts += [f"it has {_listed(surplus)}, which the manifest has no place for"] if surplus else []
    return " and ".join(parts)


def _listed(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(name[:80] for name in names[:most])}{more}"


def _tensors(folder: Path, raw: bytes) -> dict[str, Tensor]:
    try:
        return load(raw)
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightMismatch(folder / WEIGHTS, f"it is not a safetensors file ({error})") from error


def _checked(folder: Path, name: str, manifest: Manifest) -> bytes:
    """The bytes of a file that the manifest names, once their digest is right."""
    if not _PLAIN_NAME.fullmatch(name):
        raise ManifestError(folder, f"{name!r} is not a plain file name")
    if name not in manifest.sha256:
        raise ManifestError(folder, f"sha256 has no digest of {name}")
    raw = _read(folder / name)
    found = hashlib.sha256(raw).hexdigest()
    if found != manifest.sha256[name]:
        raise DigestMismatch(folder / name, manifest.sha256[name], found)
    return raw


def _read(path: Path, at_most: int = _LARGEST_FILE) -> bytes:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe or a device would never end
            raise CheckpointError(f"{path.name} in {path.parent.name}/ is not a plain file: restore the file")
        if found.st_size > at_most:
            raise CheckpointError(
                f"{path.name} in {path.parent.name}/ has {found.st_size} bytes, at most {at_most} are read"
            )
        return path.read_bytes()
    except FileNotFoundError as error:
        raise MissingFile(path) from error
    except OSError as error:
        raise CheckpointError(f"{path.name} in {path.parent.name}/ cannot be read: {error.strerror}") from error
