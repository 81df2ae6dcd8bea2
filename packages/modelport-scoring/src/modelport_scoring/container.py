"""``python -m modelport_scoring.container``: serve what an image holds, as the first process of a container.

The package's folder, ``/var/azureml-server`` in an image, holds ``service.json`` and ``bundle.json``. Paths in the
first are relative to that folder. The variables of the azureml-v1 reference, 6.7, change settings when it starts.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from modelport_scoring.bundle import MANIFEST
from modelport_scoring.control.client import ControlClient
from modelport_scoring.errors import ServiceAlreadyRunning, ServiceNotRunning, SettingsInvalid
from modelport_scoring.service_folder import (
    ACCESS_LOG,
    LOGS,
    SUPERVISOR_LOG,
    log_path,
    read_settings,
    write_settings,
)
from modelport_scoring.settings import RevisionSettings, ServiceSettings, WorkerStart
from modelport_scoring.states import ServiceState
from modelport_scoring.supervisor import STATUS_FAILED, supervise
from modelport_scoring.telemetry.settings import LogFormat

PACKAGE = "/var/azureml-server"

UNBOUNDED_LOG_BYTES = 1 << 50
"""The engine that takes the container's output also bounds it."""

TEXTS = {
    "SERVICE_NAME": "name",
    "SERVICE_VERSION": "version",
    "SERVICE_PATH_PREFIX": "path_prefix",
    "WORKSPACE_NAME": "workspace",
}
OF_MANIFEST = {"AZUREML_ENTRY_SCRIPT": "entry_script", "AZUREML_SOURCE_DIRECTORY": "source_directory"}

WITHOUT_EFFECT = (
    "AML_APP_INSIGHTS_ENDPOINT",
    "AML_APP_INSIGHTS_KEY",
    "APP_INSIGHTS_LOG_RESPONSE_ENABLED",
    "AZUREML_CONFIG_FILE",
    "AZUREML_DEBUG_PORT",
    "AZUREML_LOG_LEVEL",
    "HEALTH_PORT",
    "SEPERATE_HEALTH_ENDPOINT",
)
"""Variables of the reference that this server does not look at; the script may."""


@dataclass(frozen=True)
class Packaged:
    """What is to be served, and what the log should say of the variables."""

    settings: ServiceSettings
    notes: Sequence[str] = field(default=())


def packaged(package: Path, environ: Mapping[str, str]) -> Packaged:
    """The settings of the package, its paths made absolute, and what the variables change in them.

    Raises SettingsInvalid, which names the file or the variable.
    """
    settings = read_settings(package)
    revision = _located(settings.revision, package, app_root=environ.get("AML_APP_ROOT") or None)
    texts = {name: environ[variable] for variable, name in TEXTS.items() if environ.get(variable)}
    settings = msgspec.structs.replace(settings, revision=revision, **texts)
    unused = [name for name in WITHOUT_EFFECT if environ.get(name)]
    notes = [f"{name} has no effect on this server" for name in unused]
    return Packaged(_with_telemetry(_with_workers(settings, environ), environ), notes)


def _located(revision: RevisionSettings, package: Path, *, app_root: str | None) -> RevisionSettings:
    """A command without a slash is looked up on PATH; everything else is a path."""
    command, *arguments = revision.interpreter
    interpreter = str(_absolute(package, command)) if "/" in command else command
    root = app_root or revision.app_root
    return msgspec.structs.replace(
        revision,
        bundle=str(_absolute(package, revision.bundle)),
        interpreter=[interpreter, *arguments],
        app_root=None if root is None else str(_absolute(package, root)),
    )


def _absolute(package: Path, path: str) -> Path:
    # normpath, not resolve: behind the links of a virtual environment is a Python without the environment
    return Path(os.path.normpath(package.absolute() / path))


def _with_workers(settings: ServiceSettings, environ: Mapping[str, str]) -> ServiceSettings:
    limits = settings.limits
    workers = _number(environ, "WORKER_COUNT", settings.workers)
    scoring_ms = _number(environ, "SCORING_TIMEOUT_MS", limits.scoring_timeout_ms)
    if environ.get("WORKER_TIMEOUT"):  # gunicorn's: of a worker that says nothing for so many seconds
        scoring_ms = min(scoring_ms, 1000 * _number(environ, "WORKER_TIMEOUT", 0))
    start = WorkerStart.FORK if _is_true(environ, "WORKER_PRELOAD") else settings.worker_start
    limits = msgspec.structs.replace(limits, scoring_timeout_ms=scoring_ms)
    return msgspec.structs.replace(settings, workers=workers, worker_start=start, limits=limits)


def _with_telemetry(settings: ServiceSettings, environ: Mapping[str, str]) -> ServiceSettings:
    """What v1 sent to Application Insights is written to the container's output, and sent nowhere."""
    if not _is_true(environ, "AML_APP_INSIGHTS_ENABLED"):
        return settings
    telemetry = msgspec.structs.replace(settings.telemetry, access_log=True, access_log_format=LogFormat.JSON)
    return msgspec.structs.replace(settings, telemetry=telemetry)


def _number(environ: Mapping[str, str], variable: str, default: int) -> int:
    given = environ.get(variable)
    if not given:
        return default
    if not given.isdecimal() or int(given) < 1:
        raise SettingsInvalid(f"{variable} must be a whole number of at least 1, not {given!r}")
    return int(given)


def _is_true(environ: Mapping[str, str], variable: str) -> bool:
    return environ.get(variable, "").strip().lower() in ("1", "true", "yes")


def prepare_folder(folder: Path, packaged: Packaged, environ: Mapping[str, str]) -> None:
    """Write the settings into the service's folder, and have its logs be the output of this process. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = packaged.settings
    bundle = _changed_manifest(folder, Path(settings.revision.bundle), environ)
    revision = msgspec.structs.replace(settings.revision, bundle=str(bundle))
    limits = settings.limits
    if _send_logs_to_output(folder, revision.number):
        limits = msgspec.structs.replace(limits, log_bytes=UNBOUNDED_LOG_BYTES)
    write_settings(folder, msgspec.structs.replace(settings, revision=revision, limits=limits))


def _changed_manifest(folder: Path, bundle: Path, environ: Mapping[str, str]) -> Path:
    """The folder of the manifest that counts: a copy where variables name another script."""
    manifest = json.loads((bundle / MANIFEST).read_bytes())
    changes = {key: environ[variable] for variable, key in OF_MANIFEST.items() if environ.get(variable)}
    if {**manifest, **changes} == manifest:
        return bundle
    copy = folder / "bundle"
    copy.mkdir(exist_ok=True)
    (copy / MANIFEST).write_text(json.dumps({**manifest, **changes}), encoding="utf-8")
    return copy


def _send_logs_to_output(folder: Path, revision: int) -> bool:
    """Whether that is possible: a socket, for example, cannot be opened a second time. Then the logs are files."""
    output = Path(f"/proc/{os.getpid()}/fd/{sys.__stdout__.fileno() if sys.__stdout__ is not None else 1}")
    try:
        os.close(os.open(output, os.O_WRONLY | os.O_APPEND))
    except OSError:
        return False
    logs = [folder / LOGS / SUPERVISOR_LOG, folder / LOGS / ACCESS_LOG, log_path(folder, revision)]
    (folder / LOGS).mkdir(mode=0o700, exist_ok=True)
    for log in logs:
        log.unlink(missing_ok=True)
        log.symlink_to(output)
    return True


def main() -> int:
    """Serve until the process is told to stop; returns its exit status: 0 after that, 3 where the script cannot be
    started, 1 where nothing can be served. With ``--check``: 0 where that what serves takes requests, else 1."""
    arguments = _arguments()
    if arguments.check:
        return 0 if takes_requests(arguments.folder) else STATUS_FAILED
    try:
        found = packaged(arguments.package, os.environ)
        if arguments.port is not None:
            found = Packaged(msgspec.structs.replace(found.settings, port=arguments.port), found.notes)
        prepare_folder(arguments.folder, found, os.environ)
        for note in found.notes:
            print(note, flush=True)  # noqa: T201 - the output of a container is its log
        return supervise(arguments.folder)
    except (SettingsInvalid, ServiceAlreadyRunning, OSError) as error:
        sys.stderr.write(f"The package cannot be served: {error}\n")
        return STATUS_FAILED


def takes_requests(folder: Path) -> bool:
    """Whether the service of the folder runs, and at least one worker is ready."""
    try:
        return ControlClient(folder).status().state is ServiceState.RUNNING
    except ServiceNotRunning:
        return False


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m modelport_scoring.container", description=__doc__.split("\n")[0])
    parser.add_argument("--package", type=Path, default=Path(PACKAGE), help=f"folder of the package ({PACKAGE})")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "modelport-service",
        help="where the service keeps its files while it runs (modelport-service in the folder for temporary files)",
    )
    parser.add_argument("--port", type=int, help="instead of the package's own, which is 5001")
    parser.add_argument("--check", action="store_true", help="do not serve: tell by the exit status whether it does")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
