"""``modelport environment``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelport.cli.command import command, group
from modelport.cli.options import MetadataFile, Overwrite, write_metadata
from modelport.cli.output import Result
from modelport.cli.session import Session, VersionedSession
from modelport.composition import Installation
from modelport.environments.definition_json import definition_to_json
from modelport.sdk.environment import Environment
from modelport.usecases.install_python import install_python

app = group("Write, register, list and download environments.")
_COLUMNS = ("name", "version")

EnvironmentName = Annotated[str, typer.Option("--name", "-n", help="Name of the environment.")]
Version = Annotated[str | None, typer.Option("--version", "-v", help="Its version; the newest without.")]
Directory = Annotated[str, typer.Option("--directory", "-d", help="Folder of the environment's files.")]


@command(app, "scaffold")
def scaffold(
    session: Session, name: EnvironmentName, directory: Directory, output_metadata_file: MetadataFile = None
) -> object:
    """Write the files of a new environment into a folder, to be edited and registered.

    azureml_environment.json holds its name and variables, conda_dependencies.yml its Python and packages.
    """
    return scaffolded(session, Environment(name), directory, output_metadata_file)


def scaffolded(session: Session, environment: Environment, directory: str, output_metadata_file: Path | None) -> Result:
    """Write the environment's files, and the file for later commands."""
    environment.save_to_directory(directory)
    write_metadata(output_metadata_file, {"name": environment.name, "directory": str(Path(directory).absolute())})
    session.note(
        f"Edit {directory}/conda_dependencies.yml, then: {session.program} environment register -d {directory}"
    )
    return Result(_document(environment), columns=_COLUMNS)


@command(app, "register")
def register(session: Session, directory: Directory, output_metadata_file: MetadataFile = None) -> object:
    """Register the environment in the folder; one that is equal to the newest version makes no new one."""
    registered = Environment.load_from_directory(directory).register(session.workspace)
    document = _document(registered)
    write_metadata(output_metadata_file, document)
    return Result(document, columns=_COLUMNS)


@command(app, "list")
def list_(session: Session) -> object:
    """List the newest version of each environment."""
    found = Environment.list(session.workspace).values()
    return Result([_document(environment) for environment in found], columns=_COLUMNS)


@command(app, "show")
def show(session: VersionedSession, name: EnvironmentName, version: Version = None) -> object:
    """Show one version of an environment."""
    return Result(_document(Environment.get(session.workspace, name, version)), columns=_COLUMNS)


@command(app, "download")
def download(
    session: VersionedSession,
    name: EnvironmentName,
    directory: Directory,
    version: Version = None,
    overwrite: Overwrite = False,
) -> object:
    """Write one version of an environment into a folder, in the form that `environment register` reads."""
    environment = Environment.get(session.workspace, name, version)
    environment.save_to_directory(directory, overwrite=overwrite)
    return {"name": environment.name, "version": environment.version, "directory": str(Path(directory).absolute())}


@command(app, "install-python")
def install_python_(
    session: Session,
    version: Annotated[str, typer.Argument(help="The version: 3.6, or 3.6.15.")],
    channel: Annotated[
        list[str] | None, typer.Option("--channel", "-c", help="A conda channel to take it from, by name or URL.")
    ] = None,
) -> object:
    """Get a Python that this machine lacks, for environments that ask for it.

    From the builds that uv knows, and what has none there, as 3.6, from conda-forge; it is kept in MODELPORT_HOME.
    """
    home = Installation.from_environment().home
    found = install_python(home, version, channels=channel or (), progress=session.progress)
    return Result({"version": found.version, "path": found.path}, columns=("version", "path"))


def _document(environment: Environment) -> dict[str, object]:
    return definition_to_json(environment.to_definition(), version=environment.version)
