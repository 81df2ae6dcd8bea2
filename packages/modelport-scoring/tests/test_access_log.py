"""The access log and the server's own messages, as text and as JSON."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from modelport_scoring.logs.journal import Journal, cut_logs, write_as
from modelport_scoring.settings.telemetry import LogFormat, TelemetrySettings
from modelport_scoring.telemetry.access_log import MOST_BUFFERED_BYTES, STREAMED, Access, AccessLog
from modelport_scoring.telemetry.telemetry import Telemetry
from modelport_scoring.telemetry.trace_context import Parent
from modelport_scoring.telemetry.tracer import Described

SCORED = Access(
    b"POST",
    b"/score",
    200,
    started=10.0,
    ended=10.000277,
    length=41,
    sent=10.0001,
    micros=120,
    revision=3,
    request_id=b"r-1",
    client_request_id=b"c-1",
    span=Parent(b"0af7651916cd43dd8448eb211c80319c", b"b7ad6b7169203331", sampled=True, state=b""),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture
def small_files() -> Iterator[int]:
    """How long a file may become; beyond, this process writes what still fits, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield 4096
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_line_as_the_reference_has_it(path: Path) -> None:
    log = AccessLog(path, form=LogFormat.TEXT)
    log.add(SCORED)
    log.flush()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} I \[\d+\] modelport\.access - POST /score 200 0\.277ms 41\n",
        path.read_text(),
    )
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_body_that_is_sent_as_it_is_made_has_no_length_in_a_line(path: Path) -> None:
    log = AccessLog(path, form=LogFormat.TEXT)
    log.add(SCORED._replace(length=STREAMED))
    assert path.read_text().endswith(" POST /score 200 0.277ms N/A\n")


def test_a_line_of_json(path: Path) -> None:
    log = AccessLog(path, form=LogFormat.JSON)
    log.add(SCORED)
    log.add(Access(b"GET", b"/metrics", 200, started=1.0, ended=1.5, length=0))
    log.flush()
    scored, other = (json.loads(line) for line in path.read_text().splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", scored.pop("timestamp"))
    assert scored.pop("pid") > 0
    assert scored == {
        "method": "POST",
        "path": "/score",
        "status": 200,
        "duration_ms": 0.277,
        "queue_wait_ms": 0.1,
        "run_ms": 0.12,
        "bytes": 41,
        "revision": 3,
        "request_id": "r-1",
        "client_request_id": "c-1",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
    }
    unknown = {name for name, value in other.items() if value is None}
    assert unknown == scored.keys() - {"method", "path", "status", "duration_ms", "bytes"}


@pytest.mark.parametrize("form", LogFormat)
@pytest.mark.parametrize("path_asked", [b"/a\nGET / 200", b"/\x1b[31m", b"/\x9b31m", b"/\xff\xfe", b"/ 200 0ms 1"])
def test_a_client_cannot_forge_a_line(path: Path, form: LogFormat, path_asked: bytes) -> None:
    log = AccessLog(path, form=form)
    log.add(SCORED._replace(path=path_asked, request_id=b'"},\n{"', client_request_id=b"\xff\x00"))
    log.flush()
    written = path.read_bytes()
    assert written.count(b"\n") == 1
    assert b"\x1b" not in written
    assert "\x9b" not in written.decode()
    assert form is LogFormat.JSON or len(written.split(b" - ")[1].split(b" ")) == 5


def test_lines_after_the_first_wait_for_the_sweep_or_for_64_kilobytes(path: Path) -> None:
    log = AccessLog(path, form=LogFormat.TEXT)
    log.add(SCORED)
    first = path.stat().st_size
    added = 1
    while path.stat().st_size == first:
        log.add(SCORED)
        added += 1
    assert path.stat().st_size - first == pytest.approx(MOST_BUFFERED_BYTES, abs=200)
    log.add(SCORED)
    assert path.read_text().count("\n") == added
    log.flush()
    assert path.read_text().count("\n") == added + 1


def test_a_line_after_a_second_of_silence_is_written_at_once(path: Path) -> None:
    log = AccessLog(path, form=LogFormat.JSON)
    for ended in (10.0, 10.9, 11.1, 11.2):
        log.add(SCORED._replace(ended=ended, length=STREAMED))
    lines = path.read_text().splitlines()
    assert [json.loads(line)["bytes"] for line in lines] == [None] * 3


def test_a_full_disk_costs_lines_and_they_are_counted(tmp_path: Path) -> None:
    settings = TelemetrySettings(access_log=True)
    (tmp_path / "access.log").symlink_to("/dev/full")
    telemetry = Telemetry(settings, service=Described("demo"), logs=tmp_path)
    assert telemetry.access_log is not None
    for _ in range(3):
        telemetry.access_log.add(SCORED)
    telemetry.publish()
    (tmp_path / "access.log").unlink()
    telemetry.access_log.add(SCORED)
    _, body = telemetry.render(None)
    assert b"\nmodelport_access_log_dropped_total 3.0\n" in body
    assert (tmp_path / "access.log").read_text().count("\n") == 1


def test_what_fits_half_is_not_continued_by_the_next_line(path: Path, small_files: int) -> None:
    log = AccessLog(path, form=LogFormat.TEXT)
    path.write_text("x" * (small_files - 150) + "\n")
    for _ in range(3):
        log.add(SCORED)
    log.flush()
    assert path.stat().st_size == small_files
    assert log.take_dropped() == 2, "one line went whole, one half"
    cut_logs(path.parent, limit=1000)
    log.add(SCORED)
    log.flush()
    assert path.read_text().splitlines()[-1].endswith("POST /score 200 0.277ms 41")
    assert path.read_text().splitlines()[-1].count("POST") == 1


def test_nor_is_half_a_message(path: Path, small_files: int) -> None:
    journal = Journal(path)
    path.write_text("x" * (small_files - 40) + "\n")
    journal.write("this one does not go whole")
    journal.write("this one does not go at all")
    assert path.stat().st_size == small_files
    cut_logs(path.parent, limit=1000)
    journal.write("there is room again")
    assert re.fullmatch(r"[-\d]+ [:,\d]+ \[\d+\] there is room again", path.read_text().splitlines()[-1])


def test_a_pipe_that_nobody_reads_holds_nobody_up(path: Path) -> None:
    os.mkfifo(path)
    log = AccessLog(path, form=LogFormat.TEXT)
    adding = threading.Thread(target=log.add, args=[SCORED], daemon=True)
    adding.start()
    adding.join(30)
    assert not adding.is_alive()
    assert log.take_dropped() == 1


@pytest.mark.parametrize("change", [{"access_log": False}, {"access_log_format": LogFormat.JSON}])
def test_what_was_gathered_is_written_before_another_form_is_in_force(tmp_path: Path, change: dict[str, Any]) -> None:
    settings = TelemetrySettings(access_log=True)
    telemetry = Telemetry(settings, service=Described("demo"), logs=tmp_path)
    assert telemetry.access_log is not None
    for _ in range(3):
        telemetry.access_log.add(SCORED)
    telemetry.configure(msgspec.structs.replace(settings, **change))
    assert (tmp_path / "access.log").read_text().count(" - POST /score 200 ") == 3


def test_nothing_is_there_for_what_is_off() -> None:
    telemetry = Telemetry(TelemetrySettings(), service=Described("demo"))
    assert telemetry.access_log is None
    assert telemetry.tracer is None


# --- the server's own messages ----------------------------------------------------------------------------------------


@pytest.fixture
def messages_as_json() -> Iterator[None]:
    write_as(LogFormat.JSON)
    yield
    write_as(LogFormat.TEXT)


def test_messages_as_text(tmp_path: Path) -> None:
    Journal(tmp_path / "1.log").write("it broke\nfor a reason")
    first, second = (tmp_path / "1.log").read_text().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \[\d+\] it broke", first)
    assert second.endswith("] for a reason")


@pytest.mark.usefixtures("messages_as_json")
def test_messages_as_json(tmp_path: Path) -> None:
    Journal(tmp_path / "1.log").write('it "broke"\nfor a reason \udcff')
    (line,) = (tmp_path / "1.log").read_text().splitlines()
    message = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message.pop("timestamp"))
    assert message.pop("pid") > 0
    assert message == {"message": 'it "broke"\nfor a reason ?'}


FAULTY = """
import asyncio
from modelport_scoring.logs.complaints import take_complaints
from modelport_scoring.logs.journal import write_as
from modelport_scoring.settings.telemetry import LogFormat

async def main():
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    await asyncio.sleep(0)

take_complaints()
write_as(LogFormat.JSON)
asyncio.run(main())
"""


def test_a_fault_in_the_loop_is_one_message() -> None:
    done = subprocess.run([sys.executable, "-c", FAULTY], capture_output=True, text=True, check=True)
    (line,) = done.stderr.splitlines()
    message = json.loads(line)["message"]
    assert message.startswith("Exception in callback ")
    assert message.endswith("ZeroDivisionError: division by zero")
