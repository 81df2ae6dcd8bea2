"""``modelport deploy``: the whole path, for somebody who has just a model and a script, or just a model."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from modelport.cli.command import command, group
from modelport.cli.options import (
    ModelFramework,
    ModelFrameworkVersion,
    NoWait,
    Overwrite,
    Truth,
    is_true,
    text_or_file,
)
from modelport.cli.output import Result
from modelport.cli.session import DEFAULT_WORKSPACE, Session
from modelport.domain.errors import ConflictException, UserErrorException
from modelport.domain.failures import Phase, in_phase
from modelport.domain.names import check_service_name
from modelport.sdk.conda_dependencies import CondaDependencies
from modelport.sdk.environment import Environment
from modelport.sdk.inference import InferenceConfig
from modelport.sdk.local import LocalWebservice
from modelport.sdk.model import Model
from modelport.sdk.webservice import Webservice
from modelport.sdk.workspace import Workspace
from modelport.usecases.register_model import ModelRegistration, check_registration

app = group("Deploy a script and a model, or a model alone, on this machine, with defaults for everything else.")


@dataclass(frozen=True, kw_only=True)
class EnvironmentChoice:
    """What the script needs around it; nothing: the Python that runs modelport. A model alone brings its own."""

    conda_file: Annotated[
        str | None, typer.Option("--conda-file", "--cf", help="Conda file with the script's dependencies.")
    ] = None
    requirements: Annotated[
        str | None, typer.Option("--requirements", "-r", help="pip requirements file with them.")
    ] = None
    python: Annotated[
        str | None, typer.Option("--python", help="Version of Python to run the script with, for example 3.8.")
    ] = None

    def environment(self, name: str) -> Environment | None:
        """The environment; None for the Python that runs this. Raises UserErrorException where two are asked for."""
        if self.conda_file and (self.requirements or self.python):
            raise UserErrorException(
                "--conda-file excludes --requirements and --python: a conda file says both.",
                hint="Put python=… and the pip list into the conda file.",
            )
        if self.conda_file:
            return Environment.from_conda_specification(name, self.conda_file)
        if self.requirements:
            environment = Environment.from_pip_requirements(name, self.requirements)
        elif self.python:
            environment = Environment(name)
            environment.python.conda_dependencies = CondaDependencies()
        else:
            return None
        environment.environment_variables = {}
        if self.python and environment.python.conda_dependencies is not None:
            environment.python.conda_dependencies.set_python_version(self.python)
        return environment


@command(app, "deploy")
def deploy(
    session: Session,
    script: Annotated[
        str,
        typer.Argument(
            help="Script with init() and run(data). Without one, a model: a script is generated for it.",
            metavar="SCRIPT",
        ),
    ],
    environment: EnvironmentChoice,
    models: Annotated[
        list[Path] | None, typer.Argument(help="Files or folders of the models that it loads.", metavar="MODEL")
    ] = None,
    framework: ModelFramework = None,
    framework_version: ModelFrameworkVersion = None,
    name: Annotated[
        str | None, typer.Option("--name", "-n", help="Name of the service; that of the first model without.")
    ] = None,
    source_directory: Annotated[
        str | None,
        typer.Option("--source-directory", "--sd", help="Folder to ship; SCRIPT is then relative to it."),
    ] = None,
    port: Annotated[int | None, typer.Option("--port", "--po", help="Port; a free one without.")] = None,
    auth_enabled: Annotated[
        Truth | None, typer.Option("--auth-enabled", "--ae", help="Ask for a key.", case_sensitive=False)
    ] = None,
    sample: Annotated[
        str | None, typer.Option("--input", "--input-data", "-d", help="Score this too: JSON, @FILE, or @- for stdin.")
    ] = None,
    overwrite: Overwrite = False,
    no_wait: NoWait = False,
) -> object:
    """Deploy a script and a model, or a model alone, on this machine, with defaults for everything else.

    Registers the model, deploys it as a web service, waits until that is healthy, and prints how to call it. For a
    model alone a script is generated, as its framework needs it. The workspace is the one that --workspace-name or a
    config.json names, else one named "default", made on first use.
    """
    is_script = script.endswith(".py") or source_directory is not None
    paths = [*([] if is_script else [Path(script)]), *(models or [])]
    service_name = name or derived_name(paths[0] if paths else Path(script))
    inference = _inference(script, source_directory, environment.environment(service_name), is_script=is_script)
    configuration = LocalWebservice.deploy_configuration(port=port, auth_enabled=is_true(auth_enabled))
    check_service_name(service_name)
    body = None if sample is None else text_or_file(sample)
    for path in paths:
        check_registration(ModelRegistration(path=path, name=_model_name(path)))
    workspace = _workspace(session)
    _check_free(workspace, service_name, overwrite=overwrite)
    registered = [
        Model.register(
            workspace, path, _model_name(path), model_framework=framework, model_framework_version=framework_version
        )
        for path in paths
    ]
    service = Model.deploy(workspace, service_name, registered, inference, configuration, overwrite=overwrite)
    if no_wait:
        return Result(service.serialize())
    session.wait(service)
    return _report(service, body)


def _inference(
    script: str, source_directory: str | None, environment: Environment | None, *, is_script: bool
) -> InferenceConfig | None:
    """The code, checked; None for a model alone. Raises UserErrorException where that has an environment, and what
    ``validate_configuration`` raises."""
    if is_script:
        inference = InferenceConfig(script, source_directory=source_directory, environment=environment)
        inference.validate_configuration()
        return inference
    if environment is not None:
        raise UserErrorException(
            "A model alone brings its own environment: --requirements, --python and --conda-file need a script.",
            hint="Leave them out, or put the script first: modelport deploy score.py MODEL.",
        )
    return None


def derived_name(path: Path) -> str:
    """A name for a service, from that of a file. Raises UserErrorException where none can be made of it."""
    name = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).lstrip("-0123456789")[:32].strip("-")
    if len(name) < 3:
        raise UserErrorException(f"No name for a service can be made of {path.name!r}.", hint="Give one: --name NAME.")
    return name


def _model_name(path: Path) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", path.stem).lstrip("-_.") or "model"


def _workspace(session: Session) -> Workspace:
    if session.names_nothing:
        Workspace.create(DEFAULT_WORKSPACE, exist_ok=True, progress=session.progress)
    return session.workspace


def _check_free(workspace: Workspace, name: str, *, overwrite: bool) -> None:
    """Before a model is registered for nothing."""
    if not overwrite and workspace.registry.service(name) is not None:
        raise ConflictException(
            f"Service {name} already exists (ServiceExists).",
            hint="Add --overwrite to update it, choose another --name, or delete it: "
            f"modelport service delete -w {workspace.name} -n {name}",
        )


def _report(service: Webservice, body: str | None) -> Result:
    with in_phase(Phase.FIRST_SCORE):
        answer = None if body is None else service.run(body)
    curl = _curl(service, body if body is not None else _example(service))
    value: dict[str, Any] = {**service.serialize(), "curl": curl}
    lines = [f"The service {service.name!r} is healthy.", "", f"Scoring URI:  {service.scoring_uri}"]
    lines += [f"Swagger URI:  {service.swagger_uri}"]
    if body is not None:
        value["prediction"] = answer
        lines += [f"Prediction:   {json.dumps(answer, ensure_ascii=False)}"]
    here = f"-w {service.workspace.name} -n {service.name}"
    lines += ["", "Call it:", f"  {curl}", "", "What to try next:"]
    lines += [f"  {line}" for line in _next_steps(here)]
    return Result(value, text="\n".join(lines))


def _next_steps(here: str) -> list[str]:
    return [
        f"modelport service get-logs {here}    what the script printed",
        f"modelport service reload {here}      after an edit of the script",
        f"modelport service delete {here}      stop and remove it",
    ]


def _curl(service: Webservice, body: str) -> str:
    """How a shell calls it; the key is fetched when that happens, so that no terminal and no log shows it."""
    words = ["curl", "-X", "POST", "-H", "Content-Type: application/json"]
    rest = shlex.join(["-d", body, str(service.scoring_uri)])
    if not service.auth_enabled:
        return f"{shlex.join(words)} {rest}"
    here = f"-w {service.workspace.name} -n {service.name}"
    key = f"$(modelport service get-keys {here} --query primaryKey -o tsv)"
    return f'{shlex.join(words)} -H "Authorization: Bearer {key}" {rest}'


def _example(service: Webservice) -> str:
    """The sample input in the service's OpenAPI document; a stand-in where the script declares none."""
    try:
        with httpx.Client(trust_env=False, timeout=5) as client:  # no proxy for a service on this machine
            document = client.get(str(service.swagger_uri)).json()
        return json.dumps(document["definitions"]["ServiceInput"]["example"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return '{"data": []}'
