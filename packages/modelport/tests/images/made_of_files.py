"""Small root file systems and bundles for tests: no engine and no Debian is needed."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelport.bundles import BundleEnvironment, BundleRequest, build_bundle
from modelport.domain.models import ModelFile, ModelVersion

PASSWD = "root:x:0:0:root:/root:/bin/bash\n"
GLIBC = b"\x7fELF GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n"

DEBIAN = {
    "etc/passwd": PASSWD.encode(),
    "etc/group": b"root:x:0:\n",
    "usr/lib/x86_64-linux-gnu/libc.so.6": GLIBC,
    "usr/bin/python3.11": b"a program",
    "usr/lib/python3.11/os.py": b"",
}
"""As much of a Debian with Python as an image needs to be told of."""

SCRIPT = "def init():\n    pass\n\n\ndef run(data):\n    return data\n"


def write_tar(file: Path, content: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> Path:
    """An archive of the files and links."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as archive:
        for path, target in (links or {}).items():
            member = tarfile.TarInfo(path)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
        for path, data in content.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), 0o755
            archive.addfile(member, io.BytesIO(data))
    return file


def debian(folder: Path, *, without: Sequence[str] = ()) -> Path:
    """A root file system."""
    content = {path: data for path, data in DEBIAN.items() if not path.startswith(tuple(without))}
    return write_tar(folder / "debian.tar", content, {"lib": "usr/lib", "usr/bin/python3": "python3.11"})


def make_bundle(
    folder: Path,
    *,
    lock: str = "",
    kind: str = "venv",
    python: str = "3.11.7",
    script: str = SCRIPT,
    model: bytes | None = b"the model",
    definition: str = "null",
    variables: Mapping[str, str] | None = None,
) -> Path:
    """A bundle with a script, and a model ``m`` of one file."""
    source = folder / "source"
    source.mkdir(parents=True, exist_ok=True)
    (source / "score.py").write_text(script)

    def place(version: ModelVersion, path: str, target: Path) -> None:
        target.write_bytes(model or b"")

    request = BundleRequest(
        script=source / "score.py",
        source_directory=None,
        models=() if model is None else (_model(model),),
        environment=BundleEnvironment("env", kind, "0" * 64, python),
        environment_variables=variables or {},
        environment_files={"environment.json": definition.encode(), "lock.txt": lock.encode()},
    )
    return build_bundle(folder / "bundles", request, place=place)


def _model(content: bytes) -> ModelVersion:
    return ModelVersion(
        name="m",
        version=1,
        files=(ModelFile("model.bin", len(content), hashlib.sha256(content).hexdigest()),),
        is_folder=False,
        created_time=dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    )
