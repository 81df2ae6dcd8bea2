"""What settings may not be, beyond what their types rule out. Every error names the file and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from modelport_scoring.errors import SettingsInvalid
from modelport_scoring.settings.json_files import check_format
from modelport_scoring.settings.origins import OriginInvalid, check_origins
from modelport_scoring.settings.service import (
    FORMAT,
    LONGEST_WAIT_MS,
    MOST_PROCESSES,
    MOST_TOGETHER,
    AuthSettings,
    Autoscale,
    Batching,
    Limits,
    RevisionSettings,
    ServiceSettings,
    limits_of,
)
from modelport_scoring.settings.share import DIVIDED
from modelport_scoring.settings.size import size_of
from modelport_scoring.settings.telemetry import check_telemetry
from modelport_scoring.settings.traffic import check_traffic

DIGEST_LENGTH = 64
LEAST = {"max_header_bytes": 1000, "log_bytes": 1000, "idle_timeout_s": 0.01, "request_timeout_s": 0.01}
"""Of those that no request or log could keep otherwise: a head with a key has some hundred bytes, and deadlines are
looked at every 20 ms."""

MOST_PORT = 0xFFFF

MOST_WORKERS = 1000
"""Each is a process, with a socket of the scoring server's: more is a slip of the pen on one machine."""

MOST = 2**53
"""Of numbers and sizes: up to here all that read JSON read the same whole numbers."""

MOST_S = 10**10
"""Of times, three centuries: the clocks of the event loop end beyond."""


def check_settings(settings: ServiceSettings, *, path: Path) -> None:
    """Raise SettingsInvalid for what the types alone do not rule out."""
    check_format(settings, FORMAT, path=path)
    check_revisions(settings, path=path)
    check_workers(settings.workers, settings.autoscale, path=path)
    check_processes(settings, path=path)
    check_ports(settings, path=path)
    if settings.batching is not None:
        check_batching(settings.batching, path=path)
    check_auth(settings.auth, path=path)
    if (wrong := check_telemetry(settings.telemetry)) is not None:
        raise SettingsInvalid(f"{path}: {wrong}")
    check_limits(settings.limits, path=path)
    try:
        check_origins(settings.cors_origins)
    except OriginInvalid as error:
        raise SettingsInvalid(f"{path}: cors_origins: {error}") from error


def check_ports(settings: ServiceSettings, *, path: Path) -> None:
    """Raise SettingsInvalid for numbers that no port has, which the system may take modulo 65536, and for one number
    that is to be two ports."""
    if not 0 <= settings.port <= MOST_PORT:
        raise SettingsInvalid(f"{path}: port {settings.port} is not between 0 and {MOST_PORT}")
    if settings.health_port is None:
        return
    if not 1 <= settings.health_port <= MOST_PORT:
        raise SettingsInvalid(f"{path}: health_port {settings.health_port} is not between 1 and {MOST_PORT}")
    if settings.health_port == settings.port:
        raise SettingsInvalid(
            f"{path}: health_port is {settings.port}, as port is: leave it out, or choose another one"
        )


def check_revisions(settings: ServiceSettings, *, path: Path) -> None:
    """Raise SettingsInvalid for revisions that cannot run, or traffic that they cannot have."""
    if not settings.revision.interpreter:
        raise SettingsInvalid(f"{path}: revision.interpreter is empty")
    for revision in settings.others:
        if not revision.interpreter:
            raise SettingsInvalid(f"{path}: the interpreter of revision {revision.number} is empty")
    for revision in (settings.revision, *settings.others):
        where = f"revision {revision.number}: "
        check_workers(revision.workers, revision.autoscale, path=path, where=where)
        if revision.limits:
            check_limits_of(settings, revision, path=path)
    try:
        others = [revision.number for revision in settings.others]
        check_traffic(settings.traffic, default=settings.revision.number, others=others)
    except ValueError as error:
        raise SettingsInvalid(f"{path}: {error}") from error


def check_processes(settings: ServiceSettings, *, path: Path) -> None:
    """Raise SettingsInvalid for more server processes than what they share can be divided among."""
    processes = settings.server_processes
    if not 1 <= processes <= MOST_PROCESSES:
        raise SettingsInvalid(f"{path}: server_processes must be between 1 and {MOST_PROCESSES}, not {processes}")
    divided = {f"limits.{name}": getattr(settings.limits, name) for name in DIVIDED}
    for revision in settings.revisions:
        size, where = size_of(settings, revision), f"for revision {revision.number}"
        divided[f"workers ({where})"] = size.workers if size.autoscale is None else size.autoscale.min_workers
        limits = limits_of(settings, revision)
        divided |= {f"limits.{name} ({where})": getattr(limits, name) for name in DIVIDED}
    for name, value in divided.items():
        if value < processes:
            text = f"{name} must be at least server_processes, which is {processes}, not {value}: each has its part"
            raise SettingsInvalid(f"{path}: {text}")


def check_workers(workers: int | None, autoscale: Autoscale | None, *, path: Path, where: str = "") -> None:
    """Raise SettingsInvalid for a number of workers that cannot be, or bounds of it."""
    if workers is not None and workers < 1:
        raise SettingsInvalid(f"{path}: {where}workers must be at least 1, not {workers}")
    if workers is not None and workers > MOST_WORKERS:
        raise SettingsInvalid(f"{path}: {where}workers must be at most {MOST_WORKERS}, not {workers}")
    if autoscale is None:
        return
    least, most = autoscale.min_workers, autoscale.max_workers
    if least < 1:
        raise SettingsInvalid(f"{path}: {where}autoscale.min_workers must be at least 1, not {least}")
    if most < least:
        text = f"autoscale.max_workers must be at least autoscale.min_workers, which is {least}, not {most}"
        raise SettingsInvalid(f"{path}: {where}{text}")
    if most > MOST_WORKERS:
        raise SettingsInvalid(f"{path}: {where}autoscale.max_workers must be at most {MOST_WORKERS}, not {most}")
    for name in ("target_utilization", "refresh_s", "calm_s"):
        value = getattr(autoscale, name)
        if value <= 0:
            raise SettingsInvalid(f"{path}: {where}autoscale.{name} must be above 0, not {value}")


def raise_limits(settings: ServiceSettings) -> tuple[ServiceSettings, list[str]]:
    """The settings with no limit below its least, and a sentence for each that was. They may have been written before
    there was one, and the service is to start all the same; who changes them is told by ``check_settings``."""
    notes: list[str] = []
    own = msgspec.structs.asdict(settings.limits)
    raised = _raised(own, where="", notes=notes)
    revision, *others = (
        msgspec.structs.replace(each, limits=_raised(each.limits, where=f"revision {each.number}: ", notes=notes))
        for each in (settings.revision, *settings.others)
    )
    if not notes:
        return settings, []
    return msgspec.structs.replace(settings, limits=Limits(**raised), revision=revision, others=others), notes


def _raised(limits: Mapping[str, Any], *, where: str, notes: list[str]) -> dict[str, Any]:
    raised = dict(limits)
    for name, least in LEAST.items():
        value = limits.get(name)
        if isinstance(value, int | float) and 0 < value < least:
            notes.append(
                f"{where}limits.{name} is {value:g}, below its least: {least} is in force. Set it, or leave it out"
            )
            raised[name] = least
    return raised


def check_limits(limits: Limits, *, path: Path, where: str = "") -> None:
    """Raise SettingsInvalid for a limit that nothing could keep."""
    for name, value in msgspec.structs.asdict(limits).items():
        limit = f"{path}: {where}limits.{name}"
        if not value > 0:  # it may be NaN
            raise SettingsInvalid(f"{limit} must be above 0, not {value}")
        least, most = LEAST.get(name, 0), most_of(name)
        if value < least:
            raise SettingsInvalid(f"{limit} must be at least {least}, not {value}")
        if value > most:
            raise SettingsInvalid(f"{limit} must be at most {most}; leave it out for its default")


def most_of(name: str) -> int:
    """The largest value of that limit."""
    return 1000 * MOST_S if name.endswith("_ms") else MOST_S if name.endswith("_s") else MOST


def check_limits_of(settings: ServiceSettings, revision: RevisionSettings, *, path: Path) -> None:
    """Raise SettingsInvalid for limits that a revision cannot have."""
    where = f"revision {revision.number}: "
    try:
        limits = limits_of(settings, revision)
    except msgspec.ValidationError as error:
        raise SettingsInvalid(f"{path}: {where}limits: {error}") from error
    check_limits(limits, path=path, where=where)


def check_batching(batching: Batching, *, path: Path) -> None:
    """Raise SettingsInvalid for a batch of no size, or of no end."""
    if not 2 <= batching.max_requests <= MOST_TOGETHER:
        text = f"batching.max_requests must be between 2 and {MOST_TOGETHER}, not {batching.max_requests}"
        raise SettingsInvalid(f"{path}: {text}")
    if not 0 <= batching.max_wait_ms <= LONGEST_WAIT_MS:
        text = f"batching.max_wait_ms must be between 0 and {LONGEST_WAIT_MS}, not {batching.max_wait_ms}"
        raise SettingsInvalid(f"{path}: {text}")


def check_auth(auth: AuthSettings, *, path: Path) -> None:
    """Raise SettingsInvalid for settings that would let nobody in, or that ask for two kinds of credential."""
    if auth.enabled and auth.token is not None:
        raise SettingsInvalid(f"{path}: auth asks for keys and for tokens; a service asks for one of them")
    if auth.enabled and not auth.key_digests:
        raise SettingsInvalid(f"{path}: auth is enabled, but there is no key digest")
    if not all(is_digest(digest) for digest in auth.key_digests):
        raise SettingsInvalid(f"{path}: auth.key_digests must hold SHA-256 digests in hexadecimal")
    if auth.token is None:
        return
    if not (auth.token.issuer and auth.token.audience and auth.token.keys):
        raise SettingsInvalid(f"{path}: auth.token needs an issuer, an audience and a public key")
    if len({key.kid for key in auth.token.keys}) < len(auth.token.keys):
        raise SettingsInvalid(f"{path}: two keys of auth.token have the same kid")


def is_digest(text: str) -> bool:
    """Whether the text is a SHA-256 digest in lower-case hexadecimal."""
    return len(text) == DIGEST_LENGTH and all(character in "0123456789abcdef" for character in text)
