"""Bundles and environments as archives: the same bytes every time, and what the fetching side takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from modelport.bundles import BundleEnvironment, BundleRequest, build_bundle, pack_bundle, pack_environment, upload
from modelport.domain.errors import StoreException
from modelport_scoring.fetch.settings import BundleToFetch, EnvironmentToFetch, FetchSettings


def bundle_in(folder: Path) -> Path:
    source = folder / "source"
    source.mkdir()
    (source / "score.py").write_text("def init(): pass\n")
    (source / "tool.sh").write_text("#!/bin/sh\n")
    (source / "tool.sh").chmod(0o755)
    request = BundleRequest(
        script=source / "score.py",
        source_directory=source,
        models=(),
        environment=BundleEnvironment("none", "system", "", "3.11"),
        environment_variables={},
        environment_files={"lock.txt": b""},
    )
    return build_bundle(folder / "bundles", request, place=lambda *_: None)


def test_a_bundle_gives_the_same_bytes_and_is_fetched(tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path)
    first = pack_bundle(bundle, tmp_path / "first.tar")
    os.utime(bundle / "app/source/score.py", (1, 1))
    again = pack_bundle(bundle, tmp_path / "again.tar")
    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "again.tar").read_bytes()
    assert (first.digest, first.sha256, first.size) == (bundle.name, again.sha256, again.path.stat().st_size)
    prefix = tmp_path / "prefix"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "pyvenv.cfg").write_text("home = x\n")
    (prefix / "bin/python").symlink_to(sys.executable)
    environment = pack_environment(prefix, tmp_path / "environment.tar")
    upload(first, f"file://{tmp_path}/store/bundle.tar")
    upload(environment, f"file://{tmp_path}/store/environment.tar")
    wanted = FetchSettings(
        bundle=BundleToFetch(
            url=f"file://{tmp_path}/store/bundle.tar",
            digest=bundle.name,
            sha256=first.sha256,
            to=str(tmp_path / "there/bundle"),
        ),
        environment=EnvironmentToFetch(
            url=f"file://{tmp_path}/store/environment.tar",
            sha256=environment.sha256,
            to=str(tmp_path / "there/environment"),
        ),
    )
    (tmp_path / "fetch.json").write_bytes(msgspec.json.encode(wanted))
    command = [sys.executable, "-m", "modelport_scoring.fetch", "--settings", str(tmp_path / "fetch.json")]
    subprocess.run(command, check=True)
    assert os.access(tmp_path / "there/bundle/app/source/tool.sh", os.X_OK)
    assert (tmp_path / "there/environment/bin/python").resolve() == Path(sys.executable).resolve()


def test_what_cannot_be_packed_or_stored_says_why(tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path)
    archive = pack_bundle(bundle, tmp_path / "bundle.tar")
    with pytest.raises(StoreException, match=r"The archive cannot be stored: http://127.0.0.1:9/x: .*refused"):
        upload(archive, "http://127.0.0.1:9/x?signature=secret")
    (bundle / "app/source/score.py").write_text("changed")
    with pytest.raises(StoreException, match="The bundle is damaged"):
        pack_bundle(bundle, tmp_path / "damaged.tar")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreException, match="cannot be written"):
        pack_environment(tmp_path / "bundles", tmp_path / "file/x.tar")
