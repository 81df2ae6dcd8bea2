"""What an image holds, as it is to be served: with absolute paths, variables heeded, and its logs on the output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from modelport_scoring.bundle import MANIFEST, BundleInvalid, read_manifest
from modelport_scoring.errors import SettingsInvalid
from modelport_scoring.service_folder import ACCESS_LOG, LOGS, SUPERVISOR_LOG, log_path
from modelport_scoring.settings.checks import MOST_PORT
from modelport_scoring.settings.service import RevisionSettings, ServiceSettings, WorkerStart
from modelport_scoring.settings.telemetry import LogFormat
from modelport_scoring.version import WANTED

HEALTH_PORT = 5000
MOST_DIGITS = 12
"""Of a number in a variable."""

UNLIMITED_MS = 365 * 24 * 3_600_000
"""A year, where a variable says 0: as in v1's images, that is no limit."""

UNBOUNDED_LOG_BYTES = 1 << 50
"""The engine that takes the container's output also bounds it."""

TEXTS = {
    "SERVICE_NAME": "name",
    "SERVICE_VERSION": "version",
    "SERVICE_PATH_PREFIX": "path_prefix",
    "WORKSPACE_NAME": "workspace",
}
OF_MANIFEST = {"AZUREML_ENTRY_SCRIPT": "entry_script", "AZUREML_SOURCE_DIRECTORY": "source_directory"}

HEEDED = (
    "AML_APP_INSIGHTS_ENABLED",
    "AML_APP_ROOT",
    "HEALTH_PORT",
    "SCORING_TIMEOUT_MS",
    "SEPERATE_HEALTH_ENDPOINT",
    "WORKER_COUNT",
    "WORKER_PRELOAD",
    "WORKER_TIMEOUT",
)
"""What else changes settings, below."""

HEEDED_ELSEWHERE = (
    "AML_CORS_ORIGINS",
    "AML_MODEL_DC_STORAGE_ENABLED",
    "AML_SERVER_ROOT",
    "AZUREML_LOG_LEVEL",
    "AZUREML_MODEL_DIR",
    "HOSTNAME",
    WANTED,
)
"""By other parts of the server, by the worker, by the names that scripts import, or by scripts."""

WITHOUT_EFFECT = (
    "AML_APP_INSIGHTS_ENDPOINT",
    "AML_APP_INSIGHTS_KEY",
    "APP_INSIGHTS_LOG_RESPONSE_ENABLED",
    "AZUREML_CONFIG_FILE",
    "AZUREML_DEBUG_PORT",
)
"""Variables of the reference that this server does not look at; the script may."""

VARIABLES = frozenset((*TEXTS, *OF_MANIFEST, *HEEDED, *HEEDED_ELSEWHERE, *WITHOUT_EFFECT))
"""All that v1's server had (azureml-v1 reference, 6.7)."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a package lies, and where its service is to keep its files: the same settings of a target always become the
    same settings of the scoring server."""

    package: Path
    folder: Path
    """The service's, absolute."""
    environ: Mapping[str, str]
    port: int | None = None
    """Instead of the settings' own."""

    def placed(self, settings: ServiceSettings) -> ServiceSettings:
        """The settings with absolute paths, and with what the variables change in them.

        Raises SettingsInvalid, which names the file or the variable.
        """
        default = self._located(settings.revision, app_root=self.environ.get("AML_APP_ROOT") or None)
        texts = {name: self.environ[variable] for variable, name in TEXTS.items() if self.environ.get(variable)}
        placed = msgspec.structs.replace(
            settings,
            revision=default,
            others=[self._located(revision, app_root=None) for revision in settings.others],
            port=settings.port if self.port is None else self.port,
            health_port=health_port(self.environ, settings.health_port),
            **texts,
        )
        if placed.tls is not None:
            certificate, key = (str(self._absolute(path)) for path in (placed.tls.certificate, placed.tls.key))
            placed = msgspec.structs.replace(
                placed, tls=msgspec.structs.replace(placed.tls, certificate=certificate, key=key)
            )
        return _with_telemetry(_with_workers(placed, self.environ), self.environ)

    def make_folder(self) -> None:
        """Make the service's folder, and have its logs be the output of this process. Raises OSError."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.folder / LOGS).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            text = f"{error.strerror}; mount a folder there that user {os.geteuid()} may write to, or name another one"
            raise OSError(error.errno, f"{text} with --folder", str(self.folder)) from error
        if can_be_opened(output := own_output()):
            for log in (SUPERVISOR_LOG, ACCESS_LOG):
                link(self.folder / LOGS / log, output)

    def settled(self, settings: ServiceSettings) -> ServiceSettings:
        """Placed settings as they are written into the service's folder, once what they need lies there.

        Raises OSError.
        """
        manifest = self._changed_manifest(Path(settings.revision.bundle))
        revision = msgspec.structs.replace(settings.revision, bundle=str(manifest))
        limits = settings.limits
        if (self.folder / LOGS / SUPERVISOR_LOG).is_symlink():
            limits = msgspec.structs.replace(limits, log_bytes=UNBOUNDED_LOG_BYTES)
            for each in settings.revisions:
                link(log_path(self.folder, each.number), own_output())
        return msgspec.structs.replace(settings, revision=revision, limits=limits)

    def _located(self, revision: RevisionSettings, *, app_root: str | None) -> RevisionSettings:
        """A command without a slash is looked up on PATH; everything else is a path."""
        command, *arguments = revision.interpreter
        interpreter = str(self._absolute(command)) if "/" in command else command
        root = app_root or revision.app_root
        located = msgspec.structs.replace(
            revision,
            bundle=str(self._absolute(revision.bundle)),
            interpreter=[interpreter, *arguments],
            app_root=None if root is None else str(self._absolute(root)),
        )
        check_files(located)
        return located

    def _absolute(self, path: str) -> Path:
        # normpath, not resolve: behind the links of a virtual environment is a Python without the environment
        return Path(os.path.normpath(self.package.absolute() / path))

    def _changed_manifest(self, bundle: Path) -> Path:
        """The folder of the manifest that counts: a copy where variables name another script."""
        manifest = json.loads((bundle / MANIFEST).read_bytes())
        changes = {key: self.environ[variable] for variable, key in OF_MANIFEST.items() if self.environ.get(variable)}
        if {**manifest, **changes} == manifest:
            return bundle
        copy = self.folder / "bundle"
        copy.mkdir(exist_ok=True)
        (copy / MANIFEST).write_text(json.dumps({**manifest, **changes}), encoding="utf-8")
        return copy


def check_files(revision: RevisionSettings) -> None:
    """Raise SettingsInvalid for a revision whose bundle, interpreter or app root is not there."""
    try:
        read_manifest(Path(revision.bundle))
    except BundleInvalid as error:
        raise SettingsInvalid(f"the bundle of revision {revision.number}: {error}") from error
    interpreter = revision.interpreter[0]
    if "/" in interpreter and not os.access(interpreter, os.X_OK):
        raise SettingsInvalid(f"the interpreter of revision {revision.number}: {interpreter} is no program here")
    if revision.app_root is not None and not Path(revision.app_root).is_dir():
        text = f"the app root of revision {revision.number}: {revision.app_root} is no folder here"
        raise SettingsInvalid(f"{text}; AML_APP_ROOT may name another one than the settings do")


def notes_on(environ: Mapping[str, str]) -> list[str]:
    """What the log should say of the variables."""
    return [f"{name} has no effect on this server" for name in WITHOUT_EFFECT if environ.get(name)]


def health_port(environ: Mapping[str, str], configured: int | None = None) -> int | None:
    """The second port, for probes, where the variables ask for one (their spelling is v1's). Raises SettingsInvalid."""
    if not _is_true(environ, "SEPERATE_HEALTH_ENDPOINT"):
        return configured
    port = _number(environ, "HEALTH_PORT", HEALTH_PORT)
    if port > MOST_PORT:
        raise SettingsInvalid(f"HEALTH_PORT must be at most {MOST_PORT}, not {port}")
    return port


def _with_workers(settings: ServiceSettings, environ: Mapping[str, str]) -> ServiceSettings:
    limits = settings.limits
    workers = _number(environ, "WORKER_COUNT", settings.workers)
    scoring_ms = _number(environ, "SCORING_TIMEOUT_MS", limits.scoring_timeout_ms, least=0) or UNLIMITED_MS
    # gunicorn's: of a worker that says nothing for so many seconds
    scoring_ms = min(scoring_ms, 1000 * _number(environ, "WORKER_TIMEOUT", 0, least=0) or UNLIMITED_MS)
    start = WorkerStart.FORK if _is_true(environ, "WORKER_PRELOAD") else settings.worker_start
    limits = msgspec.structs.replace(limits, scoring_timeout_ms=scoring_ms)
    return msgspec.structs.replace(settings, workers=workers, worker_start=start, limits=limits)


def _with_telemetry(settings: ServiceSettings, environ: Mapping[str, str]) -> ServiceSettings:
    """What v1 sent to Application Insights is written to the container's output, and sent nowhere."""
    if not _is_true(environ, "AML_APP_INSIGHTS_ENABLED"):
        return settings
    telemetry = msgspec.structs.replace(settings.telemetry, access_log=True, access_log_format=LogFormat.JSON)
    return msgspec.structs.replace(settings, telemetry=telemetry)


def _number(environ: Mapping[str, str], variable: str, default: int, *, least: int = 1) -> int:
    given = environ.get(variable, "").strip()
    if not given:
        return default
    if not given.isdecimal() or len(given) > MOST_DIGITS or int(given) < least:
        raise SettingsInvalid(f"{variable} must be a whole number of at least {least}, not {given!r}")
    return int(given)


def _is_true(environ: Mapping[str, str], variable: str) -> bool:
    return environ.get(variable, "").strip().lower() in ("1", "true", "yes")


def own_output() -> Path:
    """The file that is this process's standard output, as others can open it."""
    return Path(f"/proc/{os.getpid()}/fd/{sys.__stdout__.fileno() if sys.__stdout__ is not None else 1}")


def can_be_opened(output: Path) -> bool:
    """Whether that can be opened a second time: a socket, for example, cannot. Then the logs are files."""
    try:
        os.close(os.open(output, os.O_WRONLY | os.O_APPEND))
    except OSError:
        return False
    return True


def link(log: Path, output: Path) -> None:
    """Have the log be that output. Raises OSError."""
    if not log.is_symlink() or log.readlink() != output:
        log.unlink(missing_ok=True)
        log.symlink_to(output)
