"""A file from an address, whole and as its digest says, however often the network fails."""

from __future__ import annotations

import errno
import hashlib
import http.client
import time
from pathlib import Path
from typing import IO

from modelport_scoring.fetch.failures import CannotWrite, Refused, Unreachable, named
from modelport_scoring.fetch.sources import PIECE_BYTES, Source, source
from modelport_scoring.logs.journal import say
from modelport_scoring.processes.backoff import BackOff

FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


def download(url: str, target: Path, *, sha256: str | None, patience_s: float) -> None:
    """Write the file at that address to ``target``, a part of which may be there from an earlier time.

    What fails for a reason that may pass is tried again, from where it had come, until nothing has come for
    ``patience_s``. Raises Unreachable then, FetchFailed for what cannot work, Refused where the digest is another one,
    CannotWrite.
    """
    was_there = size_of(target) > 0
    fetch(url, target, patience_s=patience_s)
    try:
        check(url, target, sha256)
    except Refused:
        if not was_there:
            raise
        say(f"{named(url)}: what an earlier time has left does not fit; it is fetched anew")
        fetch(url, target, patience_s=patience_s)
        check(url, target, sha256)


def fetch(url: str, target: Path, *, patience_s: float) -> None:
    """As ``download``, and the digest is not looked at."""
    origin = source(url)
    backoff, begun = BackOff(), time.monotonic()
    while True:
        had = size_of(target)
        try:
            fetch_rest(origin, target)
            return
        except Unreachable as error:
            if size_of(target) > had:
                backoff, begun = BackOff(), time.monotonic()
            delay_s = backoff.after(0)
            if time.monotonic() + delay_s - begun > patience_s:
                raise
            say(f"{error}; tried again in {delay_s:g} s, from byte {size_of(target)} on")
            time.sleep(delay_s)


def fetch_rest(origin: Source, target: Path) -> None:
    """What is missing of the file. Raises FetchFailed."""
    try:
        with origin.open(size_of(target)) as opened, open_at(target, opened.offset) as file:
            try:
                for piece in opened.pieces:
                    write(file, piece)
            except (OSError, http.client.HTTPException) as error:
                raise Unreachable(f"the connection broke off: {error or type(error).__name__}") from error
            if opened.size is not None and file.tell() < opened.size:
                raise Unreachable(f"the connection ended after {file.tell()} of {opened.size} bytes")
    except OSError as error:
        raise CannotWrite(f"{target}: {error.strerror}") from error


def open_at(target: Path, offset: int) -> IO[bytes]:
    """The file, to be written from that byte on."""
    file = target.open("r+b" if target.exists() else "w+b")
    file.truncate(offset)
    file.seek(offset)
    return file


def write(file: IO[bytes], piece: bytes) -> None:
    """Raises CannotWrite."""
    try:
        file.write(piece)
    except OSError as error:
        what = "the disk is full: give its volume more room" if error.errno in FULL else str(error.strerror)
        raise CannotWrite(f"{file.name}: {what}") from error


def check(url: str, target: Path, sha256: str | None) -> None:
    """Raise Refused, and remove the file, where its digest is another one."""
    if sha256 is None:
        return
    digest = hashlib.sha256()
    with target.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
    if digest.hexdigest() != sha256:
        target.unlink()
        raise Refused(f"{named(url)}: its SHA-256 is {digest.hexdigest()}, it should be {sha256}")


def size_of(path: Path) -> int:
    """Bytes that are there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
