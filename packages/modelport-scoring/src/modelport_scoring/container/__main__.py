"""``python -m modelport_scoring.container``: serve what an image holds, as the first process of a container.

The package's folder, ``/var/azureml-server`` in an image, holds ``service.json`` and ``bundle.json``. A target gives a
file of its own in the place of the first (``--settings``), and what changes in it is taken over without a restart.
Paths in either are relative to the package's folder. The variables of the azureml-v1 reference, 6.7, change the
image's own settings.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from modelport_scoring.container.last_word import leave_last_word
from modelport_scoring.container.packaged import Placement, notes_on
from modelport_scoring.container.report import Report, Reporter
from modelport_scoring.container.settings_file import SettingsFile, read_content
from modelport_scoring.control.client import ControlClient
from modelport_scoring.errors import ServiceAlreadyRunning, ServiceNotRunning, SettingsInvalid
from modelport_scoring.processes.exit_statuses import STATUS_FAILED
from modelport_scoring.service_folder import SETTINGS, decode_settings, keep_failure, read_failure, write_settings
from modelport_scoring.sockets.handover import Handover
from modelport_scoring.sockets.meeting import HandoverFailed
from modelport_scoring.states import ServiceState
from modelport_scoring.supervision.supervisor import supervise

PACKAGE = "/var/azureml-server"


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until the process is told to stop; returns its exit status: 0 after that, 3 where the script cannot be
    started, 1 where nothing can be served. With ``--check``: 0 where that what serves takes requests, else 1."""
    arguments = _arguments(argv)
    if arguments.check:
        return 0 if takes_requests(arguments.folder) else STATUS_FAILED
    try:
        return serve(arguments)
    except (SettingsInvalid, ServiceAlreadyRunning, HandoverFailed, OSError) as error:
        text = f"The package cannot be served: {error}"
        sys.stderr.write(f"{text}\n")
        leave_last_word(text)
        return STATUS_FAILED


def serve(arguments: argparse.Namespace) -> int:
    """Raises SettingsInvalid, ServiceAlreadyRunning and OSError."""
    # A target says all in its file: the variables of an image would undo it.
    environ = os.environ if arguments.settings is None else {}
    placement = Placement(
        package=arguments.package, folder=arguments.folder.absolute(), environ=environ, port=arguments.port
    )
    file = (arguments.settings or arguments.package / SETTINGS).absolute()
    content = read_content(file)
    settings = placement.placed(decode_settings(content, path=file))
    placement.make_folder()
    keep_failure(placement.folder)
    write_settings(placement.folder, placement.settled(settings))
    for note in notes_on(environ):
        print(note, flush=True)  # noqa: T201 - the output of a container is its log
    beside = []
    handover = None if arguments.handover is None else Handover(arguments.handover)
    if arguments.settings is not None:
        given = SettingsFile(file, taken=content, placement=placement)
        beside = [given.watch, Reporter(placement.folder, look=lambda: _report(given, handover)).watch]
    status = supervise(placement.folder, beside=beside, handover=handover, lingers=True)
    failure = read_failure(placement.folder) if status else None
    if failure is not None:
        leave_last_word(failure)
    return status


def _report(given: SettingsFile, handover: Handover | None) -> Report:
    accepts = handover is None or not (handover.waits or handover.taken)
    return Report(accepts=accepts, settings=given.in_force, refusal=given.refusal)


def takes_requests(folder: Path) -> bool:
    """Whether the service of the folder runs, and at least one worker is ready."""
    try:
        return ControlClient(folder).status().state is ServiceState.RUNNING
    except ServiceNotRunning:
        return False


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m modelport_scoring.container", description=__doc__.split("\n")[0])
    parser.add_argument("--package", type=Path, default=Path(PACKAGE), help=f"folder of the package ({PACKAGE})")
    parser.add_argument(
        "--settings",
        type=Path,
        help="a service.json in the place of the package's own; it is watched, and changes are taken over",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "modelport-service",
        help="where the service keeps its files while it runs (modelport-service in the folder for temporary files)",
    )
    parser.add_argument("--port", type=int, help="instead of the settings' own, which is 5001 in an image")
    parser.add_argument(
        "--handover",
        type=Path,
        metavar="FOLDER",
        help="once ready, take the listening socket over from what serves there, and hand it to the next",
    )
    parser.add_argument("--check", action="store_true", help="do not serve: tell by the exit status whether it does")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
