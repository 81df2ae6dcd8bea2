"""Folders with environments in them: each is built once, however many ask at once, and used whole or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from modelport.domain.environments import Interpreter, Lock
from modelport.domain.errors import EnvironmentException
from modelport.domain.progress import Progress
from modelport.environments.probe import probe

MARKER = "modelport-environment.json"
"""Written last, and synced: a folder without it is half built."""


class Prefixes:
    """The environments below one folder, by the digest of their lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ensure(self, lock: Lock, build: Callable[[Path], None], *, progress: Progress) -> Interpreter:
        """The interpreter of the lock's environment; ``build`` fills an empty place for it where there is none.

        An environment that was left half built, or whose interpreter does not run any more, is removed and built again.
        Raises EnvironmentException.
        """
        folder = self._folder / lock.digest
        ready = Interpreter(command=(str(folder / "bin" / "python"),), lock=lock)
        if _problem(folder, lock) is None:
            return ready
        try:
            with self._exclusive(lock, progress):
                self._complete(folder, lock, build)
        except OSError as error:
            raise EnvironmentException(f"The environment in {folder} cannot be built: {error}.") from error
        return ready

    def _complete(self, folder: Path, lock: Lock, build: Callable[[Path], None]) -> None:
        if _problem(folder, lock) is None:
            return  # somebody else built it while this process waited for the lock
        if folder.exists():
            shutil.rmtree(folder)
        try:
            build(folder)
            problem = _broken(folder, lock)
            if problem:
                raise EnvironmentException(f"The environment in {folder} was built and is of no use: {problem}")
        except EnvironmentException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        _write_marker(folder, lock)

    @contextmanager
    def _exclusive(self, lock: Lock, progress: Progress) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        # The file stays: were it removed, a third process could lock a new one while the second holds the old one.
        with (self._folder / f"{lock.digest}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress.step("Waiting for another process that builds the same environment")
                fcntl.flock(file, fcntl.LOCK_EX)
            # An installer that outlives this process, because that was killed, still writes: it holds the lock too.
            os.set_inheritable(file.fileno(), True)
            yield


def _problem(folder: Path, lock: Lock) -> str | None:
    """Why the environment cannot be used; None where it can."""
    if not (folder / MARKER).is_file():
        return "it is not there, or half built"
    return _broken(folder, lock)


def _broken(folder: Path, lock: Lock) -> str | None:
    try:
        found = probe(str(folder / "bin" / "python"))
    except EnvironmentException as error:
        return error.message
    # A patch release may come with an update of the system; a virtual environment goes on working with it.
    if found.minor != ".".join(lock.python_version.split(".")[:2]):
        return f"its interpreter is Python {found.version} now, and Python {lock.python_version} is needed."
    return None


def _write_marker(folder: Path, lock: Lock) -> None:
    draft = folder / (MARKER + ".new")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(asdict(lock), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(folder / MARKER)
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
