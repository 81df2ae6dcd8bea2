"""Makes a small conda channel on disk: plain .tar.bz2 packages, indexed by rattler."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import platform
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from rattler import Subdir
from rattler.index import index_fs

MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
SITE_PACKAGES = f"lib/python{MINOR}/site-packages"


class ChannelOnDisk:
    """A channel. ``url`` is what goes under ``channels:``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._subdir = str(Subdir.current())
        (folder / self._subdir).mkdir(parents=True)
        (folder / "noarch").mkdir()

    @property
    def url(self) -> str:
        return self._folder.as_uri()

    def add(
        self,
        name: str,
        version: str,
        *,
        files: Mapping[str, str] | None = None,
        links: Mapping[str, str] | None = None,
        depends: Sequence[str] = (),
    ) -> None:
        """Put a package into the channel: ``files`` by path with their text, symbolic ``links`` by path."""
        paths = [_file_entry(path, text) for path, text in (files or {}).items()]
        paths += [{"_path": path, "path_type": "softlink"} for path in links or {}]
        index = {
            "name": name, "version": version, "build": "0", "build_number": 0,
            "depends": list(depends), "subdir": self._subdir, "license": "none",
        }  # fmt: skip
        content = {
            **(files or {}),
            "info/index.json": json.dumps(index),
            "info/paths.json": json.dumps({"paths": paths, "paths_version": 1}),
            "info/files": "\n".join([*(files or {}), *(links or {})]),
        }
        archive = self._folder / self._subdir / f"{name}-{version}-0.tar.bz2"
        with tarfile.open(archive, "w:bz2") as tar:
            for path, text in content.items():
                info = tarfile.TarInfo(path)
                info.size = len(text.encode())
                tar.addfile(info, io.BytesIO(text.encode()))
            for path, target in (links or {}).items():
                info = tarfile.TarInfo(path)
                info.type, info.linkname = tarfile.SYMTYPE, target
                tar.addfile(info)

    def add_python(self) -> None:
        """A package ``python`` that really runs: it borrows the interpreter and the library that run the tests."""
        home = Path(sys.base_exec_prefix) / "bin"
        settings = f"home = {home}\ninclude-system-site-packages = false\nversion = {platform.python_version()}\n"
        links = {f"bin/{name}": str(home / f"python{MINOR}") for name in ("python", "python3", f"python{MINOR}")}
        empty = {f"{SITE_PACKAGES}/README.txt": "Packages are installed here.\n"}
        self.add("python", platform.python_version(), files={"pyvenv.cfg": settings, **empty}, links=links)

    def index(self) -> None:
        """Make what was added known. Call it once, after the last ``add``."""
        asyncio.run(index_fs(self._folder))


def _file_entry(path: str, text: str) -> dict[str, object]:
    data = text.encode()
    digest = hashlib.sha256(data).hexdigest()
    return {"_path": path, "path_type": "hardlink", "sha256": digest, "size_in_bytes": len(data)}
