"""The folder in which supervisors meet that hand a listening socket over: one socket to be asked at, and a lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from modelport_scoring.logs.journal import say

SOCKET = "handover.sock"
LOCK = "handover.lock"
MODE = 0o660
"""Whoever owns the folder's files, or is of their group, may take over."""

PATIENCE_S = 10.0
BACKLOG = 16


class HandoverFailed(Exception):
    """There is one to take over from, and it does not let us; or the folder cannot be used. The message says why."""


class MeetingPlace:
    """As one of them sees it."""

    def __init__(self, folder: Path) -> None:
        """Raises HandoverFailed for a folder that cannot be used."""
        self._folder = folder.absolute()
        self._inode = 0
        """Of our own socket."""
        self._has_told = False
        """Whether the log knows that we wait for another one that comes."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self.lock_file = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
            with contextlib.suppress(PermissionError):  # it is another user's
                os.fchmod(self.lock_file, MODE)
        except OSError as error:
            raise HandoverFailed(
                f"--handover {self._folder}: {error.strerror}: user {os.geteuid()} must be able to write there"
            ) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Of several that come next, one at a time asks the one that serves, and comes into its place."""
        try:
            fcntl.flock(self.lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._tell_of_the_wait()
            fcntl.flock(self.lock_file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self.lock_file, fcntl.LOCK_UN)

    def _tell_of_the_wait(self) -> None:
        if not self._has_told:
            self._has_told = True
            say(
                f"--handover {self._folder}: another one is about to take over there, and this one waits until it has: "
                f"where that does not happen, end whatever holds {LOCK}"
            )

    def listen(self) -> socket.socket:
        """A socket in the folder, in the place of whoever listened there before. Raises HandoverFailed."""
        offered = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        aside = self._folder / f".{SOCKET}"
        try:
            aside.unlink(missing_ok=True)
            with self._short() as folder:
                offered.bind(f"{folder}/{aside.name}")
            aside.chmod(MODE)
            offered.listen(BACKLOG)
            self._inode = aside.stat().st_ino
            aside.rename(self._folder / SOCKET)
        except OSError as error:
            offered.close()
            raise HandoverFailed(f"--handover {self._folder}: {error.strerror}") from error
        return offered

    def connect(self) -> socket.socket:
        """To whoever listens there. Raises OSError: TimeoutError where somebody does, and does not accept."""
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        channel.settimeout(PATIENCE_S)
        try:
            with self._short() as folder:
                channel.connect(f"{folder}/{SOCKET}")
        except BlockingIOError as error:  # its queue is full: as Linux has it, that is not waited for
            channel.close()
            raise TimeoutError(f"{BACKLOG} wait there already") from error
        except BaseException:
            channel.close()
            raise
        return channel

    @property
    def is_ours(self) -> bool:
        """Whether it is our socket that is found in the folder."""
        with contextlib.suppress(OSError):
            return (self._folder / SOCKET).stat().st_ino == self._inode
        return False

    @property
    def is_followed(self) -> bool:
        """Whether another one listens in the folder in our place."""
        with contextlib.suppress(OSError):
            with contextlib.suppress(TimeoutError):  # it is there
                self.connect().close()
            return (self._folder / SOCKET).stat().st_ino != self._inode
        return False

    def leave(self) -> None:
        """Remove our socket, if it is there still, and nobody is about to put another one there."""
        with contextlib.suppress(OSError):
            lock_file = os.open(self._folder / LOCK, os.O_RDWR | os.O_CLOEXEC)  # not ours: that may be locked by us
            try:
                fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self.is_ours:
                    (self._folder / SOCKET).unlink()
            finally:
                os.close(lock_file)

    def not_answered(self) -> str:
        return (
            f"what serves here did not answer on {self._folder / SOCKET} within {PATIENCE_S:g} s, as if it was stopped "
            "or its machine overloaded: start this one again when it does, or end that one first"
        )

    def not_reached(self, error: OSError) -> str:
        text = f"--handover {self._folder / SOCKET}: {error.strerror}"
        if isinstance(error, PermissionError):
            owner = (self._folder / SOCKET).stat()
            text += (
                f": it belongs to user {owner.st_uid} and group {owner.st_gid}, and this is user {os.geteuid()}: "
                "both must have the same user or group"
            )
        return text

    @contextlib.contextmanager
    def _short(self) -> Iterator[str]:
        """The folder by a short name: a socket's path may have 107 bytes, a folder's more."""
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
