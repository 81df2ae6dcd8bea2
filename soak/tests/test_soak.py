"""The long runs, a few seconds long; and that they find what they look for."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

import pytest

from soak import kills, leak
from soak.__main__ import PAGE, TITLE, read_sections, section
from soak.client import Account, drive


@pytest.mark.parametrize("batching", [False, True])
def test_workers_are_killed_under_load(batching: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kills, "CAPACITY_S", 0.5)
    outcome = kills.run(seconds=3.0, batching=batching)
    assert outcome.faults == []
    assert outcome.kills >= 2
    assert outcome.account.sent > min(100, outcome.capacity)


@pytest.mark.parametrize(
    ("account", "words"),
    [
        (Account(sent=2, statuses=Counter({200: 1})), "not answered"),
        (Account(sent=1, statuses=Counter({200: 1}), wrong=1), "another request's"),
        (Account(sent=1, statuses=Counter({503: 1})), "503"),
        (Account(sent=99, statuses=Counter({502: 99})), "502"),
    ],
)
def test_faults_are_told(account: Account, words: str) -> None:
    (fault,) = kills.Outcome(capacity=1.0, kills=1, account=account).faults
    assert words in fault


def test_growth_is_told() -> None:
    samples = [leak.Sample(1, 100, 100), leak.Sample(2, 104, 106)]
    assert leak.Outcome(samples=samples, errors=0).faults == ["the worker has grown from 100 to 106 KiB"]


def test_the_client_counts_what_is_not_answered_or_wrong() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            for _ in range(2):
                await reader.readuntil(b"]]}")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n[[-1.0]]")
            await reader.readuntil(b"]]}")
        writer.close()

    async def run() -> Account:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            return await drive(server.sockets[0].getsockname()[1], connections=1, seconds=0.2, per_second=100)

    account = asyncio.run(run())
    assert account.wrong == account.statuses[200] > 0
    assert account.unanswered == account.sent - account.answered > 0


def test_a_run_leaves_what_others_have_published() -> None:
    page = PAGE.read_text()
    assert TITLE + "\n".join(read_sections(page).values()) == page
    [(heading, text)] = section("Memory after many requests", ["64 connections.", "| |"], faults=["it grew"]).items()
    mixed = read_sections(page) | {heading: text}
    assert list(mixed) == list(read_sections(page)), "it has its place"
    assert read_sections(TITLE + "\n".join(mixed.values()))[heading] == text
    assert text.endswith("| |\n\nNot as promised: it grew.\n")
