"""A revision that was up before, and whose working folder cannot be made for now: it is tried again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from modelport_scoring.failures import Failure, StartFailed
from modelport_scoring.revisions import hosting
from modelport_scoring.service import Service
from modelport_scoring.settings.service import RevisionSettings, ServiceSettings
from modelport_scoring.settings.telemetry import TelemetrySettings
from modelport_scoring.states import ServiceState
from modelport_scoring.telemetry.telemetry import Telemetry
from modelport_scoring.telemetry.tracer import Described


class NotToday:
    """Puts the next try off for longer than the test takes."""

    def after(self, lived_s: float) -> float:
        return 3600.0


async def no_room(*_: object, **__: object) -> None:
    raise StartFailed(Failure(phase="start", message="no room on the disk"))


def test_a_stop_does_not_wait_for_the_next_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "BackOff", NotToday)
    monkeypatch.setattr(hosting, "prepare", no_room)
    settings = ServiceSettings(
        name="demo", workspace="tests", revision=RevisionSettings(number=1, bundle="/", interpreter=["python"])
    )

    async def stop() -> None:
        telemetry = Telemetry(TelemetrySettings(), service=Described("demo"))
        telemetry.became_ready(1)  # by an earlier server process
        service = Service(settings, folder=tmp_path, loop=asyncio.get_running_loop(), telemetry=telemetry)
        starting = asyncio.create_task(service.start())
        while service.state is not ServiceState.UNHEALTHY:
            await asyncio.sleep(0.001)
        await service.stop(drain_timeout_s=0.0)
        await starting

    asyncio.run(asyncio.wait_for(stop(), 20))
