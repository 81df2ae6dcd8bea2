"""The handover of a listening socket, over time: supervisors come, become ready, are paused, told to stop and killed,
at any step of any of them. One leaves only for another that is there, no socket is ended that another one has, and in
the end one serves, whom another one can follow.

An input is a byte of settings and events of two bytes: who does a step, or what happens. The sockets, files and locks
are real ones; of their threads one runs at a time, up to its next call of the system, and time passes when all wait.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from modelport_scoring.sockets import handover, meeting
from modelport_scoring.sockets.handover import Handover
from modelport_scoring.sockets.meeting import HandoverFailed
from modelport_scoring.supervision import succession
from modelport_scoring.supervision.listening import CannotServe
from modelport_scoring.supervision.succession import Succession
from modelport_scoring.supervision.told import LEAVE

STEP = 2
MOST_STEPS = 150
MOST_PROCESSES = 6
MOST_FINAL_STEPS = 20_000
HOST, PORT = "127.0.0.1", 5001
MEMORY = Path("/dev/shm")
"""Its files cost no writing."""

DRAINS_S = 3.0
SETTLES_S = 200.0
"""Nobody waits for so long for anybody who goes on."""

SMALL_BACKLOG = 1
"""Of the socket in the folder: what seventeen do at once, two do."""


class Killed(BaseException):
    """The process is no more."""


class Task:
    """A thread of one of the processes."""

    def __init__(self, world: World, process: Process, work: Callable[[], None]) -> None:
        self.process = process
        self.has_ended = False
        self.error: BaseException | None = None
        self._condition: Callable[[], bool] | None = None
        self._deadline: float | None = None
        self._world = world
        self._work = work
        self._go = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._world.tasks.append(self)
        self._thread.start()

    @property
    def deadline(self) -> float | None:
        return self._deadline

    @property
    def can_go_on(self) -> bool:
        if self.process.is_paused:
            return False
        return self._condition is None or self._is_late or self._condition()

    @property
    def _is_late(self) -> bool:
        return self._deadline is not None and self._world.now >= self._deadline

    def step(self) -> None:
        """Up to its next wait."""
        self._world.current = self
        self._go.release()
        self._world.back.acquire()
        if self.has_ended:
            self._thread.join()
            self._world.tasks.remove(self)
            if self.error is not None:
                raise self.error

    def wait(self, condition: Callable[[], bool] | None = None, seconds: float | None = None) -> bool:
        """Let others go first, until that is so or the time is over. Whether it is so."""
        self._condition = condition
        self._deadline = None if seconds is None else self._world.now + seconds
        self._world.back.release()
        self._go.acquire()
        if self.process.is_dead:
            raise Killed
        return condition is None or condition()

    def _run(self) -> None:
        self._go.acquire()
        try:
            if not self.process.is_dead:
                self._work()
        except Killed:
            pass
        except BaseException as error:
            self.error = error
        self.has_ended = True
        self._world.back.release()


class Wire(socket.socket):
    """A socket whose owner waits as a task does. That of the service is one of no use, but for what it is."""

    def __init__(self, world: World, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.setblocking(False)
        self.seconds: float | None = None
        self.world = world
        world.current.process.wires.append(self)

    def settimeout(self, value: float | None) -> None:
        self.seconds = value

    def accept(self) -> tuple[Wire, Any]:
        self._arrived(None)
        descriptor, _ = self._accept()  # type: ignore[attr-defined]
        return Wire(self.world, fileno=descriptor), None

    def connect(self, address: Any) -> None:
        self.world.current.wait()
        super().connect(address)

    def sendall(self, *arguments: Any) -> None:
        self.world.current.wait()
        super().sendall(*arguments)

    def sendmsg(self, *arguments: Any) -> int:
        self.world.current.wait()
        return super().sendmsg(*arguments)

    def recv(self, *arguments: Any) -> bytes:
        self._arrived(self.seconds)
        return super().recv(*arguments)

    def recvmsg(self, *arguments: Any) -> Any:
        self._arrived(self.seconds)
        return super().recvmsg(*arguments)

    def recv_into(self, *arguments: Any) -> int:
        self._arrived(self.seconds)
        return super().recv_into(*arguments)

    def getsockname(self) -> Any:
        self.world.current.wait()
        return HOST, PORT

    @property
    def identity(self) -> int:
        return os.fstat(self.fileno()).st_ino

    @property
    def is_of_service(self) -> bool:
        return self.fileno() >= 0 and self.type == socket.SOCK_DGRAM

    def _arrived(self, seconds: float | None) -> None:
        if not self.world.current.wait(self._is_readable, seconds):
            raise TimeoutError

    def _is_readable(self) -> bool:
        return self.fileno() < 0 or bool(select.select([self], [], [], 0)[0])


class Folder(type(Path())):  # type: ignore[misc]
    """What is done to files is a step too."""

    world: World

    def unlink(self, missing_ok: bool = False) -> None:
        self.world.current.wait()
        super().unlink(missing_ok=missing_ok)

    def rename(self, target: Any) -> Any:
        self.world.current.wait()
        return super().rename(target)


class Process:
    """A supervisor, from its start to its end."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.is_ready = False
        self.is_paused = False
        self.is_dead = False
        self.has_failed = False
        self.gate_is_open = False
        self.is_leaving = False
        self.was_stopped = False
        self.wires: list[Wire] = []
        self.signals: list[int] = []
        self._part: Handover | None = None

    @property
    def accepts(self) -> bool:
        return self.gate_is_open and not (self.is_leaving or self.is_dead)

    @property
    def sockets(self) -> set[int]:
        """Those of the service that it has."""
        return {wire.identity for wire in self.wires if wire.is_of_service}

    @property
    def is_ending(self) -> bool:
        """Whether it is about to end: who is told to stop after it accepts all who wait, and ends the socket."""
        return self.is_leaving or (self._part is not None and self._part.taken)

    def live(self) -> None:
        world = self.world
        one = Handover(world.folder)
        self._part = one
        try:
            listening = one.acquire(self._open_socket, host=HOST, port=PORT)
        except (HandoverFailed, CannotServe):
            self.has_failed = True
        else:
            one.offer(listening)
            self._serve(Succession(one, servers=1))
        world.ended.append(self)

    def _open_socket(self) -> Wire:
        self.world.current.wait()
        if any(each.sockets for each in self.world.living):
            raise CannotServe("taken")
        return Wire(self.world, socket.AF_INET, socket.SOCK_DGRAM)

    def _serve(self, part: Succession) -> None:
        Task(self.world, self, part.run).start()
        while not self.is_leaving:
            self.world.current.wait(lambda: bool(self.signals))
            number = self.signals.pop(0)
            if number == signal.SIGTERM:
                self.was_stopped = self.is_leaving = True
                is_ours = part.end()
                if is_ours:
                    self._shut_down()
            elif part.has_successor:
                self.is_leaving = True
        self.world.current.wait(lambda: False, DRAINS_S)

    def _shut_down(self) -> None:
        self.world.shut |= self.sockets
        others = [each for each in self.world.living if each is not self and not each.is_ending]
        assert not any(other.sockets & self.sockets for other in others), "a socket is ended that another one has"

    def die(self) -> None:
        """All that it had is closed."""
        self.is_dead, self.is_paused = True, False
        for task in [each for each in self.world.tasks if each.process is self]:
            while not task.has_ended:
                task.step()
        for wire in self.wires:
            if (descriptor := wire.detach()) >= 0:
                os.close(descriptor)
        if self._part is not None:
            os.close(self._part._place.lock_file)
        self.world.living.remove(self)


class World:
    """Supervisors that share a folder, one step of one of them at a time."""

    def __init__(self, how: int, folder: Path) -> None:
        self.now = 1000.0
        self.backlog = SMALL_BACKLOG if how & 1 else meeting.BACKLOG
        self.folder = Folder(folder)
        Folder.world = self
        self.back = threading.Semaphore(0)
        self.current: Task
        self.tasks: list[Task] = []
        self.living: list[Process] = []
        self.ended: list[Process] = []
        self.shut: set[int] = set()

    # --- what the supervisors do --------------------------------------------------------------------------------------

    def sleep(self, seconds: float) -> None:
        self.current.wait(lambda: False, seconds)

    def monotonic(self) -> float:
        return self.now

    def thread(self, *, target: Callable[..., None], args: tuple[Any, ...], daemon: bool) -> Task:
        assert daemon
        return Task(self, self.current.process, lambda: target(*args))

    def flock(self, descriptor: int, kind: int) -> None:
        if kind == fcntl.LOCK_EX:
            self.current.wait()
            while not try_lock(descriptor):
                self.current.wait(partial(can_lock, descriptor))
        else:
            if kind != fcntl.LOCK_UN:
                self.current.wait()
            fcntl.flock(descriptor, kind)

    def open_gate(self, _: int) -> None:
        process = self.current.process
        process.gate_is_open = True
        if not process.was_stopped:
            assert not process.sockets & self.shut, "one serves on a socket that was ended"

    def kill(self, _: int, number: int) -> None:
        process = self.current.process
        process.signals.append(number)
        if number == LEAVE:
            followers = [each for each in self.living if each is not process and each.sockets & process.sockets]
            assert any(each.is_ready for each in followers), "one leaves for nobody"

    def is_ready(self, _: Succession) -> bool:
        self.current.wait()
        return self.current.process.is_ready

    def say(self, _: str) -> None:
        self.current.wait()

    # --- what happens -------------------------------------------------------------------------------------------------

    def start(self) -> Process | None:
        if len(self.living) >= MOST_PROCESSES:
            return None
        self.living.append(process := Process(self))
        Task(self, process, process.live).start()
        return process

    def happen(self, what: int, how: int) -> None:
        if what < 0xA0:
            self.go_on(how, steps=1 + what % 16)
            return
        if what >= 0xF0:
            self.pass_time(how / 10)
            return
        if what >= 0xE0:
            self.start()
            return
        if not self.living:
            return
        process = self.living[how % len(self.living)]
        if what < 0xC0:
            process.is_ready = True
        elif what < 0xC8:
            process.is_paused = not process.is_paused
        elif what < 0xD4:
            process.signals.append(signal.SIGTERM)
        else:
            process.die()

    def go_on(self, which: int, *, steps: int) -> bool:
        """Have one of them do so many steps. Whether anybody could."""
        able = [task for task in self.tasks if task.can_go_on]
        if not able:
            return False
        task = able[which % len(able)]
        for _ in range(steps):
            if not task.has_ended and task.can_go_on:
                task.step()
        self._bury()
        return True

    def _bury(self) -> None:
        while self.ended:
            process = self.ended.pop()
            if not process.is_dead:
                process.die()

    def pass_time(self, seconds: float) -> None:
        """Up to when somebody has waited for long enough."""
        times = [task.deadline for task in self.tasks if task.deadline is not None and not task.process.is_paused]
        self.now = min([self.now + seconds, *(time for time in times if time > self.now)])

    def settle(self) -> None:
        """All go on, and nothing happens any more."""
        for process in self.living:
            process.is_paused, process.is_ready = False, True
        until = self.now + SETTLES_S
        turn = 0
        while self.now < until:
            turn += 1
            assert turn < MOST_FINAL_STEPS, "they find no rest"
            if not self.go_on(turn, steps=1):
                self.pass_time(SETTLES_S)

    def check(self) -> Process | None:
        """What holds once all is quiet: who serves."""
        serving = [process for process in self.living if process.accepts]
        assert len(serving) <= 1, f"{len(serving)} serve, and none leaves"
        assert len(serving) == len(self.living), "one neither serves nor ends"
        for process in serving:
            opened = [wire for wire in process.wires if wire.fileno() >= 0]
            assert len(opened) == 2, f"it has {len(opened)} sockets: its own, that of the folder, and others"
            assert not process.sockets & self.shut, "one serves on a socket that was ended"
        return serving[0] if serving else None


def count_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def nowhere() -> socket.socket:
    """A socket that nobody can reach."""
    return Wire(Folder.world)


def try_lock(descriptor: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def can_lock(descriptor: int) -> bool:
    if try_lock(descriptor):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return True
    return False


def check_one(data: bytes) -> None:
    before = count_descriptors()
    with quiet_folder() as folder:
        world = World(data[0] if data else 0, folder)
        with ExitStack() as patches:
            for owner, name, value in replaced(world):
                patches.enter_context(patch.object(owner, name, value))
            try:
                live(world, [data[start : start + STEP] for start in range(1, len(data) - STEP + 1, STEP)][:MOST_STEPS])
            finally:
                for process in list(world.living):
                    process.die()
    assert count_descriptors() <= before, "descriptors are left"  # fewer: what somebody else had left was collected


@contextlib.contextmanager
def quiet_folder() -> Iterator[Path]:
    folder = tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def replaced(world: World) -> Iterator[tuple[Any, str, Any]]:
    """What the supervisors see of the system."""
    kept = ("AF_UNIX", "SOCK_STREAM", "SHUT_RDWR", "MSG_CMSG_CLOEXEC", "send_fds", "recv_fds")
    sockets = {name: getattr(socket, name) for name in kept}
    locks = {name: getattr(fcntl, name) for name in ("LOCK_EX", "LOCK_NB", "LOCK_UN")}
    for module in (handover, meeting):
        yield module, "socket", SimpleNamespace(socket=partial(Wire, world), **sockets)
    yield meeting, "fcntl", SimpleNamespace(flock=world.flock, **locks)
    yield handover, "threading", SimpleNamespace(Thread=world.thread)
    yield meeting, "BACKLOG", world.backlog
    yield meeting, "say", world.say
    system = {"pipe": lambda: (-1, -1), "close": world.open_gate, "kill": world.kill, "getpid": os.getpid}
    yield succession, "os", SimpleNamespace(**system)
    yield Succession, "_all_ready", lambda each: world.is_ready(each)
    for module in (handover, succession):
        yield module, "time", SimpleNamespace(monotonic=world.monotonic, sleep=world.sleep)
        yield module, "say", world.say


def live(world: World, events: list[bytes]) -> None:
    """Their lives; and then one more, which follows whoever serves."""
    world.start()
    for what, how in events:
        world.happen(what, how)
    world.settle()
    before = world.check()
    last = world.start()
    world.settle()
    assert last is not None
    assert world.check() is last, f"nobody can follow{'' if before is None else ' the one that serves'}"
