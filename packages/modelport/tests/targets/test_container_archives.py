"""Archives for container engines."""

from __future__ import annotations

import io
import subprocess
import tarfile

import pytest

from modelport.targets.container.archives import File, first_file, packed

FILES = (File("folder"), File("folder/small", b"x" * 700, mode=0o600), File("n" * 150, b"y" * 20_000))


@pytest.mark.parametrize("count", range(len(FILES) + 1))
def test_nothing_follows_the_two_blocks_that_end_an_archive(count: int) -> None:
    """podman unpacks in a process that ends behind them, and fails where something is still to be written to it."""
    archive = packed(FILES[:count])
    with tarfile.open(fileobj=io.BytesIO(archive)) as reader:
        members = reader.getmembers()
        assert reader.offset + 2 * tarfile.BLOCKSIZE == len(archive) or not members
    assert [member.name for member in members] == [file.path for file in FILES[:count]]
    assert not any(archive[-2 * tarfile.BLOCKSIZE :])
    listed = subprocess.run(["tar", "--list"], input=archive, capture_output=True, check=True)
    assert (len(listed.stdout.splitlines()), listed.stderr) == (count, b"")


def test_the_only_file_comes_out_again() -> None:
    assert first_file(packed(FILES[:2])) == FILES[1].content
    assert first_file(packed(FILES[:1])) is None
