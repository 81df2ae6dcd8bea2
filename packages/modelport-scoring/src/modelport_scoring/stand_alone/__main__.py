"""``azmlinfsrv --entry_script score.py``: serve a script where it lies, for trying it out (azureml-v1 reference, 6.7).

The command, its options, its variables and its ``config.json`` are those of v1's stand-alone server; behind them stands
the same scoring server that serves deployments. The script runs in the interpreter that this is installed in, or in the
one that ``--python`` names, which may be much older.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from modelport_scoring.bundle import FORMAT, MANIFEST
from modelport_scoring.container.packaged import VARIABLES, Placement, health_port, notes_on
from modelport_scoring.errors import SettingsInvalid
from modelport_scoring.processes.exit_statuses import STATUS_FAILED
from modelport_scoring.service_folder import read_failure, write_settings
from modelport_scoring.settings.origins import OriginInvalid, parse_origins
from modelport_scoring.settings.service import ErrorMode, Limits, RevisionSettings, ServiceSettings
from modelport_scoring.settings.telemetry import TelemetrySettings
from modelport_scoring.stand_alone.banner import ENABLED, ORIGINS, banner, insights_enabled, verdict_on_key
from modelport_scoring.supervision.supervisor import supervise
from modelport_scoring.version import NAMED, WANTED, __version__, server_line

PROGRAM = "azmlinfsrv"
PORT = 5001
SCORING_TIMEOUT_MS = 3_600_000
DEFAULT_SCRIPT = "main.py"
CONFIG_FILE = "config.json"
MODELS = "AZUREML_MODEL_DIR"
LOG_LEVEL = "AZUREML_LOG_LEVEL"

OPTIONS = {
    "entry_script": "AZUREML_ENTRY_SCRIPT",
    "model_dir": MODELS,
    "worker_count": "WORKER_COUNT",
    "appinsights_instrumentation_key": "AML_APP_INSIGHTS_KEY",
    "health_port": "HEALTH_PORT",
    "access_control_allow_origins": "AML_CORS_ORIGINS",
    "config_file": "AZUREML_CONFIG_FILE",
}
"""Each says the same as a variable, and more strongly."""

HEEDED = frozenset(("AML_APP_INSIGHTS_KEY", "AZUREML_CONFIG_FILE"))
"""By this command, though not by the server of an image."""


@dataclass(frozen=True)
class Given:
    """What the options, the variables and the configuration file say together."""

    variables: Mapping[str, str]
    """Of this process, those of the file and the options among them, and what follows from them."""
    added: Mapping[str, str]
    """What the script's process is to have beside the variables of this one: the options, and what follows. Those of
    the file are the server's alone, as with v1, but for the level of the log, by which a worker is told of it."""
    app_root: Path
    script: str
    notes: Sequence[str]
    """What the output should say of them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until the process is told to stop; returns its exit status: 0 after that, 3 where the script cannot be
    started, 1 where nothing can be served or an option is wrong."""
    arguments = _arguments(argv)
    folder = Path(tempfile.mkdtemp(prefix=f"{PROGRAM}-"))
    try:
        return serve(arguments, folder)
    except (SettingsInvalid, OSError) as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return STATUS_FAILED
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def serve(arguments: argparse.Namespace, folder: Path) -> int:
    """Serve from a folder that is there for nothing else. Raises SettingsInvalid and OSError."""
    given = gather(arguments)
    for line in (*given.notes, *banner(given.variables)):
        _say(line)
    bundle = folder / "bundle"
    bundle.mkdir()
    write_manifest(bundle, given)
    placement = Placement(package=bundle, folder=folder / "service", environ=given.variables, port=arguments.port)
    settings = placement.placed(settings_of(given, interpreter=arguments.python, bundle=bundle))
    placement.make_folder()
    write_settings(placement.folder, placement.settled(settings))
    for note in notes_on({name: value for name, value in given.variables.items() if name not in HEEDED}):
        _say(note)
    _say(f"{given.script} is served at http://127.0.0.1:{settings.port}/score; Ctrl-C ends that")
    # By which the server's process, that has our variables, names its version.
    os.environ.update({name: given.variables[name] for name in (WANTED, NAMED) if name in given.variables})
    status = supervise(placement.folder)
    failure = read_failure(placement.folder) if status == STATUS_FAILED else None
    if failure is not None:
        raise OSError(failure.message)
    return status


def gather(arguments: argparse.Namespace) -> Given:
    """The options, before the variables, before the file. Raises SettingsInvalid."""
    chosen = choose(arguments)
    surest = {**os.environ, **chosen}
    root = Path(surest.get("AML_APP_ROOT") or ".").absolute()
    script = surest.get("AZUREML_ENTRY_SCRIPT") or DEFAULT_SCRIPT
    file = find_config(surest.get("AZUREML_CONFIG_FILE"), folders=[root, (root / script).parent])
    configured = {} if file is None else read_config(file)
    variables = {**configured, **surest}
    root = Path(variables.get("AML_APP_ROOT") or ".").absolute()
    script = variables.get("AZUREML_ENTRY_SCRIPT") or DEFAULT_SCRIPT
    if not (root / script).is_file():
        raise SettingsInvalid(f"there is no entry script {root / script}; name it with --entry_script")
    variables |= {"AML_APP_ROOT": str(root), "AZUREML_ENTRY_SCRIPT": script}
    concluded = conclude(variables, port=arguments.port)
    added = {name: value for name, value in configured.items() if name == LOG_LEVEL} | chosen | concluded
    return Given(variables | concluded, added, root, script, notes=notes_of(arguments, variables, surest))


def choose(arguments: argparse.Namespace) -> dict[str, str]:
    """The options, as variables. A script is looked for in this process's folder, before the app root."""
    chosen = {variable: str(value) for name, variable in OPTIONS.items() if (value := getattr(arguments, name))}
    if arguments.entry_script and Path(arguments.entry_script).is_file():
        chosen["AZUREML_ENTRY_SCRIPT"] = str(Path(arguments.entry_script).resolve())
    if arguments.config_file:
        chosen["AZUREML_CONFIG_FILE"] = str(Path(arguments.config_file).absolute())
    if arguments.appinsights_instrumentation_key:
        chosen[ENABLED] = "true"
    return chosen


def conclude(variables: Mapping[str, str], *, port: int) -> dict[str, str]:
    """What v1's command also set for scripts to read. Raises SettingsInvalid."""
    concluded = {
        "WORKER_COUNT": variables.get("WORKER_COUNT") or "1",
        "SERVER_PORT": str(port),
        "HEALTH_PORT": str(health_port(variables) or port),
        ENABLED: "true" if insights_enabled(variables) else "false",
    }
    if server_line(variables.get(WANTED)):
        concluded[NAMED] = f"{PROGRAM}/{__version__}"
    return concluded


def notes_of(arguments: argparse.Namespace, variables: Mapping[str, str], of_script: Mapping[str, str]) -> list[str]:
    """What the output should say of them; ``of_script`` are those that the script sees."""
    notes = verdict_on_key(variables)
    if MODELS in variables.keys() - of_script.keys():
        notes.append(f"{MODELS} of the configuration file does not reach the script: --model_dir sets it there")
    elif MODELS not in variables:
        notes.append(f"{MODELS} is not set: --model_dir sets it")
    if arguments.health_port and health_port(variables) is None:
        notes.append("--health_port has no effect without the variable SEPERATE_HEALTH_ENDPOINT=true")
    return notes


def origins_in(variables: Mapping[str, str]) -> list[str]:
    """Those whose pages may read answers. Raises SettingsInvalid."""
    try:
        return parse_origins(variables.get(ORIGINS, ""))
    except OriginInvalid as error:
        raise SettingsInvalid(f"{ORIGINS}: {error}") from error


def find_config(named: str | None, *, folders: Sequence[Path]) -> Path | None:
    """The configuration file that is named, or one that lies in one of the folders and is not empty."""
    if named:
        return Path(named)
    files = (folder / CONFIG_FILE for folder in folders)
    return next((file for file in files if file.is_file() and file.stat().st_size), None)


def read_config(file: Path) -> dict[str, str]:
    """Its variables, and a warning for each that is none. Raises SettingsInvalid."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsInvalid(f"the configuration file {file} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise SettingsInvalid(f"the configuration file {file} holds no JSON object of variables and their values")
    for name in sorted(content.keys() - VARIABLES):
        _say(f"warning: {file}: {name} is no variable of this server, and has no effect")
    return {name: as_text(value) for name, value in content.items() if name in VARIABLES and value is not None}


def as_text(value: object) -> str:
    """As a variable holds it: ``true`` and ``false``, not Python's words for them."""
    return value if isinstance(value, str) else json.dumps(value)


def write_manifest(bundle: Path, given: Given) -> None:
    """Of a bundle that holds nothing: everything lies where it is. Raises OSError."""
    manifest = {
        "format": FORMAT,
        "entry_script": given.script,
        "source_directory": given.variables.get("AZUREML_SOURCE_DIRECTORY"),
        "model_directory": given.added.get(MODELS) or os.environ.get(MODELS) or None,
        "environment_variables": dict(given.added),
    }
    (bundle / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def settings_of(given: Given, *, interpreter: Path, bundle: Path) -> ServiceSettings:
    """As v1's server is without options: for everybody, without keys, errors as JSON, a line for each request."""
    revision = RevisionSettings(
        number=1,
        bundle=str(bundle),
        interpreter=[str(interpreter.absolute())],
        app_root=str(given.app_root),
        working_directory=str(Path.cwd()),
        keeps_python_path=True,
    )
    return ServiceSettings(
        name="ML service",
        workspace="",
        revision=revision,
        host="0.0.0.0",  # noqa: S104 - as the reference says
        port=PORT,
        error_mode=ErrorMode.JSON,
        cors_origins=origins_in(given.variables),
        limits=Limits(scoring_timeout_ms=SCORING_TIMEOUT_MS, queue_wait_ms=SCORING_TIMEOUT_MS),
        telemetry=TelemetrySettings(access_log=True),
        log_prints=True,
        ends_with_script=True,
    )


class Parser(argparse.ArgumentParser):
    """v1's command ended with status 1 where an option was wrong."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(STATUS_FAILED, f"{self.prog}: error: {message}\n")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(prog=PROGRAM, description="Serve an entry script where it lies, for trying it out.")
    parser.add_argument("--entry_script", help=f"the script, from the app root or absolute ({DEFAULT_SCRIPT})")
    parser.add_argument("--model_dir", help="what AZUREML_MODEL_DIR is to name")
    parser.add_argument("--port", type=_port, default=PORT, help=f"({PORT})")
    parser.add_argument("--worker_count", type=_count, help="processes that run the script (1)")
    parser.add_argument("--appinsights_instrumentation_key", help="requests are written as JSON, and sent nowhere")
    parser.add_argument("--health_port", type=_port, help="with SEPERATE_HEALTH_ENDPOINT=true (5000)")
    parser.add_argument("--access_control_allow_origins", help="origins whose pages may read answers, with commas")
    parser.add_argument("--config_file", help="JSON with variables (config.json in the app root or beside the script)")
    parser.add_argument("--rest", action="store_true", help=argparse.SUPPRESS)  # v1's, which had no other transport
    parser.add_argument(
        "--python", type=Path, default=Path(sys.executable), help="the interpreter of the script's environment"
    )
    return parser.parse_args(argv)


def _port(text: str) -> int:
    port = _whole(text)
    if not 0 < port <= 0xFFFF:
        raise argparse.ArgumentTypeError(f"{port} is no port: they go from 1 to 65535")
    return port


def _count(text: str) -> int:
    count = _whole(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count} workers serve nobody: at least 1")
    return count


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no whole number") from None


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the output of the command is its log


if __name__ == "__main__":
    sys.exit(main())
