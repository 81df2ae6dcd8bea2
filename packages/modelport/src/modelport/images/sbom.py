"""The bill of materials of an image: a CycloneDX document of the packages that its layers have.

Source of the format: CycloneDX 1.5, JSON; package URLs. Read from the layers themselves, so that it says what is there.
"""

from __future__ import annotations

import dataclasses
import json
import posixpath
import re
import tarfile
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from modelport.environments.requirement_lines import normalised
from modelport.images.blobs import Blobs, canonical_json, digest_of
from modelport.images.image import ImageLayer
from modelport.images.layers import opened

MEDIA_TYPE = "application/vnd.cyclonedx+json"
_FORMAT = 1
_METADATA = re.compile(r".*\.(?:dist|egg)-info/(?:METADATA|PKG-INFO)")
_CONDA = re.compile(r".*/conda-meta/[^/]+\.json")
_DPKG = "var/lib/dpkg/status"


@dataclass(frozen=True, order=True)
class Component:
    """A package: where it lies, what it is, and under which licence, as far as it says so."""

    purl: str
    name: str
    version: str
    licence: str
    layer: str


def bill_of_materials(blobs: Blobs, layers: Sequence[ImageLayer], cache: Path, *, name: str) -> dict[str, Any]:
    """The document for an image of these layers.

    It does not name the image: that it is attached to it says so, and an edited script has the same packages, so that
    the same document serves.
    """
    components = [component for layer in layers for component in _components(blobs, layer, cache)]
    unique = {(component.purl, component.layer): component for component in sorted(components)}
    described = [_described(component) for component in unique.values()]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest_of(canonical_json([name, described])))}",
        "version": 1,
        "metadata": {
            "component": {"type": "container", "bom-ref": "image", "name": name},
            "tools": {"components": [{"type": "application", "name": "modelport", "version": version("modelport")}]},
        },
        "components": described,
    }


def _described(component: Component) -> dict[str, Any]:
    licences = [{"license": {"name": component.licence}}] if component.licence else []
    return {
        "type": "library",
        "bom-ref": f"{component.purl}#{component.layer.replace(' ', '-')}",
        "name": component.name,
        "version": component.version,
        "purl": component.purl,
        "licenses": licences,
        "properties": [{"name": "modelport:layer", "value": component.layer}],
    }


def _components(blobs: Blobs, layer: ImageLayer, cache: Path) -> list[Component]:
    """The packages of the layer: read once, then kept."""
    kept = cache / f"{layer.diff_id.replace(':', '-')}-{_FORMAT}.json"
    try:
        rows = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        with opened(blobs.path(layer.digest)) as stream:
            rows = [dataclasses.asdict(each) for each in _read(stream)]
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=cache, delete=False, encoding="utf-8") as draft:
            json.dump(rows, draft)
        Path(draft.name).rename(kept)
    return [Component(**{**row, "layer": layer.name}) for row in rows]


def _read(stream: IO[bytes]) -> Iterator[Component]:
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            path = posixpath.normpath(member.name).strip("/")
            if not member.isfile():
                continue
            if _METADATA.fullmatch(path):
                yield from _of_python(_text(archive, member))
            elif _CONDA.fullmatch(path):
                yield from _of_conda(_text(archive, member))
            elif path == _DPKG:
                yield from _of_debian(_text(archive, member))


def _text(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = archive.extractfile(member)
    return file.read().decode("utf-8", errors="replace") if file else ""


def _of_python(text: str) -> Iterator[Component]:
    about = HeaderParser().parsestr(text)
    name, release = about.get("Name"), about.get("Version")
    if name and release:
        licence = about.get("License-Expression") or _short(about.get("License", ""))
        purl = f"pkg:pypi/{normalised(name)}@{quote(release)}"
        yield Component(purl=purl, name=name, version=release, licence=licence, layer="")


def _short(licence: str) -> str:
    """Some packages have the whole text of their licence there."""
    line = licence.strip().split("\n")[0]
    return line if len(line) < 80 else line[:77] + "..."


def _of_conda(text: str) -> Iterator[Component]:
    record = json.loads(text)
    name, release, build = record["name"], record["version"], record.get("build", "")
    purl = f"pkg:conda/{quote(name)}@{quote(release)}?build={quote(build)}"
    yield Component(purl=purl, name=name, version=release, licence=record.get("license") or "", layer="")


def _of_debian(text: str) -> Iterator[Component]:
    for paragraph in text.split("\n\n"):
        about = HeaderParser().parsestr(paragraph)
        name, release = about.get("Package"), about.get("Version")
        if name and release and "installed" in about.get("Status", ""):
            purl = f"pkg:deb/debian/{quote(name)}@{quote(release)}?arch={about.get('Architecture', '')}"
            yield Component(purl=purl, name=name, version=release, licence="", layer="")
