"""Every kept input passes its target, without atheris: what once broke something is not broken again."""

from __future__ import annotations

import asyncio
import importlib

import pytest

from fuzz.answers import Answer, read_answers
from fuzz.catalogue import TARGETS, kept_inputs
from fuzz.targets import (
    autoscaler,
    clients,
    handover,
    http_connection,
    leaders,
    pool,
    revisions,
    router,
    router_clients,
    second_reader,
    supervisor,
    template,
)
from modelport_scoring.control.peers import Peers
from modelport_scoring.http import arriving_head
from modelport_scoring.http.budget import Budget
from modelport_scoring.http.exchange import Exchange
from modelport_scoring.revisions.draining import Draining
from modelport_scoring.router import heads
from modelport_scoring.serving.scoring import Scoring
from modelport_scoring.sockets.handover import Handover
from modelport_scoring.sockets.meeting import MeetingPlace
from modelport_scoring.supervision.server_process import ServerProcess
from modelport_scoring.traffic.shadow import Shadow
from modelport_scoring.workers.autoscaler import Decision
from modelport_scoring.workers.template import Template

MOST_BYTES = 16 * 1024


@pytest.mark.parametrize("name", TARGETS)
def test_kept_inputs(name: str) -> None:
    target = importlib.import_module(f"fuzz.targets.{name}")
    inputs = kept_inputs(name)
    assert inputs
    for path in inputs:
        try:
            target.check_one(path.read_bytes())
        except Exception as error:
            raise AssertionError(f"{path.name} breaks {name}") from error


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_is_small(name: str) -> None:
    assert sum(path.stat().st_size for path in kept_inputs(name)) < MOST_BYTES


@pytest.mark.parametrize(
    "written",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n",
        b"\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ],
)
def test_what_is_no_answer_is_found_out(written: bytes) -> None:
    with pytest.raises(AssertionError):
        read_answers(written, [])


def test_answers_in_each_framing() -> None:
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
    last = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nto the end"
    proceed = b"HTTP/1.1 100 Continue\r\n\r\n"
    head = b"HTTP/1.1 404 Not Found\r\ncontent-length: 8\r\n\r\n"
    answers = read_answers(head + proceed + chunked + last, [b"HEAD"])
    assert answers == [Answer(404, b""), Answer(200, b"a"), Answer(200, b"to the end")]


def test_a_wrong_answer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection.Script, "screen", lambda *_: None)
    with pytest.raises(AssertionError, match="are not"):
        http_connection.check_one(b"\x00GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")


def test_room_that_is_kept_for_nobody_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "ended", lambda *_: None)
    with pytest.raises(AssertionError, match="room is kept for nobody"):
        clients.check_one(b"\x00\x01" + b"\x00\x00\x02" + b"\x50\x00\x01")


def test_an_answer_that_goes_to_another_client_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    two = b"\x00\x01" + b"\xe8\x00\x00" + b"\x00\x00\x00" + b"\x00\x01\x00" + b"\xff\x00\x00" * 4
    router_clients.check_one(two)
    monkeypatch.setattr(
        router_clients.Echoes, "next_answer", lambda *_: b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n1000"
    )
    with pytest.raises(AssertionError, match="of another"):
        router_clients.check_one(two)


def test_a_request_without_an_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    died = b"\x00\x00" + b"\x64\x00\x00" * 9 + b"\x06\x00\x01" + b"\x64\x00\xa8" * 2 + b"\xc0\x00\x00"
    pool.check_one(died)
    monkeypatch.setattr(pool.Request, "lost", lambda _: None)
    with pytest.raises(AssertionError, match=r"\[\], False"):
        pool.check_one(died)


def test_a_request_that_the_router_changes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "OF_ONE_HOP", heads.OF_ONE_HOP | {b"a"})
    with pytest.raises(AssertionError, match="was lost"):
        router.check_one(b"\x00GET /score HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n")


def test_what_another_reader_takes_for_something_else_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving_head, "WHITESPACE", b"\t")
    with pytest.raises(AssertionError, match="is not"):
        second_reader.check_one(b"GET /score HTTP/1.1\r\nHost: x\r\nA: b \r\n\r\n")


def test_a_revision_whose_workers_belong_to_nobody_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    switched = (
        b"\x00\x00" + b"\xb0\x00\x02" + b"\x60\x00\x00" * 3 + b"\xc0\x02\x01" + b"\xb0\x00\x01" + b"\x60\x01\x00" * 3
    )
    revisions.check_one(switched)
    monkeypatch.setattr(Draining, "retire", lambda *_, **__: None)
    with pytest.raises(AssertionError, match="belongs to nobody"):
        revisions.check_one(switched)


def test_an_answer_to_a_copy_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that goes to the client of the request."""
    split = b"\xe0\x00\x00" + b"\x10\x00\x00" + b"\x60\x00\x00" * 2 + b"\x60\x01\x00" * 2
    copied = b"\x01\x01" + b"\xb0\x00\x01" + b"\x60\x00\x00" * 3 + b"\x60\x01\x00" * 3 + split * 8
    revisions.check_one(copied)
    monkeypatch.setattr(Shadow, "copy", copy_to_the_client)
    with pytest.raises(AssertionError, match=r"the answer of another one|the answer to a copy"):
        revisions.check_one(copied)


def copy_to_the_client(shadow: Shadow, ticket: Scoring, exchange: Exchange, *, posing_as: int) -> None:
    twin = Exchange(exchange.head, exchange.body, exchange.order)
    shadow._submit(ticket.copied_to(twin, posing_as=posing_as), shadow._revision)


def test_a_pool_that_grows_beyond_its_bounds_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = b"\x00\x00" + b"\x64\x00\x00" * 4 + b"\x06\x00\x01" * 8 + b"\xd0\x00\x02" * 4
    autoscaler.check_one(loaded)
    monkeypatch.setattr(Decision, "workers", lambda *_, wanted, **__: wanted + 1)
    with pytest.raises(AssertionError, match=r"workers, with Autoscale"):
        autoscaler.check_one(loaded)


def test_a_server_that_hangs_for_ever_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    hung = b"\x00" + b"\x00\x03" * 2 + b"\xa0\x00" + b"\x00\x03" * 40
    supervisor.check_one(hung)
    monkeypatch.setattr(ServerProcess, "end_if_hung", lambda _: None)
    with pytest.raises(AssertionError, match="nobody ends it"):
        supervisor.check_one(hung)


def test_one_that_nobody_can_follow_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_happens = b"\x00"
    handover.check_one(nothing_happens)
    monkeypatch.setattr(MeetingPlace, "listen", lambda _: handover.nowhere())
    with pytest.raises(AssertionError, match="nobody can follow"):
        handover.check_one(nothing_happens)


def test_a_socket_that_is_ended_though_others_have_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = b"\x00" + b"\x1f\x00" * 2 + b"\xe0\x00" + b"\x00\x00\x00\x01\x00\x02" * 20 + b"\xc8\x00"
    handover.check_one(stopped)
    monkeypatch.setattr(Handover, "is_ours", True)
    with pytest.raises(AssertionError, match="another one has"):
        handover.check_one(stopped)


def test_an_end_of_a_fork_that_is_not_told_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    killed = b"\x00\x01" + b"\x00\x00\x03" + b"\x90\x03\x01" + b"\x00\x00\x05"
    template.check_one(killed)
    monkeypatch.setattr(Template, "reap", lambda _, number, told: told(None))
    with pytest.raises(AssertionError, match="a zombie is left"):
        template.check_one(killed)


def test_a_stop_that_hangs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = b"\x00\x00" + b"\x50\x00\x0c" + b"\x00\x00\x07"
    template.check_one(hangs)
    monkeypatch.setattr(Template, "end", lambda _: asyncio.get_running_loop().create_future())
    with pytest.raises(AssertionError, match="a stop does not end"):
        template.check_one(hangs)


async def nothing(*_: object) -> None:
    """Is told to nobody."""


def test_a_verb_that_is_not_in_force_in_all_processes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    split = b"\x00\x00" + b"\xd0\x00\x00"
    leaders.check_one(split)
    monkeypatch.setattr(Peers, "adopt", nothing)
    with pytest.raises(AssertionError, match="split is answered, and not in all processes"):
        leaders.check_one(split)


def test_what_a_verb_that_failed_leaves_in_one_process_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    fails_in_the_first = b"\x00\x00" + b"\x44\x00\x02" + b"\xb4\x02\x00" + b"\x80\x00\x04"
    leaders.check_one(fails_in_the_first)
    monkeypatch.setattr(Peers, "discard", nothing)
    with pytest.raises(AssertionError, match="answered, and something is prepared still"):
        leaders.check_one(fails_in_the_first)


def test_a_leader_that_waits_for_ever_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = b"\x00\x00" + b"\x20\x00\x00" + b"\xdc\x00\x02"
    leaders.check_one(hangs)
    monkeypatch.setattr(Peers, "_watching", lambda _self, _peer, work: work)
    with pytest.raises(AssertionError, match="somebody waits for ever"):
        leaders.check_one(hangs)
