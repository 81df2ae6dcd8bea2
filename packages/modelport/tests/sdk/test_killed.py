"""Programs that are killed in the middle of an operation: what they leave is whole, and the next operation works."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from modelport import LocalWebservice, Model, Webservice, Workspace
from modelport.bundles import verify_bundle
from modelport.domain.errors import ConflictException

from .conftest import Deployer

UPDATE_TO_NEWEST = """
from modelport import LocalWebservice, Model, Workspace
ws = Workspace.get("ws")
LocalWebservice(ws, "svc").update(models=[Model(ws, "answer")])
"""

ROUNDS = 12
LONGEST_S = 0.9
"""About how long an operation takes here, the start of its program included."""


def run_and_kill(program: str, after_s: float) -> bool:
    """Start the program and kill it after so long; whether it had ended by itself by then."""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        return False
    return True


def moments(seed: int) -> list[float]:
    """Random moments, spread over the operation."""
    chance = random.Random(seed)
    return [LONGEST_S * (number + chance.random()) / ROUNDS for number in range(ROUNDS)]


def everything_is_whole(ws: Workspace) -> None:
    for model in Model.list(ws):
        assert all(Path(ws.folder / "objects" / f.sha256[:2] / f.sha256).exists() for f in model.record.files)
    for service in ws.webservices.values():
        verify_bundle(ws.context.bundles / service.workspace.context.service(service.name).active.bundle_digest)


@pytest.mark.timeout(180)
def test_an_update_killed_at_any_moment_leaves_a_service_that_answers(deployer: Deployer) -> None:
    service = deployer.deploy()
    service.wait_for_deployment()
    ended = []
    for moment in moments(1):
        deployer.model(f"content of {moment}")
        ended.append(run_and_kill(UPDATE_TO_NEWEST, moment))
        answer = httpx.post(str(service.scoring_uri), content="1", trust_env=False)
        assert answer.status_code == 200, answer.text
    everything_is_whole(deployer.workspace)
    assert not all(ended), "no program was killed: the moments come too late"

    last = deployer.model("the last one")
    _when_free(lambda: service.update(models=[last]))
    assert service.run("1") == {"model": "the last one", "data": 1}
    assert LocalWebservice(deployer.workspace, "svc").revision == service.revision
    kept = {revision.bundle_digest for revision in deployer.workspace.context.service("svc").revisions}
    found = {path.name for path in deployer.workspace.context.bundles.iterdir() if not path.name.startswith(".")}
    assert found == kept
    assert not list(deployer.workspace.context.bundles.glob(".building-*"))


@pytest.mark.timeout(180)
def test_a_deployment_killed_at_any_moment_can_be_done_again(deployer: Deployer) -> None:
    deployer.script()
    deployer.model()
    program = f"""
from modelport import InferenceConfig, Model, Workspace
config = InferenceConfig("score.py", source_directory={str(deployer.source)!r})
Model.deploy(Workspace.get("ws"), "svc", ["answer:1"], config)
"""
    for moment in moments(2):
        run_and_kill(program, moment)
        service = _deployed_again(deployer)
        service.wait_for_deployment()
        assert service.run("1") == {"model": "first", "data": 1}
        everything_is_whole(deployer.workspace)
        service.delete()
    assert not list((deployer.workspace.folder / "services").iterdir())


def _deployed_again(deployer: Deployer) -> Webservice:
    return Model.deploy(deployer.workspace, "svc", ["answer:1"], deployer.config(), overwrite=True)


def _when_free(act: Callable[[], None]) -> None:
    """A switch whose client was killed goes on: wait for it."""
    deadline = time.monotonic() + 60
    while True:
        try:
            act()
        except ConflictException as error:
            if "being updated already" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
