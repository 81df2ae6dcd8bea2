"""What of the folder in which images are made can go, and what stays."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from modelport.domain.errors import ConflictException
from modelport.domain.progress import Silent
from modelport.images import BuiltImage, ImageSettings, build_image, copy_images, prune, stock_image
from modelport.images.blobs import Blobs
from modelport.images.cache import in_use

from .made_of_files import debian, make_bundle

DAY_S = 24 * 3600.0


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the layers that all images here have."""
    folder = tmp_path_factory.mktemp("prepared")
    stock_image("3.11", settings=ImageSettings(base=str(debian(folder))), cache=folder / "cache", progress=Silent())
    return folder / "cache"


@pytest.fixture
def cache(prepared: Path, tmp_path: Path) -> Path:
    """One of the test's own, without an image."""
    shutil.copytree(prepared, tmp_path / "cache", ignore=shutil.ignore_patterns("images"))
    return tmp_path / "cache"


def made(folder: Path, cache: Path, name: str) -> BuiltImage:
    """An image whose code is its own, and everything below it is not."""
    settings = ImageSettings(base=str(debian(folder)), name=name)
    return build_image(
        make_bundle(folder / name, script=f"name = {name!r}"), settings=settings, cache=cache, progress=Silent()
    )


def grow_old(path: Path, *, days: float) -> None:
    """Have it and everything below it not been used for so long."""
    then = time.time() - days * DAY_S
    for each in (path, *path.rglob("*")):
        os.utime(each, (then, then), follow_symlinks=False)


def test_what_was_not_used_goes_and_what_was_stays_whole(tmp_path: Path, cache: Path) -> None:
    old = made(tmp_path, cache, "old")
    copy_images([old], tmp_path / "package", reference="old:1")
    grow_old(cache, days=40)
    new = made(tmp_path, cache, "new")
    before = {path for path in cache.rglob("*") if path.is_file()}
    told = prune(cache, unused_for_s=30 * DAY_S, is_rehearsal=True)
    assert {path for path in cache.rglob("*") if path.is_file()} == before, "nothing was removed yet"
    assert prune(cache, unused_for_s=30 * DAY_S) == told
    assert (told.images, told.layers) == (1, 1), "the image, and the layer with its code"
    assert not old.layout.exists()
    assert all(Blobs(new.layout).has(layer.digest) and Blobs(cache).has(layer.digest) for layer in new.layers)
    assert all(Blobs(tmp_path / "package").has(layer.digest) for layer in old.layers), "a package is its owner's"
    code = Blobs(cache).path(old.layers[-1].digest)
    assert not code.exists()
    assert told.kept_bytes > 0
    assert made(tmp_path, cache, "old").digest == old.digest, "it is made again"
    assert prune(cache, unused_for_s=0).images == 0, "what somebody may just be pushing stays"


def test_the_least_used_goes_until_the_rest_is_small(tmp_path: Path, cache: Path) -> None:
    first, second = made(tmp_path, cache, "first"), made(tmp_path, cache, "second")
    grow_old(cache, days=3)
    grow_old(first.layout, days=5)
    whole = prune(cache, unused_for_s=30 * DAY_S, is_rehearsal=True).kept_bytes
    told = prune(cache, unused_for_s=30 * DAY_S, most_bytes=whole - 1)
    assert told.kept_bytes < whole and told.freed_bytes > 0
    assert not first.layout.exists() and second.layout.exists()
    assert prune(cache, unused_for_s=30 * DAY_S, most_bytes=0).kept_bytes < 100_000
    assert not second.layout.exists()


def test_nothing_goes_while_an_image_is_made(tmp_path: Path, cache: Path) -> None:
    with in_use(cache), pytest.raises(ConflictException, match="An image is being made"):
        prune(cache, unused_for_s=0)
    prune(cache, unused_for_s=0)


def test_what_killed_programs_left_behind_goes_with_the_next_image(tmp_path: Path, cache: Path) -> None:
    left = [cache / "blobs/sha256/.draft-abc", cache / "images/.draft-x/blobs/sha256/1", cache / "layers/tmpabc"]
    with in_use(cache):  # another program makes an image, maybe of these
        for path in left:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"half")
        stock_image("3.11", settings=ImageSettings(base=str(debian(tmp_path))), cache=cache, progress=Silent())
        assert all(path.exists() for path in left)
    stock_image("3.11", settings=ImageSettings(base=str(debian(tmp_path))), cache=cache, progress=Silent())
    assert not any(path.exists() for path in left)


@pytest.mark.parametrize("lost", ["a layer", "the index"])
def test_an_image_that_is_there_by_half_is_made_again(tmp_path: Path, cache: Path, lost: str) -> None:
    image = made(tmp_path, cache, "half")
    path = Blobs(image.layout).path(image.layers[-1].digest) if lost == "a layer" else image.layout / "index.json"
    content = path.read_bytes()
    path.unlink()
    path.touch()
    assert made(tmp_path, cache, "half") == image
    assert path.read_bytes() == content


def test_an_image_goes_at_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = made(tmp_path, cache, "old")
    grow_old(cache, days=40)

    def killed(folder: Path, **_: object) -> None:
        assert (folder / "index.json").exists()
        raise SystemExit

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(SystemExit):
        prune(cache, unused_for_s=30 * DAY_S)
    assert not image.layout.exists()
