"""80% of capacity while a worker is killed every second: every request is answered, and only those that a killed worker
held with 502."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass

from modelport_scoring import Batching
from soak.client import Account, drive
from soak.service import DOUBLE, Service, serve

WORKERS = 2
CONNECTIONS = 32
WORK_S = 0.001
"""What a call of the model takes, so that the workers are what is busy, and not this client."""

CAPACITY_S = 5.0
SHARE = 0.8
KILL_EVERY_S = 1.0
MOST_HELD = 64
"""Requests that one worker may have begun with and not answered; together, where they are joined."""


@dataclass(frozen=True)
class Outcome:
    capacity: float
    kills: int
    account: Account

    @property
    def faults(self) -> list[str]:
        """What did not go as promised."""
        account = self.account
        others = {status: count for status, count in account.statuses.items() if status not in (200, 502)}
        lost = account.statuses[502]
        wrong = {
            f"{account.sent - account.answered} requests were not answered": account.sent != account.answered,
            f"{account.wrong} answers were another request's": account.wrong,
            f"there were other statuses: {others}": others,
            f"{lost} answers of 502 are more than {self.kills} killed workers held": lost > self.kills * MOST_HELD,
            "nothing was killed": not self.kills,
        }
        return [fault for fault, found in wrong.items() if found]


def run(*, seconds: float, batching: bool) -> Outcome:
    script = DOUBLE.format(seconds=WORK_S)
    with serve(script, workers=WORKERS, batching=Batching() if batching else None) as service:
        return asyncio.run(kill_under_load(service, seconds=seconds))


async def kill_under_load(service: Service, *, seconds: float) -> Outcome:
    capacity = 0.0
    while not capacity:  # on a machine with much else to do, nothing may have been answered in so short a time
        capacity = (await drive(service.port, connections=CONNECTIONS, seconds=CAPACITY_S)).per_second
    killer = asyncio.create_task(kill_now_and_then(service))
    account = await drive(service.port, connections=CONNECTIONS, seconds=seconds, per_second=capacity * SHARE)
    killer.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await killer
    return Outcome(capacity=capacity, kills=service.log.count("(killed by signal 9 (SIGKILL))"), account=account)


async def kill_now_and_then(service: Service) -> None:
    """Each worker in its turn, where it has come back."""
    turn = 0
    while True:
        await asyncio.sleep(KILL_EVERY_S)
        workers = await asyncio.to_thread(service.workers)
        if workers:
            turn += 1
            with contextlib.suppress(ProcessLookupError):
                os.kill(workers[turn % len(workers)], signal.SIGKILL)
