"""What code a deployment runs: ``--ic`` files, and the flags above them (azureml-v1 reference: 3.5, 4.2, 4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from modelport.cli.files import Keys, read_document
from modelport.cli.session import Session
from modelport.domain.errors import UserErrorException
from modelport.environments.definition_json import definition_from_json
from modelport.sdk.environment import Environment
from modelport.sdk.inference import InferenceConfig

_PANEL = "Code and environment"


@dataclass(frozen=True, kw_only=True)
class InferenceFlags:
    """The code and its environment, as options."""

    inference_config_file: Annotated[
        Path | None,
        typer.Option(
            "--inference-config-file",
            "--ic",
            help="Inference configuration, JSON or YAML; the flags below override its keys.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    entry_script: Annotated[
        str | None,
        typer.Option(
            "--entry-script",
            "--es",
            help="Script with init() and run(); relative to the source directory where there is one.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    source_directory: Annotated[
        str | None,
        typer.Option("--source-directory", "--sd", help="Folder to ship with the script.", rich_help_panel=_PANEL),
    ] = None
    environment_name: Annotated[
        str | None,
        typer.Option("--environment-name", "-e", help="A registered environment.", rich_help_panel=_PANEL),
    ] = None
    environment_version: Annotated[
        str | None,
        typer.Option("--environment-version", "--ev", help="Its version; the newest without.", rich_help_panel=_PANEL),
    ] = None
    environment_directory: Annotated[
        str | None,
        typer.Option(
            "--environment-directory",
            "--ed",
            help="An environment as a folder, as `environment scaffold` writes it.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    conda_file: Annotated[
        str | None,
        typer.Option("--conda-file", "--cf", help="Conda file with the dependencies.", rich_help_panel=_PANEL),
    ] = None
    runtime: Annotated[
        str | None,
        typer.Option("--runtime", "--rt", help="python, spark-py or python-slim.", rich_help_panel=_PANEL),
    ] = None
    extra_docker_file_steps: Annotated[
        str | None,
        typer.Option(
            "--extra-docker-file-steps", "--ds", help="File with Docker steps; for images.", rich_help_panel=_PANEL
        ),
    ] = None
    enable_gpu: Annotated[
        bool, typer.Option("--enable-gpu", "--eg", help="The script needs a GPU.", rich_help_panel=_PANEL)
    ] = False
    cuda_version: Annotated[
        str | None,
        typer.Option("--cuda-version", "--cv", help="9.0, 9.1 or 10.0; for images.", rich_help_panel=_PANEL),
    ] = None
    base_image: Annotated[
        str | None, typer.Option("--base-image", "--bi", help="Base image; for images.", rich_help_panel=_PANEL)
    ] = None
    base_image_registry: Annotated[
        str | None,
        typer.Option("--base-image-registry", "--ir", help="Its registry; for images.", rich_help_panel=_PANEL),
    ] = None

    def configuration(self, session: Session) -> InferenceConfig | None:
        """File and flags together; None where neither is given. Raises UserErrorException without an entry script."""
        settings = self._from_file(session)
        given = {key: getattr(self, key) for key in _FLAGS if getattr(self, key)}
        environment = self._environment(session)
        settings = _overridden(settings, given, replaced=environment is not None)
        if environment is not None:
            settings["environment"] = environment
        if not settings and self.inference_config_file is None:
            return None
        if not settings.get("entry_script"):
            raise _no_script()
        return InferenceConfig(**settings)

    def _from_file(self, session: Session) -> dict[str, Any]:
        if self.inference_config_file is None:
            return {}
        read = read_inference(self.inference_config_file)
        for key in read.unknown:
            session.note(
                f"Note: {self.inference_config_file} has the key {key!r}, which is not known and has no effect."
            )
        return read.settings

    def _environment(self, session: Session) -> Environment | None:
        if self.environment_name and self.environment_directory:
            raise UserErrorException("--environment-name and --environment-directory exclude each other.")
        if self.environment_version and not self.environment_name:
            raise UserErrorException("--environment-version needs --environment-name.")
        if self.environment_name:
            return Environment.get(session.workspace, self.environment_name, self.environment_version)
        if self.environment_directory:
            return Environment.load_from_directory(self.environment_directory)
        return None


_FLAGS = (
    "entry_script",
    "source_directory",
    "conda_file",
    "runtime",
    "extra_docker_file_steps",
    "enable_gpu",
    "cuda_version",
    "base_image",
    "base_image_registry",
)


def _no_script() -> UserErrorException:
    return UserErrorException(
        "The deployment has no entry script.",
        hint="Give --entry-script score.py, or entryScript in the file of --inference-config-file.",
    )


def _overridden(settings: dict[str, Any], given: Mapping[str, Any], *, replaced: bool) -> dict[str, Any]:
    """Flags over file. An environment of either takes the place of the file's older keys for one, and the other way."""
    legacy = {"conda_file", "runtime", "extra_docker_file_steps", "enable_gpu", "cuda_version", "base_image"}
    if replaced:
        settings = {key: value for key, value in settings.items() if key not in legacy}
    elif given.get("conda_file"):
        settings = {key: value for key, value in settings.items() if key != "environment"}
    return {**settings, **given}


@dataclass(frozen=True)
class InferenceFile:
    """An inference configuration file: arguments of InferenceConfig, and the keys that nobody knows."""

    settings: dict[str, Any]
    unknown: list[str] = field(default_factory=list)


def read_inference(path: Path) -> InferenceFile:
    """Read either form; ``environment`` makes it the newer one. Raises UserErrorException."""
    keys = Keys(read_document(path, flag="--inference-config-file"), where=str(path))
    keys.drop("schemaFile")
    settings: dict[str, Any] = {
        "entry_script": keys.text("entryScript"),
        "source_directory": keys.text("sourceDirectory"),
        "conda_file": keys.text("condaFile"),
        "runtime": keys.text("runtime"),
        "extra_docker_file_steps": keys.text("extraDockerFileSteps"),
        "enable_gpu": keys.truth("enableGpu"),
        "cuda_version": keys.text("cudaVersion"),
        "base_image": keys.text("baseImage"),
        "base_image_registry": keys.table("baseImageRegistry") or None,
        "description": keys.text("description"),
        "environment": _inline_environment(keys.table("environment"), path),
    }
    settings = {name: value for name, value in settings.items() if value is not None}
    return InferenceFile(_beside_the_file(settings, path.parent), keys.rest())


def _inline_environment(content: dict[str, Any], path: Path) -> Environment | None:
    if not content:
        return None
    named = {"name": "inline", **content}
    return Environment.from_definition(definition_from_json(named, where=f"{path}: 'environment'"))


def _beside_the_file(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Paths are relative to the cwd; where nothing is there, to the file's folder (azureml-v1 reference, 4.2)."""
    starting = "source_directory" if "source_directory" in settings else "entry_script"
    paths = [starting] if starting == "source_directory" else ["entry_script", "conda_file", "extra_docker_file_steps"]
    moved = dict(settings)
    for key in paths:
        given = settings.get(key)
        if given and not Path(given).exists() and (folder / given).exists():
            moved[key] = str(folder / given)
    return moved
