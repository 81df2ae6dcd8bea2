"""The command, the environment and the folder that a worker is started with: a value that can be looked at."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import modelport_worker
from modelport_scoring.bundle import Manifest, model_directory
from modelport_scoring.settings.service import ServiceSettings, WorkerStart

NOT_PASSED_ON = ("PYTHONHOME", "VIRTUAL_ENV", "PYTHONSAFEPATH")
"""They describe the server's interpreter, not the worker's."""

MARKER = "_modelport.py"
"""The module by which our ``azureml`` folder is told from a vendor's of the same name."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How to start a worker. The descriptors of its socket and its page are appended to ``command``."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: Path
    log: Path
    start_timeout_s: float
    together: int = 1
    """So many requests are scored by one call of ``run()`` at most."""
    start: WorkerStart = WorkerStart.SPAWN
    warm_up: bool = False
    """Whether ``run()`` is called before a worker is ready."""


def plan_launch(
    settings: ServiceSettings, manifest: Manifest, *, app: Path, log: Path, caller: Mapping[str, str]
) -> Launch:
    """How to start a worker of the settings' revision in its app root. ``caller`` is the server's own environment."""
    return Launch(
        command=worker_command(settings.revision.interpreter, options=worker_options(settings)),
        environment=worker_environment(settings, manifest, app=app, caller=caller),
        cwd=Path(settings.revision.working_directory or app),
        log=log,
        start_timeout_s=settings.limits.start_timeout_s,
        together=settings.batching.max_requests if settings.batching is not None else 1,
        start=settings.worker_start,
        warm_up=settings.warm_up,
    )


def worker_command(interpreter: Sequence[str], *, options: Sequence[str] = ()) -> tuple[str, ...]:
    """The interpreter, the worker's program, and where its ``azureml`` names are."""
    program = Path(modelport_worker.__path__[0]) / "__main__.py"
    return (*interpreter, str(program), "--azureml", str(find_azureml(sys.path)), *options)


def worker_options(settings: ServiceSettings) -> list[str]:
    """What the service asks of its workers beyond the script."""
    options = ["--warm-up"] if settings.warm_up else []
    if settings.log_prints:
        options.append("--log-prints")
    if settings.batching is not None:
        options += ["--together", str(settings.batching.max_requests)]
        options += ["--wait-ms", str(settings.batching.max_wait_ms)]
    return options


def find_azureml(search_path: Sequence[str]) -> Path:
    """Our ``azureml`` package folder. Raises FileNotFoundError where ``modelport-azureml`` is not installed."""
    for entry in search_path:
        folder = Path(entry) / "azureml"
        if (folder / MARKER).is_file():
            return folder
    raise FileNotFoundError("no azureml folder with our marker module in sys.path: is modelport-azureml installed?")


def worker_environment(
    settings: ServiceSettings, manifest: Manifest, *, app: Path, caller: Mapping[str, str]
) -> dict[str, str]:
    """The caller's variables, the environment's own, and last those of the contract, which nothing replaces."""
    environment = {name: value for name, value in caller.items() if name not in NOT_PASSED_ON}
    if not settings.revision.keeps_python_path:
        environment.pop("PYTHONPATH", None)
    environment.update(manifest.environment_variables)
    environment.update(settings.revision.environment_variables)
    environment.update(contract_variables(settings, manifest, app=app))
    for absent in ("AZUREML_SOURCE_DIRECTORY", "AZUREML_MODEL_DIR"):
        if not environment.get(absent):
            environment.pop(absent, None)
    return environment


def contract_variables(settings: ServiceSettings, manifest: Manifest, *, app: Path) -> dict[str, str]:
    """The variables that scripts rely on (reference, 5.3 and 6.7); empty where they are to be unset."""
    return {
        "AML_APP_ROOT": str(app),
        "AZUREML_ENTRY_SCRIPT": manifest.entry_script,
        "AZUREML_SOURCE_DIRECTORY": manifest.source_directory or "",
        "AZUREML_MODEL_DIR": model_directory(manifest, app=app) or "",
        "SERVICE_NAME": settings.name,
        "WORKSPACE_NAME": settings.workspace,
        "SERVICE_PATH_PREFIX": settings.path_prefix,
        "SERVICE_VERSION": settings.version,
        "MODELPORT_REVISION": str(settings.revision.number),
        "PYTHONUNBUFFERED": "1",
    }
