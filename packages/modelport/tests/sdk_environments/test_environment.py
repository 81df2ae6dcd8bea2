from __future__ import annotations

import datetime as dt
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from modelport import CondaDependencies, Environment
from modelport.domain.environments import EnvironmentDefinition, Interpreter, Lock
from modelport.domain.errors import EnvironmentException, ResolutionFailed, UserErrorException
from modelport.domain.progress import Progress, Silent
from modelport.domain.workspaces import WorkspaceRecord
from modelport.environments.interface import Environments
from modelport.environments.memory import MemoryEnvironments
from modelport.sdk.environment_sections import ContainerRegistry, RSection
from modelport.storage.memory import MemoryStore

RUNNING = f"{sys.version_info[0]}.{sys.version_info[1]}"


def empty_store() -> MemoryStore:
    store = MemoryStore(workspace="ws")
    store.create_workspace(WorkspaceRecord(name="ws", id="0", created_time=dt.datetime.now(dt.UTC)))
    return store


@dataclass
class OpenWorkspace:
    """A workspace as far as environments see it."""

    environments: Environments = field(default_factory=MemoryEnvironments)
    registry: MemoryStore = field(default_factory=empty_store)
    folder: Path = Path("nowhere")
    progress: Progress = field(default_factory=Silent)

    @property
    def context(self) -> OpenWorkspace:
        return self


@pytest.fixture
def workspace(tmp_path: Path) -> OpenWorkspace:
    return OpenWorkspace(folder=tmp_path / "ws")


def test_a_new_environment_is_as_in_v1() -> None:
    made = Environment("mine")
    assert made.environment_variables == {"EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"}
    assert made.version is None
    assert made.python.user_managed_dependencies is False
    assert made.python.interpreter_path == "python"
    assert made.python.conda_dependencies is not None
    assert made.python.conda_dependencies.pip_packages == ["azureml-defaults"]
    assert (made.docker.enabled, made.docker.shm_size, made.docker.base_dockerfile) == (False, "2g", None)
    assert made.inferencing_stack_version is None


def test_its_repr_is_its_json_without_the_password() -> None:
    made = Environment("mine")
    made.docker.base_image_registry.password = "hidden"
    content = json.loads(repr(made))
    assert content["name"] == "mine"
    assert content["python"]["condaDependencies"]["dependencies"][0] == f"python={RUNNING}"
    assert "hidden" not in repr(made)


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("environment_variables", ["A=1"], "environment_variables of the environment 'e' must be of the class Mapping"),
        ("environment_variables", None, "it is None"),
        ("python", {"interpreter_path": "python"}, "python of the environment 'e' must be of the class PythonSection"),
        ("docker", "ubuntu", "docker of the environment 'e' must be of the class DockerSection; it is 'ubuntu'"),
    ],
)
def test_an_attribute_of_another_kind_is_named(attribute: str, value: object, message: str) -> None:
    environment = Environment("e")
    setattr(environment, attribute, value)
    with pytest.raises(UserErrorException, match=message):
        environment.to_definition()


def test_conda_dependencies_are_no_list() -> None:
    environment = Environment("e")
    environment.python.conda_dependencies = ["numpy"]  # type: ignore[assignment]
    with pytest.raises(
        UserErrorException, match=r"conda_dependencies must be of the class CondaDependencies; it is \['n"
    ):
        environment.to_definition()


def test_attributes_may_be_given_by_name_and_only_known_ones() -> None:
    assert Environment("mine", inferencing_stack_version="latest").inferencing_stack_version == "latest"
    with pytest.raises(UserErrorException, match="'dockre'"):
        Environment("mine", dockre=1)


def test_from_a_conda_file(tmp_path: Path) -> None:
    file = tmp_path / "env.yml"
    file.write_text("name: own\nchannels: [c]\ndependencies:\n- python=3.8\n- pip: [six]\n", encoding="utf-8")
    conda = Environment.from_conda_specification("mine", str(file)).to_definition().python.conda
    assert conda is not None
    assert (conda.name, conda.channels, conda.packages, conda.pip) == ("own", ("c",), ("python=3.8",), ("six",))
    assert conda.source == str(file)
    with pytest.raises(FileNotFoundError):
        Environment.from_conda_specification("mine", str(tmp_path / "none.yml"))


@pytest.mark.parametrize(("pip_version", "pip"), [(None, "pip"), ("20.2", "pip=20.2")])
def test_from_requirements_every_line_is_kept(pip_version: str | None, pip: str, tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("# first\n--extra-index-url https://a.example\nsix==1.16.0  # why\n", encoding="utf-8")
    conda = Environment.from_pip_requirements("mine", str(file), pip_version).to_definition().python.conda
    assert conda is not None
    assert conda.packages == (f"python={RUNNING}", pip)
    assert conda.pip == ("# first", "--extra-index-url https://a.example", "six==1.16.0  # why")
    with pytest.raises(FileNotFoundError):
        Environment.from_pip_requirements("mine", str(tmp_path / "none.txt"))


def test_from_an_image_the_python_is_the_user_s_unless_packages_are_given(tmp_path: Path) -> None:
    bare = Environment.from_docker_image("mine", "image:1", ContainerRegistry(address="host"))
    assert bare.python.user_managed_dependencies
    assert bare.to_definition().docker.base_image == "image:1"
    assert bare.to_definition().docker.base_image_registry == {"address": "host"}
    (tmp_path / "requirements.txt").write_text("six\n", encoding="utf-8")
    filled = Environment.from_docker_image("mine", "image:1", pip_requirements=str(tmp_path / "requirements.txt"))
    assert not filled.python.user_managed_dependencies


@pytest.mark.parametrize("given", ["text", "path"])
def test_from_a_dockerfile(given: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM x", encoding="utf-8")
    made = Environment.from_dockerfile("mine", "FROM x" if given == "text" else str(tmp_path / "Dockerfile"))
    assert made.docker.base_dockerfile == "FROM x"
    assert made.docker.base_image is None
    assert made.python.user_managed_dependencies


def test_an_image_and_a_dockerfile_exclude_each_other() -> None:
    made = Environment.from_docker_image("mine", "image:1")
    made.docker.base_dockerfile = "FROM x"
    with pytest.raises(UserErrorException, match="exclude each other"):
        made.to_definition()


def _fake_conda(folder: Path, *, status: int) -> None:
    program = folder / "conda"
    program.write_text(
        f"#!/bin/sh\n[ \"$5\" = old ] || exit 9\nprintf 'name: old\\ndependencies: [python=3.8]\\n'\nexit {status}\n"
    )
    program.chmod(0o755)


def test_from_an_existing_conda_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Environment.from_existing_conda_environment("mine", "old") is None
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    _fake_conda(tmp_path, status=0)
    made = Environment.from_existing_conda_environment("mine", "old")
    assert made is not None and made.python.conda_dependencies is not None
    assert made.python.conda_dependencies.conda_packages == ["python=3.8"]
    assert Environment.from_existing_conda_environment("mine", "other") is None


def test_everything_survives_the_domain() -> None:
    made = Environment("mine")
    made.environment_variables = {"A": "1"}
    made.python.interpreter_path = "/opt/python"
    made.docker.base_dockerfile = "FROM x\n"
    made.docker.arguments = ["--cpus", "2"]
    made.inferencing_stack_version = "latest"
    assert Environment.from_definition(made.to_definition()).to_definition() == made.to_definition()


def test_a_conda_file_of_the_python_section_counts(tmp_path: Path) -> None:
    made = Environment("mine")
    made.python.conda_dependencies_file = str(tmp_path / "env.yml")
    with pytest.raises(FileNotFoundError):
        made.to_definition()
    CondaDependencies.create(pip_packages=["six"]).save(str(tmp_path / "env.yml"))
    conda = made.to_definition().python.conda
    assert conda is not None and "six" in conda.pip


def test_a_clone_is_a_copy(workspace: OpenWorkspace) -> None:
    first = Environment("mine").register(workspace)
    copy = first.clone("other")
    assert copy.python.conda_dependencies is not None
    copy.python.conda_dependencies.add_pip_package("six")
    assert (copy.name, copy.version) == ("other", None)
    assert first.python.conda_dependencies is not None
    assert first.python.conda_dependencies.pip_packages == ["azureml-defaults"]


def test_a_folder_holds_an_environment(tmp_path: Path) -> None:
    made = Environment.from_dockerfile("mine", "FROM x\n")
    made.save_to_directory(str(tmp_path / "env"))
    assert repr(Environment.load_from_directory(str(tmp_path / "env"))) == repr(made)
    with pytest.raises(UserErrorException, match="overwrite"):
        made.save_to_directory(str(tmp_path / "env"))
    made.save_to_directory(str(tmp_path / "env"), overwrite=True)


def test_registering_counts_changes(workspace: OpenWorkspace) -> None:
    made = Environment("mine")
    assert [made.register(workspace).version for _ in range(2)] == ["1", "1"]
    made.environment_variables["B"] = "2"
    assert made.register(workspace).version == "2"
    assert made.version is None
    assert Environment.get(workspace, "mine").version == "2"
    assert Environment.get(workspace, "mine", label="latest").environment_variables["B"] == "2"
    assert Environment.get(workspace, "mine", version=1).environment_variables == {"EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"}
    Environment("another").register(workspace)
    assert {name: found.version for name, found in Environment.list(workspace).items()} == {"another": "1", "mine": "2"}


def test_what_is_not_registered_is_named_with_what_is(workspace: OpenWorkspace) -> None:
    Environment("mine").register(workspace)
    with pytest.raises(EnvironmentException, match=r"named 'yours'\.\nThere is: mine"):
        Environment.get(workspace, "yours")
    with pytest.raises(EnvironmentException, match=r"no version 7\.\nIt has: 1"):
        Environment.get(workspace, "mine", version="7")
    with pytest.raises(EnvironmentException, match="no label 'best'"):
        Environment.get(workspace, "mine", label="best")


def test_labels_lead_to_versions(workspace: OpenWorkspace) -> None:
    made = Environment("mine")
    made.register(workspace)
    made.environment_variables["B"] = "2"
    made.register(workspace)
    Environment.label(workspace, "mine", "1", ["good", "old"])
    Environment.label(workspace, "mine", version=2, labels=["good"])
    assert Environment.get(workspace, "mine", label="good").version == "2"
    assert Environment.get(workspace, "mine", label="old").version == "1"
    assert Environment.get(workspace, "mine", label="latest").version == "2"
    with pytest.raises(EnvironmentException, match=r"no label 'new'\.\nThere is 'latest', 'good', 'old'"):
        Environment.get(workspace, "mine", label="new")
    with pytest.raises(EnvironmentException, match="no version 3"):
        Environment.label(workspace, "mine", "3", ["good"])
    for labels in ("good", ["latest"]):
        with pytest.raises(UserErrorException):
            Environment.label(workspace, "mine", "1", labels)


def test_a_private_wheel_is_kept_with_the_workspace(workspace: OpenWorkspace, tmp_path: Path) -> None:
    wheel = tmp_path / "mine-1.0-py3-none-any.whl"
    with pytest.raises(FileNotFoundError):
        Environment.add_private_pip_wheel(workspace, str(wheel))
    wheel.write_bytes(b"first")
    url = Environment.add_private_pip_wheel(workspace, str(wheel))
    kept = workspace.folder / "wheels" / wheel.name
    assert url == kept.as_uri()
    wheel.write_bytes(b"second")
    with pytest.raises(UserErrorException, match="exist_ok"):
        Environment.add_private_pip_wheel(workspace, str(wheel))
    assert Environment.add_private_pip_wheel(workspace, str(wheel), exist_ok=True) == url
    assert kept.read_bytes() == b"second"
    with pytest.raises(UserErrorException, match="no wheel"):
        Environment.add_private_pip_wheel(workspace, __file__)


def test_what_a_service_on_this_machine_does_not_have_is_named() -> None:
    made = Environment("mine")
    assert made.without_effect() == ()
    made.docker.base_image = "image:1"
    made.spark.packages.append(object())  # type: ignore[arg-type]  # v1's were objects
    made.databricks.pypi_libraries.append("six")
    made.r = RSection()
    assert made.without_effect() == (
        "environment.docker.base_image",
        "environment.spark",
        "environment.databricks",
        "environment.r",
    )


def test_details_of_the_image_that_is_not_there(workspace: OpenWorkspace) -> None:
    made = Environment.from_docker_image("mine", "image:1").register(workspace)
    details = made.get_image_details(workspace)
    assert (details["image_exist"], details["image"], details["interpreter_path"]) == (False, "image:1", "python")
    with pytest.raises(EnvironmentException):
        Environment("yours").get_image_details(workspace)


@pytest.mark.parametrize("name", ["AzureML-Minimal", "Microsoft-x", "azureml-own", " "])
def test_reserved_and_empty_names_are_refused(name: str, workspace: OpenWorkspace) -> None:
    with pytest.raises(UserErrorException):
        Environment(name).register(workspace)
    assert Environment.list(workspace) == {}


def test_a_build_ends_with_an_interpreter(workspace: OpenWorkspace, capsys: pytest.CaptureFixture[str]) -> None:
    build = Environment("mine").build(workspace)
    build.wait_for_completion(show_output=True)
    assert build.status == "Succeeded"
    assert build.interpreter is not None and build.interpreter.command == (sys.executable,)
    assert build.get_log() == f"Ready: {sys.executable}"
    assert capsys.readouterr().out == f"Ready: {sys.executable}\n"


def test_a_local_build_says_what_it_does_instead(workspace: OpenWorkspace, capsys: pytest.CaptureFixture[str]) -> None:
    environment = Environment("mine")
    environment.docker.base_image = "here/mine:1"
    log = environment.build_local(workspace, useDocker=True, pushImageToWorkspaceAcr=True)
    said = capsys.readouterr().out
    assert "no Docker image of it" in said
    assert "Not used on this machine: pushImageToWorkspaceAcr" in said
    assert "environments are no images: environment.docker.base_image" in log
    assert log.splitlines()[-1] == f"Ready: {sys.executable}"


class Unresolvable:
    """Environments of which none can be resolved."""

    def resolve(self, definition: EnvironmentDefinition | None, *, progress: Progress) -> Lock:
        progress.step("asking")
        raise ResolutionFailed("six==99 does not exist", hint="Change it.")

    def materialise(self, lock: Lock, *, progress: Progress) -> Interpreter:
        raise AssertionError("nothing was resolved")

    def python_with_wheels(self, requirement: str, *, progress: Progress) -> str:
        raise AssertionError("nothing was looked for")


def test_a_build_that_fails_raises_where_it_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    build = Environment("mine").build(OpenWorkspace(environments=Unresolvable()))
    with pytest.raises(ResolutionFailed, match="six==99"):
        build.wait_for_completion(show_output=False)
    assert build.status == "Failed"
    assert build.get_log() == "asking\nsix==99 does not exist\nChange it."
    assert capsys.readouterr().out == ""
