"""What a reboot stopped comes back with ``modelport up``; ``doctor`` sees it."""

from __future__ import annotations

import os
import signal
import time

from modelport_scoring import supervisor_pid

from .conftest import Desk


def kill(desk: Desk, service: str) -> None:
    """End all processes of the service at once, as a power failure does."""
    pid = desk.supervisor("shop", service)
    os.killpg(pid, signal.SIGKILL)
    folder = desk.home / "workspaces/shop/services" / service
    deadline = time.monotonic() + 60
    while supervisor_pid(folder) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_up_brings_back_what_should_run(deployed: Desk) -> None:
    port = deployed.run("modelport service show -n times --query port").json
    kill(deployed, "times")
    assert deployed.run("modelport service show -n times --query state").json == "stopped"

    seen = deployed.run("modelport doctor -o json", code=1).json
    problems = [check for check in seen if check["verdict"] == "problem"]
    assert [check["name"] for check in problems] == ["service times"]
    assert "modelport up" in problems[0]["hint"]

    assert deployed.run("modelport up").json == [
        {"workspace": "shop", "service": "times", "state": "running", "error": None}
    ]
    assert deployed.run("""modelport service run -n times -d '{"data": [7]}'""").json == [14]
    assert deployed.run("modelport service show -n times --query port").json == port
    deployed.run("modelport service stop -n times")
    assert deployed.run("modelport up").json == [], "what was stopped on purpose stays stopped"
