"""What the folder of objects looks like, and what it does when the disk does not play along."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from modelport.domain.errors import StoreException
from modelport.domain.models import ModelFile
from modelport.domain.progress import Silent
from modelport.storage.memory import MemoryStore
from modelport.storage.objects import open_objects, verification
from modelport.storage.objects.store import FolderStore
from modelport.storage.objects.streams import Unreadable, digest_of

from . import samples

LONG_AGO = 1_500_000_000
ANOTHER_DISK = Path("/dev/shm")


@pytest.fixture
def registry() -> MemoryStore:
    store = MemoryStore(workspace="w")
    store.create_workspace(samples.record("w"))
    return store


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def objects(root: Path, registry: MemoryStore) -> FolderStore:
    return open_objects(root, referenced=registry.referenced_objects)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"ridge")
    return path


def add(objects: FolderStore, source: Path) -> str:
    with objects.stage() as staging:
        digest, _ = staging.add_file(source, label="f", progress=Silent())
        staging.commit()
    return digest


def files(folder: Path) -> list[str]:
    """Everything below, folders too but for the two that are always there."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path != folder / "staging")


def object_path(root: Path, digest: str) -> Path:
    return root / digest[:2] / digest


def test_an_object_lies_under_its_digest_and_is_read_only(objects: FolderStore, root: Path, source: Path) -> None:
    digest = add(objects, source)
    assert digest == hashlib.sha256(b"ridge").hexdigest()
    assert files(root) == [digest[:2], f"{digest[:2]}/{digest}"]
    assert stat.S_IMODE(object_path(root, digest).stat().st_mode) == 0o444


def test_the_same_content_is_kept_once(objects: FolderStore, root: Path, source: Path, tmp_path: Path) -> None:
    digest = add(objects, source)
    objects.place(digest, tmp_path / "link", link=True)
    add(objects, source)
    assert files(root) == [digest[:2], f"{digest[:2]}/{digest}"]
    assert (tmp_path / "link").samefile(object_path(root, digest))


def test_taking_back_leaves_no_folder(objects: FolderStore, root: Path, source: Path) -> None:
    with objects.stage() as staging:
        staging.add_file(source, label="f", progress=Silent())
    assert files(root) == []


def test_registering_again_repairs_a_damaged_object(
    objects: FolderStore, root: Path, source: Path, tmp_path: Path
) -> None:
    digest = add(objects, source)
    for linked in (False, True):
        if linked:
            objects.place(digest, tmp_path / "link", link=True)
        object_path(root, digest).chmod(0o644)
        object_path(root, digest).write_bytes(b"rigde")
        add(objects, source)
        assert b"".join(objects.open(digest)) == b"ridge"


def test_a_link_is_a_link_and_elsewhere_a_copy(objects: FolderStore, root: Path, source: Path, tmp_path: Path) -> None:
    digest = add(objects, source)
    objects.place(digest, tmp_path / "link", link=True)
    assert (tmp_path / "link").samefile(object_path(root, digest))
    if ANOTHER_DISK.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system")
    elsewhere = ANOTHER_DISK / f"modelport-{os.getpid()}"
    try:
        objects.place(digest, elsewhere, link=True)
        assert elsewhere.read_bytes() == b"ridge"
        assert stat.S_IMODE(elsewhere.stat().st_mode) & 0o222 == 0
    finally:
        elsewhere.unlink(missing_ok=True)


def test_an_executable_does_not_change_the_object(
    objects: FolderStore, root: Path, source: Path, tmp_path: Path
) -> None:
    digest = add(objects, source)
    objects.place(digest, tmp_path / "run", link=True, executable=True)
    assert not (tmp_path / "run").samefile(object_path(root, digest))
    assert stat.S_IMODE(object_path(root, digest).stat().st_mode) == 0o444


def flip(path: Path, *, hide: bool = False) -> None:
    """Change one byte; ``hide``: and put the time of modification back."""
    before = path.stat()
    path.chmod(0o644)
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    if hide:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("hide", [False, True])
@pytest.mark.parametrize("age", [LONG_AGO, None], ids=["old", "new"])
def test_a_flipped_byte_is_found_after_earlier_links(
    objects: FolderStore, root: Path, source: Path, tmp_path: Path, hide: bool, age: int | None
) -> None:
    """The outcome of a verification is kept within the process, but not beyond a change."""
    digest = add(objects, source)
    path = object_path(root, digest)
    if age is not None:
        os.utime(path, (age, age))
    for number in range(3):
        objects.place(digest, tmp_path / f"link{number}", link=True)
    flip(path, hide=hide)
    for _ in range(2):
        with pytest.raises(StoreException, match=str(path)) as caught:
            objects.place(digest, tmp_path / "target", link=True)
        assert "Register the same file again" in caught.value.hint
    assert not (tmp_path / "target").exists()


def test_an_unchanged_object_is_read_once(
    objects: FolderStore, root: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = add(objects, source)
    os.utime(object_path(root, digest), (LONG_AGO, LONG_AGO))
    read: list[Path] = []

    def noting(path: Path, unreadable: Unreadable) -> str:
        read.append(path)
        return digest_of(path, unreadable)

    monkeypatch.setattr(verification, "digest_of", noting)
    for number in range(5):
        objects.place(digest, tmp_path / f"link{number}", link=True)
    assert len(read) == 1


def test_a_sweep_takes_back_what_the_dead_left(
    objects: FolderStore, root: Path, source: Path, tmp_path: Path, registry: MemoryStore
) -> None:
    kept = add(objects, source)
    registry.add_model(samples.draft(files=(ModelFile("f", 5, kept),)))
    stray = "ab" * 32
    _dead_session(root, "dead", kept, stray)
    object_path(root, stray).parent.mkdir()
    object_path(root, stray).write_bytes(b"stray")
    other = tmp_path / "other"
    other.write_bytes(b"other")
    with objects.stage() as staging:
        living, _ = staging.add_file(other, label="f", progress=Silent())
        objects.sweep(registry)
        assert sorted(path.name for path in root.rglob("*") if path.is_file()) == sorted([kept, living, living])
        staging.commit()
    assert sorted(path.name for path in root.rglob("*") if path.is_file()) == sorted([kept, living])
    assert files(root / "staging") == []


def test_a_sweep_leaves_what_the_living_claim(
    objects: FolderStore, root: Path, source: Path, registry: MemoryStore
) -> None:
    with objects.stage() as staging:
        digest, _ = staging.add_file(source, label="f", progress=Silent())
        _dead_session(root, "dead", digest)
        objects.sweep(registry)
        assert object_path(root, digest).is_file()
        assert not (root / "staging" / "dead").exists()
    assert files(root) == []


def test_a_sweep_with_nothing_to_do_asks_nobody(objects: FolderStore) -> None:
    class Closed(MemoryStore):
        def referenced_objects(self, digests: object) -> set[str]:
            raise AssertionError("the database was asked")

    objects.sweep(Closed(workspace="w"))


def _dead_session(root: Path, name: str, *claims: str) -> None:
    session = root / "staging" / name
    session.mkdir()
    (session / "incoming-1").write_bytes(b"half")
    for claim in claims:
        (session / claim).touch()


def test_what_cannot_be_taken_back_is_left_to_the_sweep(root: Path, source: Path, registry: MemoryStore) -> None:
    def unreachable(digests: object) -> set[str]:
        raise StoreException("the database is out of reach")

    with pytest.raises(ZeroDivisionError), open_objects(root, referenced=unreachable).stage() as staging:
        staging.add_file(source, label="f", progress=Silent())
        raise ZeroDivisionError
    assert files(root) != []
    open_objects(root, referenced=registry.referenced_objects).sweep(registry)
    assert files(root) == []


# The disk


def test_a_full_disk_is_named_and_loses_nothing(small_disk: Path, source: Path, registry: MemoryStore) -> None:
    objects = open_objects(small_disk / "objects", referenced=registry.referenced_objects)
    kept = add(objects, source)
    registry.add_model(samples.draft(files=(ModelFile("f", 5, kept),)))
    large = source.with_name("large")
    large.write_bytes(os.urandom(6 << 20))
    with (
        pytest.raises(StoreException, match=f"Cannot write {small_disk}.*No space left") as caught,
        objects.stage() as staging,
    ):
        staging.add_file(source, label="f", progress=Silent())
        staging.add_file(large, label="f", progress=Silent())
    assert "free some space" in caught.value.hint
    assert files(small_disk / "objects") == [kept[:2], f"{kept[:2]}/{kept}"]
    assert b"".join(objects.open(kept)) == b"ridge"


def test_a_full_disk_leaves_no_half_download(objects: FolderStore, small_disk: Path, source: Path) -> None:
    source.write_bytes(os.urandom(6 << 20))
    digest = add(objects, source)
    for link in (True, False):
        with pytest.raises(StoreException, match=f"Cannot write {small_disk}/target.*No space left"):
            objects.place(digest, small_disk / "target", link=link)
        assert files(small_disk) == []


def test_a_read_only_folder_is_named(
    objects: FolderStore, root: Path, source: Path, make_read_only: Callable[[Path], None]
) -> None:
    digest = add(objects, source)
    make_read_only(root)
    with pytest.raises(StoreException, match=f"Cannot write {root}") as caught:
        add(objects, source)
    assert "read-only" in caught.value.hint
    assert b"".join(objects.open(digest)) == b"ridge"


def test_a_file_in_the_way_is_named(root: Path, source: Path, objects: FolderStore) -> None:
    digest = hashlib.sha256(b"ridge").hexdigest()
    object_path(root, digest).parent.write_bytes(b"")
    with pytest.raises(StoreException, match=f"Cannot write {object_path(root, digest)}"):
        add(objects, source)
    with pytest.raises(StoreException, match=f"Cannot write {source}"):
        open_objects(source, referenced=lambda digests: set())
