"""Holding a service to a number of cores and an amount of memory, as far as this machine lets its user do so.

Control groups do it (cgroups(7)), of either version, where the user may make one: root, or what systemd delegates.
Without them, processes are bound to as many cores as the number of them, rounded up; memory is then only watched.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PREFIX = "modelport-"
_PERIOD_US = 100_000
_GONE_S = 5.0


@dataclass(frozen=True)
class _Group:
    """A control group. ``cpu`` and ``memory`` are the files that limit it; None where it has no such limit."""

    folder: Path
    cpu: tuple[str, str] | None = None
    memory: tuple[str, str] | None = None
    kills: str | None = None
    """The file that counts processes which were killed for their memory."""


@dataclass
class Confinement:
    """What a command is to be started with, and what of it is enforced."""

    groups: list[_Group] = field(default_factory=list)
    cores: frozenset[int] | None = None
    notes: list[str] = field(default_factory=list)
    """What is not enforced, and why."""

    def command(self, command: Sequence[str]) -> list[str]:
        """The command, which joins the groups before it begins."""
        if not self.groups:
            return [*command]
        joins = "".join(f'echo $$ > "${number}" && ' for number in range(1, len(self.groups) + 1))
        files = [str(group.folder / "cgroup.procs") for group in self.groups]
        return ["/bin/sh", "-c", f'{joins}shift {len(files)} && exec "$@"', "sh", *files, *command]

    @contextlib.contextmanager
    def spawning(self) -> Iterator[None]:
        """What is started inside has no other cores."""
        if self.cores is None:
            yield
            return
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self.cores)
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)

    @property
    def killed_for_memory(self) -> bool:
        """Whether the system has ended a process that needed more than there may be."""
        return any(_kills(group.folder / group.kills) for group in self.groups if group.kills)


@contextlib.contextmanager
def confined(*, cpu: float, memory_bytes: int) -> Iterator[Confinement]:
    """A confinement; what was made for it goes afterwards. Call it with nothing in it running any more."""
    found = Confinement()
    name = f"{_PREFIX}{os.getpid()}-{uuid.uuid4().hex[:12]}"
    with contextlib.ExitStack() as made:
        for group in _groups(name, cpu, memory_bytes):
            try:
                _make(group)
            except OSError:
                continue
            made.callback(_remove, group.folder)
            found.groups.append(group)
        _do_without_groups(found, cpu)
        yield found


def _do_without_groups(found: Confinement, cpu: float) -> None:
    own = sorted(os.sched_getaffinity(0))
    if cpu > len(own):
        found.notes.append(f"This machine has {len(own)} cores: the service cannot use more of {cpu:g}.")
    elif not any(group.cpu for group in found.groups):
        wanted = math.ceil(cpu)
        found.cores = frozenset(own[:wanted])
        if wanted != cpu:
            found.notes.append(
                f"The limit of {cpu:g} cores is not enforced, as no control group can be made here: the service is "
                f"bound to {wanted} of them."
            )
    if not any(group.memory for group in found.groups):
        found.notes.append(
            "The limit of memory is not enforced, as no control group can be made here: it is watched, and the profile "
            "fails where it is exceeded."
        )


# --- control groups ---------------------------------------------------------------------------------------------------


def _groups(name: str, cpu: float, memory_bytes: int) -> Iterator[_Group]:
    """Those to try: of version 2 below this process's own group or one above it, or of version 1."""
    quota = int(cpu * _PERIOD_US)
    mounts, own = _mounts(), _own_groups()
    if "" in mounts:
        parent = _delegated(mounts[""], own.get("", "/"))
        if parent is not None:
            limits = ("cpu.max", f"{quota} {_PERIOD_US}"), ("memory.max", str(memory_bytes))
            yield _Group(parent / name, *limits, kills="memory.events")
            return
    if "cpu" in mounts:
        folder = _place(mounts["cpu"], own.get("cpu", "/")) / name
        yield _Group(folder, cpu=("cpu.cfs_quota_us", str(quota)))
    if "memory" in mounts:
        folder = _place(mounts["memory"], own.get("memory", "/")) / name
        yield _Group(folder, memory=("memory.limit_in_bytes", str(memory_bytes)), kills="memory.oom_control")


def _mounts() -> dict[str, Path]:
    """Where the controllers of version 1 are, by their names, and version 2, by an empty one."""
    found: dict[str, Path] = {}
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines():
        _, folder, kind, options, *_ = line.split()
        if kind == "cgroup2":
            found[""] = Path(folder)
        elif kind == "cgroup":
            found |= {option: Path(folder) for option in options.split(",") if option in ("cpu", "memory")}
    return found


def _own_groups() -> dict[str, str]:
    """The groups of this process, by controller."""
    found: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        found |= dict.fromkeys(controllers.split(","), path)
    return found


def _place(mount: Path, group: str) -> Path:
    """The folder of the group; inside a container the mount is that group itself."""
    folder = mount / group.lstrip("/")
    return folder if folder.is_dir() else mount


def _delegated(mount: Path, group: str) -> Path | None:
    """The nearest group whose children may be limited, and are ours to make."""
    folder = _place(mount, group)
    while True:
        with contextlib.suppress(OSError):
            controllers = (folder / "cgroup.subtree_control").read_text(encoding="ascii").split()
            if {"cpu", "memory"} <= set(controllers) and os.access(folder / "cgroup.procs", os.W_OK):
                return folder
        if folder == mount:
            return None
        folder = folder.parent


def _make(group: _Group) -> None:
    """Raises OSError, and leaves nothing then."""
    _remove_leftovers(group.folder.parent)
    group.folder.mkdir()
    try:
        for name, value in filter(None, (group.cpu, group.memory)):
            (group.folder / name).write_text(value, encoding="ascii")
    except OSError:
        group.folder.rmdir()
        raise


def _remove_leftovers(parent: Path) -> None:
    """Groups of processes that were killed: their names say of which ones."""
    for folder in parent.glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).split("-")[0]
        if pid.isdecimal() and not Path("/proc", pid).exists():
            with contextlib.suppress(OSError):
                folder.rmdir()


def _remove(folder: Path) -> None:
    """Once the last of its processes is gone, which the system notices a moment later."""
    deadline = time.monotonic() + _GONE_S
    while folder.is_dir():
        with contextlib.suppress(OSError):
            folder.rmdir()
            return
        if time.monotonic() > deadline:
            shutil.rmtree(folder, ignore_errors=True)
            return
        time.sleep(0.02)


def _kills(file: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        words = file.read_text(encoding="ascii").split()
        return int(words[words.index("oom_kill") + 1])
    return 0
