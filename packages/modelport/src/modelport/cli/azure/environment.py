"""``az ml environment`` (azureml-v1 reference, 3.4)."""

from __future__ import annotations

from pathlib import Path

from azureml._constants import DEFAULT_CPU_IMAGE
from modelport.cli import environment
from modelport.cli.azure.command import add_all, az_command
from modelport.cli.command import group
from modelport.cli.options import MetadataFile
from modelport.cli.session import Session
from modelport.environments.definition_json import DOCKERFILE
from modelport.sdk.v1.environment import Environment

app = group("Write, register, list and download environments.")

_DOCKERFILE = f"""\
# Steps for an image of this environment's own, for example:
#
# FROM {DEFAULT_CPU_IMAGE}
# RUN apt-get update && apt-get install -y libgomp1
#
# As long as there are only comments here, or without this file, none is asked for.
"""


@az_command(app, "scaffold")
def scaffold(
    session: Session,
    name: environment.EnvironmentName,
    directory: environment.Directory,
    output_metadata_file: MetadataFile = None,
) -> object:
    """Write the files of a new environment into a folder, to be edited and registered.

    azureml_environment.json holds its name and variables, conda_dependencies.yml its Python and packages, and
    BaseDockerfile, as long as it has comments only, nothing.
    """
    made = Environment(name)
    result = environment.scaffolded(session, made, directory, output_metadata_file)
    (Path(directory) / DOCKERFILE).write_text(_DOCKERFILE, encoding="utf-8")
    return result


add_all(
    app,
    {
        "register": environment.register,
        "list": environment.list_,
        "show": environment.show,
        "download": environment.download,
    },
)
