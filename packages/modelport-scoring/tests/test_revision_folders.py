"""What a revision is made with: a working folder while somebody works in it, and its share of the limits."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from modelport_scoring.failures import StartFailed
from modelport_scoring.revisions.revision import Revision, prepare
from modelport_scoring.settings.service import Limits, RevisionSettings, ServiceSettings
from modelport_scoring.settings.share import WHOLE, Share
from modelport_scoring.settings.telemetry import TelemetrySettings
from modelport_scoring.telemetry.telemetry import Telemetry
from modelport_scoring.telemetry.tracer import Described
from scoring_services import ECHO, write_bundle


@pytest.fixture
def settings(tmp_path: Path) -> ServiceSettings:
    bundle = str(write_bundle(tmp_path / "bundle", ECHO))
    revision = RevisionSettings(number=1, bundle=bundle, interpreter=["python"])
    return ServiceSettings(name="demo", workspace="tests", revision=revision)


async def prepared(settings: ServiceSettings, folder: Path, *, share: Share = WHOLE) -> Revision:
    telemetry = Telemetry(TelemetrySettings(), service=Described("demo"))
    loop = asyncio.get_running_loop()
    return await prepare(settings, folder=folder, loop=loop, telemetry=telemetry, share=share)


def test_who_leaves_twice_does_not_take_the_folder_from_others(settings: ServiceSettings, tmp_path: Path) -> None:
    """Workers that are to replace others are ended by whoever gives them up, and by whoever waited for them."""

    async def leave() -> list[bool]:
        before = await prepared(settings, tmp_path)
        after = before.renewed(settings)
        is_there = []
        for each in (after, after, before):
            await each.leave_folder()
            is_there.append((tmp_path / "work" / "1" / "app" / "source" / "score.py").exists())
        return is_there

    assert asyncio.run(leave()) == [True, True, False]


def test_a_bundle_that_cannot_be_used_leaves_no_folder(settings: ServiceSettings, tmp_path: Path) -> None:
    (Path(settings.revision.bundle) / "app" / "swagger.json").write_text("no JSON")
    with pytest.raises(StartFailed, match="is no JSON"):
        asyncio.run(prepared(settings, tmp_path))
    assert not (tmp_path / "work" / "1").exists()


def test_each_of_several_processes_has_its_share_of_the_limits_also_of_later_ones(
    settings: ServiceSettings, tmp_path: Path
) -> None:
    async def waiting() -> list[int]:
        first = msgspec.structs.replace(settings, limits=Limits(max_queue_length=10), workers=2)
        running = await prepared(first, tmp_path, share=Share(process=1, processes=2))
        most = [running.pool.limits.max_queue_length]
        running.settings_changed(msgspec.structs.replace(first, limits=Limits(max_queue_length=20)), first.revision)
        most.append(running.pool.limits.max_queue_length)
        await running.leave_folder()
        return most

    assert asyncio.run(waiting()) == [5, 10]
