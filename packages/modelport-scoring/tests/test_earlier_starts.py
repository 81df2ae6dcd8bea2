"""Which revisions were up under an earlier supervisor: by files that anything may have happened to."""

from __future__ import annotations

from pathlib import Path

from few_descriptors import room_for
from modelport_scoring import WorkerStart
from modelport_scoring.revisions.earlier_starts import STARTED, EarlierStarts
from modelport_scoring.revisions.hosted import Hosted
from modelport_scoring.settings.service import RevisionSettings, WorkerOptions
from modelport_scoring.settings.telemetry import TelemetrySettings
from modelport_scoring.telemetry.telemetry import Telemetry
from modelport_scoring.telemetry.tracer import Described


def hosted(number: int, bundle: str = "/bundle") -> Hosted:
    options = WorkerOptions(WorkerStart.SPAWN, warm_up=False, batching=None)
    return Hosted(RevisionSettings(number=number, bundle=bundle, interpreter=["python"]), options=options)


def under_next_supervisor(folder: Path) -> tuple[EarlierStarts, Telemetry]:
    telemetry = Telemetry(TelemetrySettings(), service=Described("demo"))
    return EarlierStarts(folder, telemetry), telemetry


def test_what_was_up_comes_back_and_what_is_hosted_no_more_is_forgotten(tmp_path: Path) -> None:
    earlier, _ = under_next_supervisor(tmp_path)
    for number in (1, 2, 3, 4):
        earlier.note(hosted(number))
    (tmp_path / STARTED / "4").write_bytes(b"\xff")
    earlier, telemetry = under_next_supervisor(tmp_path)
    telemetry.became_ready(1)
    now = [hosted(1), hosted(2), hosted(2, "/other"), hosted(4), hosted(5)]
    earlier.recall(now)
    assert [each.comes_back for each in now] == [False, True, False, False, False]
    assert [earlier.knows(each) for each in now] == [True, True, False, False, False]
    assert sorted(path.name for path in (tmp_path / STARTED).iterdir()) == ["1", "2", "4"]
    earlier.note(now[1])
    assert not earlier.knows(now[1]), "it is up, and does not come back any more"


def test_what_cannot_be_read_for_want_of_a_descriptor_is_not_given_up(tmp_path: Path) -> None:
    earlier, _ = under_next_supervisor(tmp_path)
    now = [hosted(1), hosted(2)]
    earlier.note(now[0])
    with room_for(0):
        earlier.recall(now)
    assert [each.comes_back for each in now] == [True, False]


def test_a_start_that_cannot_be_noted_is_one(tmp_path: Path) -> None:
    (tmp_path / STARTED).write_text("a file in the place of the folder, or a full disk")
    earlier, _ = under_next_supervisor(tmp_path)
    one = hosted(1)
    earlier.note(one)
    earlier.recall([one])
    assert not one.comes_back
