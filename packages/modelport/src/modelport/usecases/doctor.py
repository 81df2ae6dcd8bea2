"""What on this machine would stop a deployment: a list of checks, each with one thing to try."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import resource
import shlex
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from modelport.domain.errors import ModelportError
from modelport.domain.services import DesiredState, Service, ServiceFilter, ServiceState
from modelport.environments.index_settings import uv_options
from modelport.environments.interpreters import PYTHONS, installed_versions
from modelport.environments.uv import run_uv, uv_environment, without_credentials
from modelport.targets.serving.ports import check_address
from modelport.usecases.checks import Check, ok, problem, warning
from modelport.usecases.context import Context
from modelport.usecases.doctor_places import clusters, engines

DEFAULT_PORT = 8890
_OLDEST_PYTHON = (3, 11)
_LITTLE_DISK, _TOO_LITTLE_DISK = 2 * 1024**3, 200 * 1024**2
_FEW_FILES, _TOO_FEW_FILES = 4352, 256
"""Open files: a scoring server takes 4096 connections unless told otherwise, and needs some more for itself."""
_INDEX_TIMEOUT_S = 5
_RUNS = (ServiceState.RUNNING, ServiceState.DEPLOYING)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What is looked at: the home folder and how to open each workspace in it."""

    home: Path
    workspaces: Mapping[str, Callable[[], Context]]


def examine(machine: Machine) -> Iterator[Check]:
    """Look at everything, one check after the other; a check that fails never stops the next."""
    yield _python()
    yield from _home(machine.home)
    yield from _uv(machine.home / PYTHONS)
    yield _index()
    yield _open_files()
    opened = []
    for name, open_workspace in machine.workspaces.items():
        check, context = _workspace(name, open_workspace)
        yield check
        if context is not None:
            opened.append(context)
            yield from _services(context)
            yield from _strays(context)
            yield from _operations(context)
            yield from clusters(context)
    yield from engines(opened)
    yield _port(opened)
    for context in opened:
        context.registry.close()


# --- the machine ------------------------------------------------------------------------------------------------------


def _python() -> Check:
    finding = f"Python {platform.python_version()} ({sys.executable})"
    if sys.version_info >= _OLDEST_PYTHON:
        return ok("python", finding)
    return problem("python", finding, "Install Modelport with Python 3.11 or newer.")


def _home(home: Path) -> Iterator[Check]:
    # not exists(), which raises where it may not look: there, the parent is what nothing can be written into
    place = next(folder for folder in (home, *home.parents) if os.access(folder, os.F_OK))
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".modelport-doctor-"):
            pass
    except OSError as error:
        hint = "Set MODELPORT_HOME to a folder that can be written, or free some space."
        yield problem("home", f"Nothing can be written into {place}: {error.strerror}", hint)
        return
    yield _open_to_all(home) or ok("home", f"{home} can be written")
    yield _disk(place)


def _open_to_all(home: Path) -> Check | None:
    if not home.exists() or not home.stat().st_mode & stat.S_IWOTH:
        return None
    hint = f"Unless that is meant: chmod o-w {shlex.quote(str(home))}"
    return warning("home", f"Everybody can write into {home}, and so run code as who deploys from it", hint)


def _disk(place: Path) -> Check:
    free = shutil.disk_usage(place).free
    finding = f"{free / 1024**3:.1f} GiB are free in {place}"
    hint = "Free some space, or set MODELPORT_HOME to a folder on another disk."
    if free < _TOO_LITTLE_DISK:
        return problem("disk", finding, hint)
    return warning("disk", finding, hint) if free < _LITTLE_DISK else ok("disk", finding)


def _uv(pythons_folder: Path) -> Iterator[Check]:
    try:
        version = run_uv("--version", cwd=Path(sys.base_exec_prefix), indexes=False).output.strip()
        pythons = installed_versions(pythons_folder)
    except (ModelportError, OSError) as error:
        yield problem("uv", f"uv cannot be run: {error}", "Install Modelport anew: the package 'uv' is part of it.")
        return
    yield ok("uv", f"{version} ({find_uv_bin()})")
    if pythons:
        yield ok("pythons", f"Environments can have Python {', '.join(pythons)}")
    else:
        hint = "Install one that is found on PATH, or run: modelport environment install-python 3.11"
        yield warning("pythons", "No Python for environments was found", hint)


def _index() -> Check:
    if uv_options(os.environ):
        return ok("index", "No package index is used, as the pip configuration says (no-index)")
    # the installer itself asks: what counts is that it gets through, with its proxies, certificates and credentials
    command = [find_uv_bin(), "pip", "compile", "-", "--no-deps", "--quiet", "--no-cache", "--python", sys.executable]
    environ = {**uv_environment(), "UV_HTTP_TIMEOUT": str(_INDEX_TIMEOUT_S), "UV_HTTP_RETRIES": "0"}
    try:
        asked = subprocess.run(
            command, input="pip\n", env=environ, capture_output=True, text=True, timeout=2 * _INDEX_TIMEOUT_S
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        return _index_problem(str(error) if isinstance(error, OSError) else "it did not answer in time")
    if asked.returncode == 0 or "not found in the package registry" in asked.stderr:
        return ok("index", "The package index answers")
    return _index_problem(without_credentials(" ".join(asked.stderr.split())))


def _index_problem(said: str) -> Check:
    hint = "Look at pip's and uv's settings (index URL, proxy, certificates). Without an index, deployments can use "
    return warning(
        "index", f"The package index cannot be reached: {said}", hint + "the environments that are built already."
    )


def _open_files() -> Check:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)  # the scoring server raises its own limit to the hard one
    unlimited = most == resource.RLIM_INFINITY
    finding = "A process may open any number of files" if unlimited else f"A process may open {most} files"
    if unlimited or most >= _FEW_FILES:
        return ok("open files", finding)
    hint = "Raise the hard limit (ulimit -Hn, limits.conf or the service manager's setting) before deploying."
    if most < _TOO_FEW_FILES:
        return problem("open files", finding, hint)
    return warning("open files", f"{finding}: about {most - _TOO_FEW_FILES} clients at once can be served", hint)


def _port(opened: list[Context]) -> Check:
    for context in opened:
        for service in context.registry.services(ServiceFilter()):
            if service.port == DEFAULT_PORT and _state(context, service)[0] in _RUNS:
                return ok("port", f"Port {DEFAULT_PORT} has the service {service.name!r} of {context.record.name!r}")
    try:
        check_address("127.0.0.1", DEFAULT_PORT)
    except ModelportError as error:
        return warning("port", error.message, "Deploy on another port: --port, or none to get a free one.")
    return ok("port", f"Port {DEFAULT_PORT} is free")


# --- the workspaces ---------------------------------------------------------------------------------------------------


def _workspace(name: str, open_workspace: Callable[[], Context]) -> tuple[Check, Context | None]:
    label = f"workspace {name}"
    try:
        context = open_workspace()
        damage = _damage(context.folder / "workspace.db")
        if damage:
            hint = "Stop what uses it, keep a copy, and restore the file from a backup."
            return problem(label, f"Its database is damaged: {damage}", hint), None
        count = len(context.registry.services(ServiceFilter()))
    except ModelportError as error:
        return problem(label, error.message, error.hint), None
    return ok(label, f"{context.folder} opens, its database is sound, {count} services"), context


def _damage(database: Path) -> str:
    """What SQLite finds wrong in the file; nothing where it is sound, or where the database is elsewhere."""
    if not database.is_file():
        return ""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)) as connection:
            lines = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
    except sqlite3.Error as error:
        return str(error)
    return "" if lines == ["ok"] else "; ".join(lines)


def _state(context: Context, service: Service) -> tuple[ServiceState, ModelportError | None]:
    """How it is; why that is not known, where its target does not say."""
    try:
        return context.target(service).observe(service).state, None
    except ModelportError as error:
        return ServiceState.UNKNOWN, error


def _services(context: Context) -> Iterator[Check]:
    for service in context.registry.services(ServiceFilter()):
        label = f"service {service.name}"
        state, error = _state(context, service)
        finding = f"{service.name!r} of the workspace {context.record.name!r} is {state}"
        if error is not None:
            yield problem(label, f"{finding}: {error.message}", error.hint or _to_run_again(context, service, state))
        elif service.desired_state is DesiredState.STOPPED:
            yield (
                ok(label, f"{finding}, as it should be")
                if state not in _RUNS
                else warning(
                    label,
                    f"{finding} and should be stopped",
                    f"modelport service stop -w {context.record.name} -n {service.name}",
                )
            )
        elif state in _RUNS:
            yield ok(label, finding)
        else:
            yield problem(label, f"{finding} and should run", _to_run_again(context, service, state))


def _to_run_again(context: Context, service: Service, state: ServiceState) -> str:
    where = f"-w {context.record.name}"
    if state is ServiceState.STOPPED:
        return f"modelport up {where}"
    return f"See why: modelport service get-logs {where} -n {service.name}"


def _strays(context: Context) -> Iterator[Check]:
    """Service folders that the workspace does not know, and whose supervisor lives."""
    known = {service.name for service in context.registry.services(ServiceFilter())}
    for lock in sorted((context.folder / "services").glob("*/service.lock")):
        if lock.parent.name not in known and _is_locked(lock):
            holder = lock.read_text().strip()
            yield warning(
                f"stray {lock.parent.name}",
                f"A service runs in {lock.parent} that the workspace does not know (process {holder})",
                f"End it: kill {holder}",
            )


def _operations(context: Context) -> Iterator[Check]:
    for lock in sorted((context.folder / "operations").glob("*.lock")):
        if _is_locked(lock):
            yield warning(
                f"operation {lock.stem}",
                f"A program is changing the service {lock.stem!r} at this moment",
                "Wait until it has finished; if it hangs, end that program: the lock goes with it.",
            )


def _is_locked(path: Path) -> bool:
    """Whether somebody holds the lock. It is taken for a moment where nobody does."""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
