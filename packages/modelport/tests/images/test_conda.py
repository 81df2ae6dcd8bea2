"""The layer of a conda lock."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from modelport.domain.environments import EnvironmentKind
from modelport.domain.progress import Silent
from modelport.environments.conda import CondaEnvironments
from modelport.exceptions import EnvironmentException
from modelport.images.blobs import Blobs
from modelport.images.environment import environment_layer
from modelport.images.image import ImageLayer, Platform
from modelport.images.install import Target
from modelport.images.layers import LayerCache
from modelport.images.pythons import ImagePython

from ..environments.conda_channel import MINOR, SITE_PACKAGES, ChannelOnDisk
from ..environments.local_wheels import definition, make_wheel

PREFIX = "opt/modelport/environment"
HERE = Platform.of_this_machine()


def _lock(folder: Path) -> str:
    channel = ChannelOnDisk(folder / "channel")
    channel.add_python()
    channel.add("mp-one", "3.0", files={f"{SITE_PACKAGES}/mp_one.py": "VALUE = 8\n"}, depends=["python"])
    channel.index()
    make_wheel(folder / "wheels", "mp_two", "1.0")
    wanted = definition(
        ["--no-index", f"--find-links {folder / 'wheels'}", "mp_two==1.0"],
        packages=["python", "mp-one"],
        channels=[channel.url],
    )
    return CondaEnvironments(folder / "environments").resolve(wanted, progress=Silent()).text


def _layer(lock: str, cache: Path, platform: Platform = HERE) -> ImageLayer:
    target = Target(python=ImagePython(MINOR, f"/{PREFIX}/bin/python{MINOR}"), platform=platform, glibc="2.36")
    layers = LayerCache(Blobs(cache), cache / "layers")
    layer, _ = environment_layer(lock, EnvironmentKind.CONDA, target, layers=layers, cache=cache, progress=Silent())
    assert environment_layer(lock, EnvironmentKind.CONDA, target, layers=layers, cache=cache, progress=Silent()) == (
        layer,
        True,
    )
    return layer


def test_a_conda_prefix_is_made_for_where_it_will_be(tmp_path: Path) -> None:
    lock = _lock(tmp_path)
    layer = _layer(lock, tmp_path / "one")
    assert _layer(lock, tmp_path / "two") == layer, "the same again, elsewhere"
    with tarfile.open(Blobs(tmp_path / "one").path(layer.digest)) as archive:
        names = set(archive.getnames())
        record = json.loads(_read(archive, f"{PREFIX}/conda-meta/mp-one-3.0-0.json"))
        assert str(tmp_path) not in json.dumps({**record, "url": "", "channel": ""})
    site = f"{PREFIX}/{SITE_PACKAGES}"
    assert {f"{PREFIX}/bin/python", f"{site}/mp_one.py", f"{site}/mp_two.py"} <= names
    assert f"{site}/__pycache__/mp_two.cpython-{MINOR.replace('.', '')}.pyc" in names
    assert f"{PREFIX}/conda-meta/history" not in names


def test_a_conda_prefix_is_of_one_platform(tmp_path: Path) -> None:
    other = Platform("arm64" if HERE.architecture == "amd64" else "amd64")
    with pytest.raises(
        EnvironmentException, match=r"locked to conda packages of linux-\w+: no image of it can be made"
    ):
        _layer(_lock(tmp_path), tmp_path / "one", other)


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()
