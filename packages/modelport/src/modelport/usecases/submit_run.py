"""Submit a script as a run: write down what it is to do, and start its driver, a process of its own."""

from __future__ import annotations

import atexit
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from azureml._runs import ownership, statuses
from azureml._runs.folder import RunFolder
from azureml._runs.making import make_child, make_run
from modelport.domain.errors import StoreException
from modelport.usecases.context import Context
from modelport.usecases.submission import Submission

TYPE = "azureml.scriptrun"

_CLIENT = "client.json"
_OF_THE_CLIENT = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"""Variables that the script's environment may lack, and the client's own programs need as they are here."""

_drivers: list[subprocess.Popen[bytes]] = []
"""Drivers that this process started: kept so that those that end meanwhile leave no zombie."""


def submit_run(
    context: Context,
    experiment: str,
    submission: Submission,
    *,
    target: str,
    parent: RunFolder | None = None,
    **described: Any,
) -> RunFolder:
    """Make the run and start its driver; returns at once. ``described``: what ``run.json`` says of it from the start.

    Raises StoreException where the folder cannot be written.
    """
    run_id = f"{experiment}_{int(time.time())}_{secrets.token_hex(4)}"
    content = {"type": TYPE, "is_submitted": True, "target": target, "warnings": list(submission.notes), **described}
    try:
        if parent is None:
            run = make_run(str(context.folder), experiment, run_id=run_id, owned=True, **content)
        else:
            run = make_child(parent, status=statuses.NOT_STARTED, run_id=run_id, owned=True, root=run_id, **content)
        submission.write(Path(run.path))
        _write_client(context, Path(run.path))
        _start_driver(run, environ={**os.environ, "MODELPORT_HOME": str(context.folder.parent.parent)})
    except OSError as error:
        raise StoreException(
            f"The run cannot be started in {context.folder}: {error}.",
            hint="Free some space, or set MODELPORT_HOME to a folder that can be written.",
        ) from error
    return run


def _write_client(context: Context, folder: Path) -> None:
    """How the script reaches the workspace, whatever its Python is (azureml/_access.py)."""
    record = context.record
    content = {
        "workspace": {
            "name": record.name,
            "subscription_id": record.subscription_id,
            "resource_group": record.resource_group or "local",
            "location": record.location,
        },
        "command": [sys.executable, "-P", "-m", "modelport.sdk.access_program"],
        "environment": {
            **{name: os.environ.get(name) for name in _OF_THE_CLIENT},
            "MODELPORT_HOME": str(context.folder.parent.parent),
        },
    }
    (folder / _CLIENT).write_text(json.dumps(content, indent=1), encoding="utf-8")


def _start_driver(run: RunFolder, *, environ: Mapping[str, str]) -> None:
    """In a session of its own: it outlives us, and a Ctrl-C here does not reach it. The lock goes over to it."""
    assert run.lock is not None
    if not _drivers:
        atexit.register(_look_after_drivers)
    _look_after_drivers()
    command = [sys.executable, "-P", "-m", "modelport.sdk.runs.driver", run.path, str(run.lock)]
    with (Path(run.path) / "driver.log").open("ab") as log:
        driver = subprocess.Popen(
            command,
            cwd=run.path,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[run.lock],
        )
    ownership.sign(run.lock, driver.pid)
    os.close(run.lock)
    run.lock = None
    _drivers.append(driver)


def _look_after_drivers() -> None:
    """Take note of those that have ended."""
    _drivers[:] = [driver for driver in _drivers if driver.poll() is None]
