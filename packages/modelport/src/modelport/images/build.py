"""Makes images: a base and layers on it, each kept by what it is made of (docs/architecture/11-images.md)."""

from __future__ import annotations

import json
import os
import posixpath
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from modelport.bundles import Manifest, read_manifest
from modelport.domain.environments import EnvironmentDefinition, EnvironmentKind, Lock
from modelport.domain.errors import UserErrorException
from modelport.domain.progress import Progress
from modelport.environments.definition_json import definition_from_json
from modelport.images.base_choice import check_libraries, choose_base, stock_base
from modelport.images.bases import BaseImage, Bases
from modelport.images.cache import LAYERS, in_use
from modelport.images.configuration import configuration, labels_of, manifest_of
from modelport.images.content import code_entries, entries_key, model_entries, models_key, user_entries
from modelport.images.environment import ENVIRONMENT, environment_layer
from modelport.images.image import BuiltImage, ImageLayer, ImageSettings
from modelport.images.install import Target
from modelport.images.layers import Entry, LayerCache
from modelport.images.layout import keep_image
from modelport.images.pythons import OLDEST_FOR_SERVER, VARIABLE, ImagePython, brought, pythons_of, server_python
from modelport.images.server import server_layer, worker_layer
from modelport.packages.base_images import SERVER_MINOR, official_image
from modelport.packages.dockerfile import image_variables
from modelport.packages.plan import PREFIX, PackagePlan, plan_package

_OWN_MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"


def build_image(bundle: Path, *, settings: ImageSettings, cache: Path, progress: Progress) -> BuiltImage:
    """The image of the bundle, which serves when a container of it starts.

    What was made before for the same content is taken from the folder ``cache``. Raises UserErrorException for a base
    that cannot be had or used, EnvironmentException for packages that cannot be installed, RegistryException for what a
    registry does, StoreException for a damaged bundle.
    """
    with in_use(cache):
        return _Build(settings, cache, progress).of_bundle(bundle)


def stock_image(python: str, *, settings: ImageSettings, cache: Path, progress: Progress) -> BuiltImage:
    """An image that serves what is put into it later: it has the Python of that version, the scoring server and the
    worker, and neither code nor models nor an environment. Raises as ``build_image``."""
    with in_use(cache):
        return _Build(settings, cache, progress).stock(python)


def environment_archive(
    bundle: Path, *, settings: ImageSettings, cache: Path, progress: Progress
) -> tuple[ImageLayer, Path] | None:
    """The layer with the bundle's environment, for a stock image of the same settings, and its file; None where the
    bundle has no environment. Raises as ``build_image``."""
    with in_use(cache):
        return _Build(settings, cache, progress).environment(bundle)


class _Build:
    """One image in the making."""

    def __init__(self, settings: ImageSettings, cache: Path, progress: Progress) -> None:
        self._settings = settings
        self._cache = cache
        self._progress = progress
        self._bases = Bases(cache, credentials=settings.credentials, progress=progress)
        self._layers = LayerCache(self._bases.blobs, cache / LAYERS)
        self._made: list[ImageLayer] = []

    def of_bundle(self, bundle: Path) -> BuiltImage:
        manifest = read_manifest(bundle)
        definition = _definition(bundle, manifest)
        lock = _lock(bundle, manifest)
        settings = self._settings
        plan = plan_package(manifest, definition, lock, name=settings.name, workspace=settings.workspace)
        if not settings.has_variables:
            plan = replace(plan, environment_variables={})
        base = choose_base(plan, definition, settings, self._bases, self._progress)
        self._show_base(base)
        self._add(*self._layer("user", user_entries(base)))
        script = self._script_python(plan, lock, base)
        plan = replace(plan, interpreter=_interpreter(plan, script, base))
        if script is not None:
            self._add(*self._environment_layer(lock, script, base))
        self._add_server(base, script)
        if manifest.models:
            self._add(*self._layers.layer("models", models_key(manifest), lambda: model_entries(bundle, manifest)))
        self._add(*self._layer("code", code_entries(plan, bundle)))
        labels = {"modelport.bundle": manifest.digest, **settings.labels}
        built = self._finish(base, image_variables(plan), labels)
        return replace(built, interpreter=(plan.interpreter,), keeps_python_path=not plan.has_environment)

    def stock(self, python: str) -> BuiltImage:
        settings = self._settings
        base = self._bases.read(settings.base or stock_base(python), settings.platform)
        self._show_base(base)
        self._add(*self._layer("user", user_entries(base)))
        script = self._python_of(python, base)
        self._add_server(base, script)
        return replace(self._finish(base, {}, dict(settings.labels)), interpreter=(script.program,))

    def environment(self, bundle: Path) -> tuple[ImageLayer, Path] | None:
        manifest = read_manifest(bundle)
        lock = _lock(bundle, manifest)
        if lock.kind is EnvironmentKind.SYSTEM:
            return None
        base = self._bases.read(self._settings.base or stock_base(lock.python_version), self._settings.platform)
        plan = plan_package(manifest, _definition(bundle, manifest), lock, name="", workspace="")
        layer, _ = self._environment_layer(lock, self._needed_python(plan, lock, base), base)
        return layer, self._bases.blobs.path(layer.digest)

    def _environment_layer(self, lock: Lock, script: ImagePython, base: BaseImage) -> tuple[ImageLayer, bool]:
        check_libraries(lock.text.splitlines(), base)
        target = Target(python=script, platform=self._settings.platform, glibc=base.tree.glibc)
        return environment_layer(
            lock.text, lock.kind, target, layers=self._layers, cache=self._cache, progress=self._progress
        )

    def _show_base(self, base: BaseImage) -> None:
        for layer in base.layers:
            self._show(layer, f"of {base.name}")

    def _add(self, layer: ImageLayer, was_there: bool) -> None:
        self._made.append(layer)
        self._show(layer, "as before" if was_there else "new")

    def _show(self, layer: ImageLayer, about: str) -> None:
        sizes = f"{layer.bytes / 1e6:9.2f} MB, {layer.compressed_bytes / 1e6:8.2f} MB compressed"
        self._progress.step(f"Layer {layer.name:<14}{sizes}, {about}")

    def _layer(self, name: str, entries: Sequence[Entry]) -> tuple[ImageLayer, bool]:
        return self._layers.layer(name, entries_key(name, entries), lambda: entries)

    def _script_python(self, plan: PackagePlan, lock: Lock, base: BaseImage) -> ImagePython | None:
        """The Python that the environment's packages are for; None where the script runs on one of the base."""
        return None if plan.kind is EnvironmentKind.SYSTEM else self._needed_python(plan, lock, base)

    def _needed_python(self, plan: PackagePlan, lock: Lock, base: BaseImage) -> ImagePython:
        if plan.kind is EnvironmentKind.CONDA:
            minor = _minor(lock.python_version)
            return ImagePython(minor, f"{ENVIRONMENT}/bin/python{minor}")
        return self._python_of(_minor(lock.python_version), base)

    def _python_of(self, minor: str, base: BaseImage) -> ImagePython:
        """That Python of the base; where it has none, one that a layer brings."""
        found = next((python for python in pythons_of(base.tree) if python.minor == minor), None)
        return found or self._bring(minor, base)

    def _bring(self, minor: str, base: BaseImage) -> ImagePython:
        named = self._settings.pythons or os.environ.get(VARIABLE) or official_image(minor)
        sources = [source.strip() for source in named.split(",")]
        with brought(minor, sources, to=base, bases=self._bases, platform=self._settings.platform) as python:
            self._progress.step(f"{base.name} has no Python {minor}: it comes from {python.source}")
            self._add(*self._layer("python", python.entries))
            return python.python

    def _add_server(self, base: BaseImage, script: ImagePython | None) -> None:
        python = server_python(base.tree, _OWN_MINOR)
        if python is None and script is not None and script.program.startswith(f"{PREFIX}/pythons/"):
            python = script if script.numbers >= OLDEST_FOR_SERVER else None
        python = python or self._bring(SERVER_MINOR, base)
        target = Target(python=python, platform=self._settings.platform, glibc=base.tree.glibc)
        if target.local is None:
            self._progress.step(
                f"This machine has no Python {python.minor}: the server is not compiled, and starts slower"
            )
        self._add(*server_layer(target, self._layers))
        self._add(*worker_layer(target, script, self._layers))

    def _finish(self, base: BaseImage, variables: Mapping[str, str], labels: Mapping[str, str]) -> BuiltImage:
        settings = self._settings
        labels = labels_of(base, title=settings.name, more=labels)
        config = configuration(base, self._made, platform=settings.platform, variables=variables, labels=labels)
        layers = (*base.layers, *self._made)
        built = keep_image(
            self._cache, layers, config, manifest_of(config, layers, labels), settings.platform, name=settings.name
        )
        own = sum(layer.bytes for layer in built.own_layers)
        self._progress.step(f"Image {built.digest}: {own / 1e6:.1f} MB on {base.name}")
        return built


def _definition(bundle: Path, manifest: Manifest) -> EnvironmentDefinition:
    content = json.loads((bundle / "environment" / "environment.json").read_text(encoding="utf-8"))
    if content is None:
        return EnvironmentDefinition(name=manifest.environment.name)
    return definition_from_json(content, where="environment.json of the bundle")


def _lock(bundle: Path, manifest: Manifest) -> Lock:
    about = manifest.environment
    return Lock(
        kind=EnvironmentKind(about.kind),
        digest=about.lock_digest,
        text=(bundle / "environment" / "lock.txt").read_text(encoding="utf-8"),
        python="",
        python_version=about.python,
    )


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _interpreter(plan: PackagePlan, script: ImagePython | None, base: BaseImage) -> str:
    """The path of the script's Python in the image."""
    if script is not None:
        return f"{ENVIRONMENT}/bin/python"
    named = plan.interpreter
    variables = dict(line.partition("=")[::2] for line in (base.config.get("config") or {}).get("Env") or ())
    folders = [""] if "/" in named else variables.get("PATH", "/usr/local/bin:/usr/bin").split(":")
    found = next((path for each in folders if base.tree.is_file(path := posixpath.join(each, named))), None)
    pythons = pythons_of(base.tree)
    if found is None and named in ("python", "python3") and pythons:
        return pythons[0].program
    if found is None:
        there = ", ".join(python.program for python in pythons) or "none"
        raise UserErrorException(
            f"The environment's Python, {named}, is not in the base {base.name}. It has these Pythons: {there}.",
            hint="Set environment.python.interpreter_path to one of them, or name another base.",
        )
    return found
