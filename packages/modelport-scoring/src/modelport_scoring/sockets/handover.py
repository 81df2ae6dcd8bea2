"""Handing a listening socket over to the next supervisor, which may run in another container of the same network.

Both know one folder, a shared volume for example. Who serves listens there on a Unix socket; who comes next gets a
descriptor of the TCP socket over it (SCM_RIGHTS), and, once its own workers are ready, has the other one leave. The
connections that wait in the socket's queue are there for either, so that none is refused or reset in between.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from modelport_scoring.logs.journal import say
from modelport_scoring.sockets.meeting import PATIENCE_S, HandoverFailed, MeetingPlace

TAKEN_OVER = "this one serves now, in the place of the one before"
"""What the log says then."""

LINGER_S = 5.0
"""How long the one that leaves waits for the next requests of its connections, each of which is its last one."""
LEAST_LINGER_S = 1.0
"""A connection that was accepted a moment ago may not have said anything yet, or be shaking hands."""

POLL_S = 0.05
MOST_LINE_BYTES = 4096


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One JSON object in a line. ``do``: ``share`` (a descriptor, please) or ``take`` (we are ready: leave)."""

    do: str
    host: str = ""
    port: int = 0
    """Where the next one is to listen; 0: wherever this one does."""
    health_port: int | None = None
    """Where it is to listen for probes, too. Where this one does, a second descriptor comes with the answer; one of a
    version before this was asked sends none."""


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    ok: bool
    message: str = ""
    elsewhere: bool = False
    """The next one is to listen at another address: it can never take over from this one."""
    shared: bool = False
    """Others may have a descriptor of the socket too, who asked this one or those before it, and wait still."""


class Handover:
    """One supervisor's part in the folder: first it asks, then it serves and is asked."""

    def __init__(self, folder: Path) -> None:
        """Raises HandoverFailed for a folder that cannot be used."""
        self._place = MeetingPlace(folder)
        self._lease: socket.socket | None = None
        """The connection to the one that serves, while it does; that one reads our end from it."""
        self._leases: set[int] = set()
        """Connections of those that have a descriptor of our socket, by their identity."""
        self._listening: socket.socket  # that of the service, once ``offer`` has told of it
        self._probed: socket.socket | None = None
        self._offered: socket.socket | None = None
        """Where those that come next ask."""
        self._is_beside = False
        """Whether the one before did not hear us, and goes on until it does."""
        self._is_shared = False
        """Whether others may wait with a descriptor that those before us have given them."""
        self._stopping = False
        self.taken = False
        """Whether another one serves now in our place."""
        self.probed: socket.socket | None = None
        """What came with the socket that ``acquire`` found: the one for probes, where both have the same port."""

    @property
    def waits(self) -> bool:
        """Whether another one serves still, and we are to take over from it."""
        return self._lease is not None

    @property
    def is_ours(self) -> bool:
        """Whether nobody but us has to do with the socket: else it must not be shut down, which ends it for all."""
        return not (
            self.waits or self.taken or self._leases or self._is_beside or self._is_shared or self._is_followed()
        )

    def acquire(
        self, open_socket: Callable[[], socket.socket], *, host: str, port: int, health_port: int | None = None
    ) -> socket.socket:
        """The socket of the one that serves, or where there is none, one that ``open_socket`` opens.

        Raises HandoverFailed, and what ``open_socket`` raises, unless that works within ten seconds: one that ends may
        still have the port.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with self._place.locked():
                listening = self._share(Ask(do="share", host=host, port=port, health_port=health_port))
                if listening is not None:
                    return listening
                try:
                    listening = open_socket()
                except Exception:
                    if time.monotonic() > deadline:
                        raise
                else:
                    self._offered = self._place.listen()
                    return listening
            time.sleep(POLL_S)

    def take_over(self) -> None:
        """Have the one that serves leave, whichever it is by now, and be the one that is asked. It may be gone already.

        Raises HandoverFailed.
        """
        with self._place.locked(), contextlib.ExitStack() as asked:
            self._is_shared = True  # unless somebody is there who knows
            try:
                channel = asked.enter_context(self._place.connect())
                reply, _ = ask(channel, Ask(do="take"))
                self._is_shared = reply.shared or not reply.ok
                if not reply.ok:
                    say(f"the one that served has another successor already: {reply.message}")
            except TimeoutError:
                self._is_beside = True
                say("the one that serves does not answer; it goes on beside this one until it does, or ends")
            except (ConnectionError, FileNotFoundError):
                pass  # nobody is there any more
            except OSError as error:  # that may be our own want: it would go on beside this one for good
                raise HandoverFailed(self._place.not_reached(error)) from error
            # Before the question is taken back: whoever hears it only now can see that it was meant.
            self._offered = self._place.listen()
        if self._lease is not None:
            self._lease.close()
            self._lease = None

    def serve(self, leave: Callable[[], None]) -> None:
        """Answer whoever comes, until one takes over: then ``leave`` is called. For a thread of its own."""
        offered = self._offered
        assert offered is not None
        while not self.taken:
            try:
                channel, _ = offered.accept()
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.EBADF):  # it was shut down
                    return
                time.sleep(POLL_S)  # no descriptor is to be had: whoever asks waits
            else:
                self._begin(threading.Thread(target=self._attend, args=(channel, leave), daemon=True))

    def _begin(self, attending: threading.Thread) -> None:
        """Start it as soon as the system has a thread."""
        while True:
            try:
                attending.start()
                return
            except RuntimeError:
                time.sleep(POLL_S)

    def offer(self, listening: socket.socket, probed: socket.socket | None = None) -> None:
        """Give descriptors of this one to whoever asks, and of that for probes to whoever wants it."""
        self._listening = listening
        self._probed = probed

    def stop(self) -> None:
        """Be asked no more: the service ends."""
        self._stopping = True
        offered = self._offered
        if offered is not None and not self.taken:
            self._place.leave()
            with contextlib.suppress(OSError):
                offered.shutdown(socket.SHUT_RDWR)

    # --- the one that serves ------------------------------------------------------------------------------------------

    def _attend(self, channel: socket.socket, leave: Callable[[], None]) -> None:
        """One of those that come next: until it closes, it may become the one that serves."""
        with channel, contextlib.suppress(OSError, msgspec.MsgspecError), channel.makefile("rb") as lines:
            while line := lines.readline(MOST_LINE_BYTES):
                self._answer(channel, msgspec.json.decode(line, type=Ask), leave)
        self._leases.discard(id(channel))

    def _answer(self, channel: socket.socket, asked: Ask, leave: Callable[[], None]) -> None:
        if asked.do == "share":
            self._leases.add(id(channel))  # before we look whether we stop: whoever stops looks for it after that
        refusal = self._refusal(asked)
        if refusal is not None:
            send(channel, refusal)
        elif asked.do == "share":
            send(channel, Reply(ok=True), descriptors=self._wanted(asked))
        else:
            self._let_go(channel, leave)
            self.taken = True
            leave()

    def _wanted(self, asked: Ask) -> list[int]:
        """Descriptors of what the next one is to listen on."""
        descriptors = [self._listening.fileno()]
        if self._probed is not None and self._probed.getsockname()[1] == asked.health_port:
            descriptors.append(self._probed.fileno())
        return descriptors

    def _let_go(self, channel: socket.socket, leave: Callable[[], None]) -> None:
        """Raises OSError where it has gone and nobody else is there: then this one goes on."""
        try:
            send(channel, Reply(ok=True, shared=self._is_shared or len(self._leases) > 1))
        except OSError:  # or it did not wait for us, who were stopped for a while
            if not self._is_followed():
                self._come_back(leave)
                raise

    def _come_back(self, leave: Callable[[], None]) -> None:
        """Be asked again, where one came into our place in the folder and has gone since. Raises HandoverFailed."""
        with self._place.locked():
            if self._stopping or self._place.is_ours or self._is_followed():
                return
            before = self._offered
            self._offered = self._place.listen()
        self._begin(threading.Thread(target=self.serve, args=(leave,), daemon=True))
        if before is not None:
            with contextlib.suppress(OSError):  # who waits there has asked another one
                before.shutdown(socket.SHUT_RDWR)
            before.close()

    def _is_followed(self) -> bool:
        """Whether another one listens in the folder in our place."""
        return self._offered is not None and self._place.is_followed

    def _refusal(self, asked: Ask) -> Reply | None:
        if self.taken:
            return Reply(ok=False, message="it leaves already")
        if self._stopping:
            return Reply(ok=False, message="it stops")
        if asked.do == "take":
            return None
        if asked.do != "share":  # of another version: that is no reason to leave
            return Reply(ok=False, message=f"it does not know what {asked.do!r} is")
        host, port = self._listening.getsockname()[:2]
        if asked.port not in (0, port):
            text = f"it listens on port {port}, and the next one is to listen on {asked.port}: start that one anew"
            return Reply(ok=False, message=text, elsewhere=True)
        if asked.host != host:
            text = f"it listens on {host}, and the next one is to listen on {asked.host}: start that one anew"
            return Reply(ok=False, message=text, elsewhere=True)
        return None

    # --- the one that comes next --------------------------------------------------------------------------------------

    def _share(self, asked: Ask) -> socket.socket | None:
        """The socket on which another one serves; None where there is none. Raises HandoverFailed."""
        try:
            channel = self._place.connect()
        except (FileNotFoundError, ConnectionRefusedError):
            return None  # there was none, or it was killed
        except TimeoutError as error:
            raise HandoverFailed(self._place.not_answered()) from error
        except OSError as error:
            raise HandoverFailed(self._place.not_reached(error)) from error
        try:
            reply, descriptors = ask(channel, asked)
        except TimeoutError as error:
            channel.close()
            raise HandoverFailed(self._place.not_answered()) from error
        except OSError:
            channel.close()
            return None  # it has just gone
        if not descriptors:
            channel.close()
            if reply.elsewhere:
                raise HandoverFailed(f"what serves here cannot be taken over: {reply.message}")
            return None
        self._lease = channel
        listening, *probed = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        self.probed = probed[0] if probed else None
        return listening


def send(channel: socket.socket, reply: Reply, *, descriptors: Sequence[int] = ()) -> None:
    """One line, and descriptors with it. Raises OSError."""
    line = msgspec.json.encode(reply) + b"\n"
    if descriptors:
        socket.send_fds(channel, [line], descriptors)
    else:
        channel.sendall(line)


def ask(channel: socket.socket, asked: Ask) -> tuple[Reply, list[int]]:
    """The answer, and the descriptors that came with it, two at most. Raises OSError."""
    channel.sendall(msgspec.json.encode(asked) + b"\n")
    line, descriptors, _, _ = socket.recv_fds(channel, MOST_LINE_BYTES, 2, socket.MSG_CMSG_CLOEXEC)
    with contextlib.ExitStack() as received:
        for descriptor in descriptors:
            received.callback(os.close, descriptor)
        while line and not line.endswith(b"\n"):
            more = channel.recv(MOST_LINE_BYTES)
            line = line + more if more else b""
        try:
            reply = msgspec.json.decode(line, type=Reply)
        except msgspec.MsgspecError as error:
            raise ConnectionResetError("it closed without an answer") from error
        received.pop_all()
    return reply, descriptors
