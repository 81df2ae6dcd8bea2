"""The control socket, and those who speak to it as nobody should."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import stat
from pathlib import Path

import pytest
from msgspec import inspect

from modelport_scoring import RequestRefused, ServiceState
from modelport_scoring.control import lines
from modelport_scoring.control.client import connect
from modelport_scoring.control.dialect import words_of
from modelport_scoring.control.lines import LineAnswer, LineSocket
from modelport_scoring.control.messages import MOST_LINE_BYTES, Command
from modelport_scoring.service_folder import CONTROL
from scoring_services import PATIENCE_S, RunningService, Services, read_all, wait_until

DEEP = b'{"do": "status", "x": ' + b"[" * 500_000 + b"]" * 500_000 + b"}"


def say(service: RunningService, line: bytes) -> bytes:
    """The answer to a line, without its end."""
    with connect(service.folder, patience_s=PATIENCE_S) as channel:
        channel.sendall(line + b"\n")
        return read_all(channel).rstrip(b"\n")


def test_only_the_owner_may_speak_to_it(echo: RunningService) -> None:
    assert stat.S_IMODE((echo.folder / CONTROL).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "truncated"),
        (b"status", "malformed"),
        (b'{"do": "\xff"}', "can't decode byte 0xff"),
        (DEEP, "recursion"),
        (b'{"do": "explode"}', "'explode' is none of status, switch"),
        (b'{"do": "release", "revision": -1}', "revision -1 is not hosted, only 1"),
    ],
)
def test_what_cannot_be_read_is_answered(echo: RunningService, line: bytes, words: str) -> None:
    answer = json.loads(say(echo, line))
    assert answer["ok"] is False
    assert words in answer["message"]


def test_what_is_longer_than_a_line_may_be_is_not_sent(echo: RunningService) -> None:
    with pytest.raises(RequestRefused, match=f"'configure' has .* bytes; a scoring server reads {MOST_LINE_BYTES} at"):
        echo.control.configure(cors_origins=["x" * MOST_LINE_BYTES])


def test_a_crowd_is_served_one_after_the_other(echo: RunningService) -> None:
    crowd: list[socket.socket] = []
    try:
        for _ in range(300):
            crowd.append(connect(echo.folder, patience_s=PATIENCE_S))
        for channel in crowd:
            channel.sendall(b'{"do": "status"}\n')
        assert all(json.loads(read_all(channel))["state"] == "running" for channel in crowd)
    finally:
        for channel in crowd:
            channel.close()


def test_a_socket_whose_file_was_removed_is_there_again(services: Services) -> None:
    service = services.start()
    socket_file = service.folder / CONTROL
    for away in (Path.unlink, lambda path: path.rename(path.with_name("elsewhere"))):
        away(socket_file)
        wait_until(socket_file.exists, what="it listens again")
        assert service.status.state is ServiceState.RUNNING
        assert stat.S_IMODE(socket_file.stat().st_mode) == 0o600
    service.control.stop()
    assert service.process is not None
    assert service.process.wait(PATIENCE_S) == 0
    assert service.supervisor_log.count("control.sock had been removed; it is there again") == 2


def test_a_dead_socket_in_its_place_is_replaced(services: Services) -> None:
    """As a backup leaves it that was unpacked over the folder."""
    service = services.start()
    socket_file = service.folder / CONTROL
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(service.folder / "dead"))
    (service.folder / "dead").rename(socket_file)
    service.wait_for(ServiceState.RUNNING)


async def nobody(line: bytes) -> LineAnswer:
    raise AssertionError("is never asked")


def test_a_folder_in_its_place_costs_a_line_and_no_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    monkeypatch.setattr(lines, "say", said.append)

    async def look_and_look() -> list[int]:
        made = LineSocket("some.sock", nobody)
        await made.open()
        Path("some.sock").unlink()
        Path("some.sock").mkdir()
        gc.collect()  # what other tests have left is not to be collected while this one counts
        open_files = []
        for _ in range(5):
            await looked(made)
            open_files.append(len(list(Path("/proc/self/fd").iterdir())))
        Path("some.sock").rmdir()
        await looked(made)
        assert Path("some.sock").is_socket()
        Path("some.sock").unlink()
        Path("some.sock").mkdir()
        made.close()
        return open_files

    async def looked(made: LineSocket) -> None:
        made.look()
        assert made._reopening is not None
        await made._reopening

    assert len(set(asyncio.run(look_and_look()))) == 1
    assert [text.partition(": [Errno")[0] for text in said] == [
        "some.sock has been removed, and cannot be made anew for now",
        "some.sock had been removed; it is there again",
    ]


def test_a_socket_that_is_closed_is_not_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def close() -> None:
        made = LineSocket("some.sock", nobody)
        await made.open()
        Path("some.sock").unlink()
        made.look()
        made.close()
        assert made._reopening is not None
        await asyncio.wait([ended := made._reopening])
        made.look()
        assert made._reopening is ended

    asyncio.run(close())
    assert not Path("some.sock").exists()


def test_who_says_nothing_keeps_no_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lines, "PATIENCE_S", 0.05)

    async def wait() -> bytes:
        made = LineSocket("some.sock", nobody)
        await made.open()
        reader, writer = await asyncio.open_unix_connection("some.sock")
        told = await asyncio.wait_for(reader.read(), PATIENCE_S)
        writer.close()
        made.close()
        return told

    assert asyncio.run(wait()) == b""


def test_a_fault_of_ours_is_not_taken_for_the_end_of_who_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log has it. What is longer than a line, or nothing, is the other side's doing."""
    monkeypatch.chdir(tmp_path)
    faults: list[object] = []

    async def fail(line: bytes) -> LineAnswer:
        raise OSError(24, f"no descriptor for {line.decode().rstrip()}")

    async def ask(*asked: bytes) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(str(context["exception"])))
        made = LineSocket("some.sock", fail)
        await made.open()
        for each in asked:
            reader, writer = await asyncio.open_unix_connection("some.sock")
            writer.write(each)
            assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
            writer.close()
        made.close()

    asyncio.run(ask(b"x" * (MOST_LINE_BYTES + 1), b"this\n"))
    assert faults == ["[Errno 24] no descriptor for this"]


def test_a_dialect_has_every_word_at_whatever_depth() -> None:
    words = set(words_of(inspect.type_info(Command)))
    assert {"Command.do", "ServiceSettings.limits", "Limits.scoring_timeout_ms", "RevisionSettings.bundle"} <= words
    assert {"TokenKey.kid", "ErrorMode=cloud", "Traffic.weights", "Changes.telemetry"} <= words
