"""Bundles: what is in them, that equal contents give equal digests, and that a killed builder leaves nothing."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modelport.bundles import BundleEnvironment, BundleRequest, build_bundle, read_manifest, verify_bundle
from modelport.domain.errors import StoreException, UserErrorException
from modelport.domain.models import ModelFile, ModelVersion

CONTENT = b"weights"


def a_model(path: str = "model.pkl") -> ModelVersion:
    digest = hashlib.sha256(CONTENT).hexdigest()
    return ModelVersion(
        name="ridge",
        files=(ModelFile(path, len(CONTENT), digest),),
        is_folder="/" in path,
        version=3,
        created_time=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    )


def place(model: ModelVersion, path: str, target: Path) -> None:
    target.write_bytes(CONTENT)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source_dir"
    (folder / "data").mkdir(parents=True)
    (folder / "score.py").write_text("def init(): pass\ndef run(data): return data\n")
    (folder / "data" / "extra.json").write_text("{}")
    (folder / ".gitignore").write_text("data/\n")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "score.pyc").write_bytes(b"cache")
    return folder


def request(
    source: Path, *, models: tuple[ModelVersion, ...] = (), variables: dict[str, str] | None = None
) -> BundleRequest:
    return BundleRequest(
        script=source / "score.py",
        source_directory=source,
        models=models,
        environment=BundleEnvironment("system", "system", "0" * 64, "3.11.7"),
        environment_variables=variables or {},
        environment_files={"environment.json": b"null", "lock.txt": b""},
    )


def test_a_bundle_holds_code_models_and_environment_under_its_digest(tmp_path: Path, source: Path) -> None:
    bundle = build_bundle(tmp_path / "bundles", request(source, models=(a_model(),)), place=place)

    manifest = json.loads((bundle / "bundle.json").read_text())
    assert bundle.name == hashlib.sha256((bundle / "bundle.json").read_bytes()).hexdigest()
    assert manifest["entry_script"] == "source_dir/score.py"
    assert manifest["source_directory"] == "source_dir"
    assert [file["path"] for file in manifest["files"]] == [
        "app/source_dir/.gitignore",
        "app/source_dir/data/extra.json",
        "app/source_dir/score.py",
        "azureml-models/ridge/3/model.pkl",
        "environment/environment.json",
        "environment/lock.txt",
    ]
    assert (bundle / "azureml-models/ridge/3/model.pkl").read_bytes() == CONTENT
    assert read_manifest(bundle) == verify_bundle(bundle)


def test_equal_contents_give_the_same_bundle_and_other_contents_another(tmp_path: Path, source: Path) -> None:
    root = tmp_path / "bundles"
    first = build_bundle(root, request(source), place=place)
    assert build_bundle(root, request(source), place=place) == first
    assert build_bundle(root, request(source, variables={"A": "1"}), place=place) != first
    (source / "score.py").write_text("def init(): pass\ndef run(other): return other\n")
    assert build_bundle(root, request(source), place=place) != first
    assert not list(root.glob(".building-*"))


def test_a_single_script_is_shipped_alone(tmp_path: Path, source: Path) -> None:
    single = request(source)
    single = BundleRequest(**{**single.__dict__, "source_directory": None})
    bundle = build_bundle(tmp_path / "bundles", single, place=place)
    assert read_manifest(bundle).entry_script == "score.py"
    assert [path.name for path in (bundle / "app").iterdir()] == ["score.py"]


def test_links_are_followed_and_executables_stay_executable(tmp_path: Path, source: Path) -> None:
    outside = tmp_path / "shared.py"
    outside.write_text("shared = 1\n")
    (source / "shared.py").symlink_to(outside)
    (source / "tool").write_text("#!/bin/sh\n")
    (source / "tool").chmod(0o755)
    bundle = build_bundle(tmp_path / "bundles", request(source), place=place)
    shipped = bundle / "app/source_dir"
    assert (shipped / "shared.py").read_text() == "shared = 1\n"
    assert not (shipped / "shared.py").is_symlink()
    assert os.access(shipped / "tool", os.X_OK)


def _dangling(source: Path) -> str:
    (source / "gone").symlink_to("nowhere")
    return "gone.*leads nowhere"


def _loop(source: Path) -> str:
    (source / "up").symlink_to(source)
    return "loop of links"


def _pipe(source: Path) -> str:
    os.mkfifo(source / "pipe")
    return "pipe.*neither a file nor a folder"


def _itself(source: Path) -> str:
    (source / "self").symlink_to("self")
    return "self.*leads nowhere"


def _name_of_bytes(source: Path) -> str:
    Path(os.fsdecode(os.fsencode(source) + b"/caf\xe9.txt")).touch()
    return "caf.*not UTF-8"


@pytest.mark.parametrize("spoil", [_dangling, _loop, _pipe, _itself, _name_of_bytes])
def test_what_cannot_be_shipped_is_named(tmp_path: Path, source: Path, spoil: Callable[[Path], str]) -> None:
    expected = spoil(source)
    with pytest.raises(UserErrorException, match=expected):
        build_bundle(tmp_path / "bundles", request(source), place=place)
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == []


@pytest.mark.parametrize("damaged", ["app/source_dir/score.py", "azureml-models/ridge/3/model.pkl", "bundle.json"])
@pytest.mark.parametrize("content", [b"", None])
def test_a_bundle_that_a_power_cut_left_empty_is_built_anew(
    tmp_path: Path, source: Path, damaged: str, content: bytes | None
) -> None:
    wanted = request(source, models=(a_model(),))
    bundle = build_bundle(tmp_path / "bundles", wanted, place=place)
    if content is None:
        (bundle / damaged).unlink()
    else:
        (bundle / damaged).write_bytes(content)

    assert build_bundle(tmp_path / "bundles", wanted, place=place) == bundle
    verify_bundle(bundle)
    build_bundle(tmp_path / "bundles", request(source), place=place)
    assert not list((tmp_path / "bundles").glob(".building-*"))


def test_a_wrong_byte_is_found_and_named(tmp_path: Path, source: Path) -> None:
    bundle = build_bundle(tmp_path / "bundles", request(source, models=(a_model(),)), place=place)
    (bundle / "azureml-models/ridge/3/model.pkl").write_bytes(b"weightz")
    with pytest.raises(StoreException, match=r"azureml-models/ridge/3/model\.pkl"):
        verify_bundle(bundle)
    (bundle / "bundle.json").write_text("{}")
    with pytest.raises(StoreException, match="not the one that was built"):
        read_manifest(bundle)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, source: Path) -> None:
    (tmp_path / "bundles").write_text("a file in the way")
    with pytest.raises(StoreException, match="bundles"):
        build_bundle(tmp_path / "bundles", request(source), place=place)


KILLED_BUILDER = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_build import a_model, request
from modelport.bundles import build_bundle
def place(model, path, target):
    target.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
build_bundle(Path({root!r}), request(Path({source!r}), models=(a_model(),)), place=place)
"""


def test_a_killed_builder_leaves_nothing_that_is_used_and_the_next_one_clears_up(tmp_path: Path, source: Path) -> None:
    root = tmp_path / "bundles"
    program = KILLED_BUILDER.format(tests=str(Path(__file__).parent), root=str(root), source=str(source))
    ended = subprocess.run([sys.executable, "-c", program], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert [path.name[:10] for path in root.iterdir()] == [".building-"]

    bundle = build_bundle(root, request(source, models=(a_model(),)), place=place)
    assert [path.name for path in root.iterdir()] == [bundle.name]
    verify_bundle(bundle)
