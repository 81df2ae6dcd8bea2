"""What of a bundle, and of the image's user, lies in the image."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from modelport.bundles import BundleFile, Manifest
from modelport.domain.errors import StoreException
from modelport.environments.locks import sha256_of
from modelport.images.bases import BaseImage
from modelport.images.layers import FORMAT, Entry, entries_below
from modelport.packages.context import server_files
from modelport.packages.plan import APP_ROOT, PACKAGE, PREFIX, USER, PackagePlan

_NAME = "modelport"
_MODELS = "azureml-models"
_HOME = f"/home/{_NAME}"


def user_entries(base: BaseImage) -> list[Entry]:
    """The user that the image runs as, a member of the base's own lists, and the folders that everything lies in."""
    user = f"{_NAME}:x:{USER}:{USER}::{_HOME}:/bin/sh"
    group = f"{_NAME}:x:{USER}:"
    return [
        Entry(path="/etc/passwd", content=_with_line(base.tree.text("etc/passwd"), user)),
        Entry(path="/etc/group", content=_with_line(base.tree.text("etc/group"), group)),
        Entry(path=_HOME, owner=USER),
        Entry(path=PREFIX),
        Entry(path=PACKAGE),
        Entry(path=APP_ROOT, owner=USER),
    ]


def _with_line(text: str, line: str) -> bytes:
    kept = [each for each in text.splitlines() if each and each.partition(":")[0] != _NAME]
    return "".join(f"{each}\n" for each in [*kept, line]).encode()


def model_entries(bundle: Path, manifest: Manifest) -> list[Entry]:
    """The models of the bundle, to be what its manifest says.

    Raises StoreException where files are missing or were added.
    """
    entries = [*entries_below(bundle / _MODELS, f"{APP_ROOT}/{_MODELS}", owner=USER)]
    wanted = {f"{APP_ROOT}/{file.path}": file for file in _model_files(manifest)}
    there = {
        entry.path if entry.target is None else f"{entry.path} (a link)" for entry in entries if not entry.is_folder
    }
    if there != wanted.keys():
        raise StoreException(
            f"The bundle {bundle} is damaged: {', '.join(sorted(there ^ wanted.keys()))} is missing or was added.",
            hint="Deploy or package again; the bundle is then built anew.",
        )
    return [
        entry if entry.is_folder else dataclasses.replace(entry, sha256=wanted[entry.path].sha256) for entry in entries
    ]


def _model_files(manifest: Manifest) -> list[BundleFile]:
    return [file for file in manifest.files if file.path.startswith(f"{_MODELS}/")]


def models_key(manifest: Manifest) -> str:
    """What the layer of the models is kept by: their files, as the manifest has them. They are read, and compared with
    it, where the layer is made."""
    return sha256_of("models", FORMAT, [dataclasses.astuple(file) for file in _model_files(manifest)])


def code_entries(plan: PackagePlan, bundle: Path) -> list[Entry]:
    """The script and what was shipped with it, and what the scoring server is told of them."""
    return [
        *entries_below(bundle / "app", APP_ROOT, owner=USER),
        Entry(path=PACKAGE),
        *(
            Entry(path=f"{PACKAGE}/{name}", content=text.encode())
            for name, text in sorted(server_files(plan, bundle).items())
        ),
    ]


def entries_key(name: str, entries: Iterable[Entry]) -> str:
    """What a layer of these entries is kept by: the content of each."""
    return sha256_of(name, FORMAT, [*_described(entries)])


def _described(entries: Iterable[Entry]) -> Iterator[list[object]]:
    for entry in entries:
        content = entry.content
        if entry.source is not None:
            with entry.source.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        else:
            digest = "" if content is None else hashlib.sha256(content).hexdigest()
        yield [entry.path, digest, entry.target, entry.executable, entry.owner]
