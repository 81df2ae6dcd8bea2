"""The server process of a service that leads and those that follow it, over time: while they die, hang and are started
anew, lose their sockets and have no descriptors, each verb is answered with what is so, in all of them, and once things
are quiet all host what the settings say, and nothing besides.

An input is a seed for everything that varies, a byte of settings, and steps of three bytes: what happens, to which
revision or process, and how. Time passes at once.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import msgspec

from fuzz.made_up_servers import APART_S, Cluster, Server, leave
from fuzz.targets.revisions import (
    LIMITS,
    NUMBERS,
    TICK_S,
    WAITS_S,
    first_settings,
    make_changes,
    make_revision,
    make_traffic,
)
from modelport_scoring.control import peers
from modelport_scoring.control.leading import Leader
from modelport_scoring.control.messages import Answer, Command
from modelport_scoring.settings.service import Changes, RevisionSettings, RevisionSize, ServiceSettings
from modelport_scoring.settings.size import size_of
from modelport_scoring.status import Status

STEP = 3
MOST_STEPS = 60
STEADY_S = 2.0
MOST_QUIET_S = 600.0
STATUS_S = peers.PATIENCE_S + 0.1


def revision_of(number: int, how: int) -> RevisionSettings:
    """One with a worker for each process at least."""
    return msgspec.structs.replace(make_revision(number, how), workers=(None, 3, 4)[how % 3], autoscale=None)


def settings_of(how: int) -> ServiceSettings:
    others = [revision_of(2, how >> 1)] if how & 1 else []
    return msgspec.structs.replace(
        first_settings(0),
        revision=revision_of(1, how),
        others=others,
        workers=3 + (how >> 1 & 1),
        limits=LIMITS[how >> 2 & 1],
        server_processes=2 + (how >> 3 & 1),
    )


def changes_of(how: int, now: ServiceSettings) -> Changes:
    changes = make_changes(how, now)
    return changes if changes.workers is msgspec.UNSET else msgspec.structs.replace(changes, workers=3 + how % 3)


class Life:
    """Of the service."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._chance = cluster.chance
        self._asked: dict[asyncio.Task[Any], Server] = {}
        """Verbs under way, and who is to do them."""
        self._writers: set[asyncio.Task[Any] | None] = set()
        """Of those, who have written the settings."""
        self._removed_at = 0.0
        cluster.disk.adopted = lambda _: self._writers.add(asyncio.current_task())
        cluster.leads = self._leads

    async def run(self, steps: list[bytes], *, in_calm: bool) -> None:
        for process in range(self.cluster.processes):
            self.cluster.start(process)
        if in_calm:
            await self._settle()
        for step in steps:
            await self._step(*step)
            self._look()
        await self._settle()

    async def _step(self, what: int, which: int, how: int) -> None:
        cluster = self.cluster
        server, follower = cluster.now[which % cluster.processes], cluster.now[1 + which % (cluster.processes - 1)]
        if what < 0x10:
            cluster.let_workers_come_up(cluster.workers_wait)
        elif what < 0x20:
            self._end(server if how & 1 else cluster.leader)
        elif what < 0x28:
            self._have_hang(follower)
        elif what < 0x30:
            cluster.has_descriptors = not cluster.has_descriptors
        elif what < 0x38:
            self._remove_socket(follower)
        elif what < 0x40:
            if follower.has_begun:
                follower.let_listen(follower.cannot_listen)
        elif what < 0x44:
            cluster.disk.is_full = not cluster.disk.is_full
        elif what < 0x50:
            cluster.bad ^= {(which % cluster.processes, 1 + how % NUMBERS)}
        elif what < 0xA0:
            await asyncio.sleep(WAITS_S[how % len(WAITS_S)])
        else:
            self._ask(what, which, how)
        for _ in range(self._chance.randrange(4)):
            await asyncio.sleep(0)

    def _end(self, server: Server) -> None:
        server.end()
        if server is self.cluster.leader:
            for follower in self.cluster.followers:
                follower.is_led = False

    def _have_hang(self, follower: Server) -> None:
        if follower.hangs:
            follower.go_on()
        elif follower.is_alive:
            follower.hang()

    def _remove_socket(self, follower: Server) -> None:
        now = self.cluster.loop.time()
        if follower.is_listed and now - self._removed_at > APART_S:
            self._removed_at = now
            follower.is_listed = False
            self.cluster.socket_files.discard(follower.process)

    # --- verbs --------------------------------------------------------------------------------------------------------

    def _ask(self, what: int, which: int, how: int) -> None:
        leader = self.cluster.leader
        if leader.is_alive and leader.has_begun:
            if what >= 0xFC:
                leader.do(self._ask_status(leader))
            else:
                task = leader.do(self._carry_out(leader, self._command(leader, what, which, how)))
                self._asked[task] = leader

    def _command(self, leader: Server, what: int, which: int, how: int) -> Command:
        settings = leader.service.settings
        number = 1 + which % NUMBERS
        hosted = [each.number for each in leader.service.hosting.all]
        one = hosted[which % len(hosted)]
        changes = changes_of(how, settings)
        if what < 0xB0:
            replacing = None if how & 1 else one
            given = changes if how & 2 else None
            return Command(do="switch", revision=revision_of(number, how), replacing=replacing, settings=given)
        if what < 0xC0:
            return Command(do="host", revision=revision_of(number, how))
        if what < 0xC8:
            return Command(do="release", revision=one)
        if what < 0xD0:
            return Command(do="promote", revision=one)
        if what < 0xDC:
            return Command(do="split", traffic=make_traffic(settings, self._chance))
        if what < 0xE4:
            return Command(do="scale", revision=one, size=RevisionSize(workers=(None, 1, 3, 5)[how % 4]))
        if what < 0xF2:
            return Command(do="configure", settings=changes)
        revisions = [each for each in settings.revisions if self._chance.random() < 0.7]
        if number not in {each.number for each in revisions}:
            revisions.append(revision_of(number, how))
        wanted = msgspec.structs.replace(settings, revision=revisions[0], others=revisions[1:])
        wanted = msgspec.structs.replace(wanted, traffic=make_traffic(wanted, self._chance))
        return Command(do="apply", whole=changes.applied_to(wanted))

    async def _carry_out(self, leader: Server, command: Command) -> None:
        me, begun = asyncio.current_task(), self.cluster.loop.time()
        assert me is not None
        answer = msgspec.json.decode(await say(leader, command), type=Answer)
        del self._asked[me]
        if answer.ok:
            assert me in self._writers, "done, and nothing is written"
        else:
            assert me not in self._writers, "refused, and yet written"
        if leader.settled_at <= begun:
            self._check_answered(command, begun)

    def _check_answered(self, command: Command, begun: float) -> None:
        """Unless another verb is under way, all who could be told work by the same settings, and nothing is left."""
        if self._verbs_under_way:
            return
        leader = self.cluster.leader
        for server in self.cluster.followers:
            if server.could_be_told_since(begun):
                settings, hosting = server.service.settings, server.service.hosting
                assert settings == leader.service.settings, f"{command.do} is answered, and not in all processes"
                assert not hosting._prepared.all, "answered, and something is prepared still"
                if command.do == "release" and hosting.find(int(command.revision)) is None:  # type: ignore[arg-type]
                    numbers = [process.number for process in server.living]
                    assert command.revision not in numbers, "released, and not ended in all processes"

    async def _ask_status(self, leader: Server) -> None:
        begun = self.cluster.loop.time()
        msgspec.json.decode(await say(leader, Command(do="status")), type=Status)
        assert self.cluster.loop.time() - begun < STATUS_S, "a status takes long"

    def _leads(self, begun: float) -> None:
        """Another one leads: what the one before had under way is in force, or has never been."""
        if not self._verbs_under_way:
            for server in self.cluster.followers:
                if server.could_be_told_since(begun):
                    assert server.service.settings == self.cluster.disk.written, "settled, and yet by other settings"
                    assert not server.service.hosting._prepared.all, "settled, and something is prepared still"

    @property
    def _verbs_under_way(self) -> list[asyncio.Task[Any]]:
        return [task for task, leader in self._asked.items() if leader.is_alive and not task.done()]

    # --- what holds ---------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        for server in self.cluster.now.values():
            if server.is_alive and server.has_begun:
                settings, hosting = server.service.settings, server.service.hosting
                assert [each.number for each in hosting.all] == [each.number for each in settings.revisions]
            for task in server.tasks:
                if task.done() and not task.cancelled() and (error := task.exception()):
                    raise error
        assert not self.cluster.loop.faults, self.cluster.loop.faults

    async def _settle(self) -> None:
        """All goes well from now on."""
        cluster = self.cluster
        cluster.has_descriptors, cluster.disk.is_full = True, False
        cluster.bad.clear()
        cluster.let_workers_come_up(may_come_up=True)
        for server in cluster.now.values():
            if server.cannot_listen:
                server.let_listen(may_listen=True)
        begun = right = cluster.loop.time()
        while cluster.loop.time() - right < STEADY_S:
            for server in cluster.now.values():
                if server.hangs:
                    self._see_to(server)
            await asyncio.sleep(TICK_S)
            self._look()
            if wrong := self._what_is_wrong():
                right = cluster.loop.time()
                assert right - begun < MOST_QUIET_S, wrong

    def _see_to(self, server: Server) -> None:
        """One that hangs: the leader ends it where somebody waits for it, the supervisor where nobody reaches it."""
        if not server.is_listed:
            server.end()
        elif not self._verbs_under_way and self.cluster.leader.has_settled:
            server.go_on()

    def _what_is_wrong(self) -> str | None:
        """The first that is."""
        if self._verbs_under_way:
            return f"somebody waits for ever: {self._verbs_under_way}"
        for server in self.cluster.now.values():
            if not server.is_alive or not server.has_settled or server.hangs:
                return f"process {server.process} is not there"
            if wrong := self._wrong_in(server):
                return f"process {server.process}: {wrong}"
        if self.cluster.leader.is_busy:
            return "it is busy with nothing"
        return self._wrong_together()

    def _wrong_in(self, server: Server) -> str | None:
        written = self.cluster.disk.written
        service, hosting = server.service, server.service.hosting
        assert written is not None
        if service.settings != written:
            return "it works by other settings"
        kept: list[object] = []
        for hosted in hosting.all:
            if hosted.settings not in written.revisions:
                return f"revision {hosted.number} is not as the settings name it"
            pool = None if hosted.revision is None else hosted.revision.pool
            kept += [] if pool is None else [worker._process for worker in pool.workers]
            if hosted.start_failure is None:
                if pool is None or hosted.options != written.worker_options:
                    return f"revision {hosted.number} has other workers"
                if pool.ready_count != pool.wanted:
                    return f"revision {hosted.number} has {pool.ready_count} of {pool.wanted} workers"
        if not all(process in kept for process in server.living):
            return "a worker belongs to nobody"
        if hosting._prepared.all or hosting._prepared._asked:
            return "something is prepared"
        return "a revision does not end" if any(hosting._draining._ending.values()) else None

    def _wrong_together(self) -> str | None:
        written, servers = self.cluster.disk.written, self.cluster.now.values()
        assert written is not None
        for revision in written.revisions:
            size = size_of(written, revision)
            hosted = [server.service.hosting.find(revision.number) for server in servers]
            pools = [each.revision.pool for each in hosted if each and each.revision and each.start_failure is None]
            wanted = sum(pool.wanted for pool in pools)
            if size.autoscale is None and len(pools) == len(hosted) and wanted != size.workers:
                return f"revision {revision.number} has {wanted} workers, not {size.workers}"
        all_hosted = [hosted for server in servers for hosted in server.service.hosting.all]
        folders = {hosted.revision._folder.app for hosted in all_hosted if hosted.revision is not None}
        return None if self.cluster.disk.folders <= folders else "a folder is left"


async def say(leader: Server, command: Command) -> bytes:
    """Its answer."""
    assert isinstance(leader.place, Leader)
    line, _ = await leader.place._control._answer_line(msgspec.json.encode(command))
    return line


def check_one(data: bytes) -> None:
    steps = [data[start : start + STEP] for start in range(2, len(data) - STEP + 1, STEP)][:MOST_STEPS]
    how = data[1] if len(data) > 1 else 0
    cluster = Cluster(settings_of(how), random.Random(data[:1]))
    with cluster.patched():
        try:
            cluster.loop.run_until_complete(Life(cluster).run(steps, in_calm=not how & 0x10))
        finally:
            leave(cluster)
