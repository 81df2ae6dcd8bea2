"""The template: a process that has called ``init()`` and is forked for each worker, so that they share its memory.

It does nothing of its own accord: the server says when to fork, and when a worker's exit status is to be collected.
Until then the status keeps the worker's process id from being given to somebody else.
"""

import array
import atexit
import gc
import os
import random
import signal
import socket
import sys
import threading
import warnings
from typing import Dict, List, Optional, Tuple

from modelport_worker.frames import FORK, FORKED, HEADER, HEADER_SIZE, REAPED, pack
from modelport_worker.link import Link, LinkClosed
from modelport_worker.streams import log

HAZARDS = (
    "Workers are forked from a process in which import or init() has left what a fork does not copy, or what all "
    "workers share: {}. A thread runs in none of the workers, a lock that it held stays locked, and of a connection "
    "each answer goes to whichever worker reads first. If requests hang or get wrong answers, make these in run(), or "
    "set worker_start to spawn."
)


class TemplateLink(Link):
    """The template's end of its link: descriptors come with the frames."""

    def receive(self) -> Tuple[int, int, List[int]]:
        """Wait for an order: its kind, its number and its descriptors. Raises LinkClosed."""
        numbers = array.array("i")
        space = socket.CMSG_SPACE(2 * numbers.itemsize)
        data, ancillary, _, _ = self._connection.recvmsg(HEADER_SIZE, space, socket.MSG_CMSG_CLOEXEC)
        if len(data) < HEADER_SIZE:
            raise LinkClosed
        for _, _, content in ancillary:
            numbers.frombytes(content)
        number, _, _, _, _, kind, _ = HEADER.unpack(data)
        return kind, number, list(numbers)

    def reply(self, number: int, kind: int, payload: str, code: int = 0) -> None:
        self._connection.sendall(pack(number, kind, payload.encode("ascii"), code=code))


class Template:
    """Forks on order. ``serve`` returns in the template and in each fork."""

    def __init__(self, link: TemplateLink) -> None:
        self._link = link
        self._children: Dict[int, int] = {}
        """Process ids by the forks' numbers."""

    def serve(self) -> Optional[List[int]]:
        """In a fork, the descriptors of its socket and its page; in the template, None once it has been let go."""
        tell_hazards()
        try:
            while True:
                kind, number, descriptors = self._link.receive()
                if kind != FORK:
                    self._reap(number)
                    continue
                if self._fork(number, descriptors):
                    return descriptors
        except (LinkClosed, ConnectionError):
            return None

    def _fork(self, number: int, descriptors: List[int]) -> bool:
        """Whether this is the fork."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of threads: said already, and a script may make errors of warnings
                pid = os.fork()
        except OSError as error:
            self._link.reply(number, FORKED, "", code=error.errno or 0)
        else:
            if pid == 0:
                begin_life()
                return True
            lead_own_group(pid)
            self._children[number] = pid
            self._link.reply(number, FORKED, str(pid))
        for descriptor in descriptors:
            os.close(descriptor)
        return False

    def _reap(self, number: int) -> None:
        try:
            pid = self._children.pop(number)
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:  # the server has given it up
                os.killpg(pid, signal.SIGKILL)
                _, status = os.waitpid(pid, 0)
        except OSError:  # the script ignores SIGCHLD, or waits for any child
            self._link.reply(number, REAPED, "")
        else:
            code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            self._link.reply(number, REAPED, str(code))


def settle_memory() -> None:
    """Leave no garbage to the forks, and have their collectors leave alone what is there: they would write into every
    object, and so copy its page."""
    gc.collect()
    if hasattr(gc, "freeze"):
        gc.freeze()


def lead_own_group(pid: int) -> None:
    """Make the process the leader of a group. Both sides of a fork do it: whoever comes first."""
    try:
        os.setpgid(pid, pid)
    except OSError:
        pass  # it has done so, or has ended


def begin_life() -> None:
    """What a fork must not have in common with the others."""
    lead_own_group(os.getpid())
    atexit._clear()  # what init() has made is given up once, by the template
    random.seed()  # Python does so itself, but not before 3.7
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        try:
            numpy_random.seed()
        except Exception:
            log("The random numbers of numpy are the same in all workers: its global generator takes no seed.")


def tell_hazards() -> None:
    """Write into the log what a fork may not survive."""
    found = hazards()
    if found:
        log(HAZARDS.format("; ".join(found)))


def hazards() -> List[str]:
    """What of this process a fork does not copy or has to share, each in a few words."""
    found = []
    names = [thread.name for thread in threading.enumerate() if thread is not threading.current_thread()]
    if names:
        found.append("threads of Python ({})".format(", ".join(names)))
    native = len(os.listdir("/proc/self/task")) - 1 - len(names)
    if native > 0:
        found.append("threads of libraries ({}; OpenBLAS and MKL make theirs anew)".format(native))
    targets = open_files()
    sockets = sum(target.startswith("socket:") for target in targets) - 1  # without our own
    if sockets > 0:
        found.append("open sockets ({})".format(sockets))
    if any(target.startswith("/dev/nvidia") for target in targets):
        found.append("an open GPU (CUDA cannot be used in a fork)")
    return found


def open_files() -> List[str]:
    """What the descriptors of this process stand for."""
    targets = []
    for name in os.listdir("/proc/self/fd"):
        try:
            targets.append(os.readlink("/proc/self/fd/" + name))
        except OSError:
            pass  # the one that listed the folder
    return targets
