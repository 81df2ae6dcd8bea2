"""Wheels of our own distributions, made from where they are installed: no index has to have them, nor a build tool.

Source of the format: "Binary distribution format", the Python packaging user guide.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from modelport.domain.errors import EnvironmentException

SERVER = {
    "modelport-azureml": "azureml",
    "modelport-worker": "modelport_worker",
    "modelport-scoring": "modelport_scoring",
}
"""The distributions that serve, and the package that each of them has."""

_ORIGIN = (1980, 1, 1, 0, 0, 0)
"""The first date that a zip file can hold: the same content gives the same file, whenever it is made."""
_WHEEL = "Wheel-Version: 1.0\nGenerator: modelport\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_METADATA = ("METADATA", "entry_points.txt")


def write_server_wheels(folder: Path) -> list[Path]:
    """Write a wheel of each distribution that serves into the folder, which is made where it is missing.

    Raises EnvironmentException where one is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [write_wheel(name, package, folder) for name, package in SERVER.items()]


def write_wheel(name: str, package: str, folder: Path) -> Path:
    """Write a wheel of the installed distribution, a checkout's too, and return its path."""
    try:
        installed = distribution(name)
    except PackageNotFoundError as error:
        raise EnvironmentException(f"The package {name} is not installed.", hint="Install Modelport anew.") from error
    stem = f"{name.replace('-', '_')}-{installed.version}"
    contents = dict(_contents(installed, package, f"{stem}.dist-info"))
    record = f"{stem}.dist-info/RECORD"
    rows = [f"{path},sha256={_digest(content)},{len(content)}\n" for path, content in contents.items()]
    contents[record] = "".join([*rows, f"{record},,\n"]).encode()
    wheel = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in contents.items():
            entry = zipfile.ZipInfo(path, date_time=_ORIGIN)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return wheel


def _contents(installed: Distribution, package: str, about: str) -> Iterator[tuple[str, bytes]]:
    """The package as it is imported, and what is known of the distribution."""
    root = _folder_of(package)
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"{package}/{path.relative_to(root).as_posix()}", path.read_bytes()
    for name in _METADATA:
        text = installed.read_text(name)
        if text:
            yield f"{about}/{name}", text.encode()
    yield f"{about}/WHEEL", _WHEEL.encode()


def _folder_of(package: str) -> Path:
    found = importlib.util.find_spec(package)
    places = list(found.submodule_search_locations or ()) if found else []
    if not places:
        raise EnvironmentException(f"The package {package} cannot be found.", hint="Install Modelport anew.")
    return Path(places[0])


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
