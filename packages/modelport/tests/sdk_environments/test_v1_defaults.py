"""What ``azureml.core.environment`` and ``.conda_dependencies`` have that Modelport's own classes have not."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import pytest

import modelport
from azureml._constants import DEFAULT_CPU_IMAGE
from modelport.domain.errors import EnvironmentException, UserErrorException
from modelport.domain.workspaces import WorkspaceRecord
from modelport.environments.memory import MemoryEnvironments
from modelport.sdk import environment_sections
from modelport.sdk.v1.conda_dependencies import CondaDependencies
from modelport.sdk.v1.environment import DockerSection, Environment, PythonSection
from modelport.storage.memory import MemoryStore


@dataclass(frozen=True)
class OpenWorkspace:
    """A workspace as far as the registry of environments goes."""

    registry: MemoryStore
    context: Said
    folder: Path


class Said:
    """Environments that install nothing, and what is said."""

    environments = MemoryEnvironments()

    def __init__(self) -> None:
        self.steps: list[str] = []

    @property
    def progress(self) -> Said:
        return self

    def step(self, text: str) -> None:
        self.steps.append(text)

    def amount(self, label: str, done: int, total: int) -> None:
        return None


@pytest.fixture
def workspace(tmp_path: Path) -> OpenWorkspace:
    store = MemoryStore(workspace="ws")
    store.create_workspace(WorkspaceRecord(name="ws", id="0", created_time=dt.datetime.now(dt.UTC)))
    return OpenWorkspace(store, Said(), tmp_path)


def test_conda_dependencies_start_as_in_v1() -> None:
    made = CondaDependencies()
    assert made.get_python_version() == "3.6.2"
    assert made.pip_packages == ["azureml-defaults"]
    assert made.conda_channels == ["anaconda", "conda-forge"]
    text = made.serialize_to_string()
    assert "name: project_environment" in text and "#" in text


def test_create_pins_the_sdk_unless_told_not_to() -> None:
    assert CondaDependencies.create(pip_packages=["six"]).pip_packages == ["azureml-defaults~=1.36.0", "six"]
    assert CondaDependencies.create(pin_sdk_version=False).pip_packages == ["azureml-defaults"]
    assert CondaDependencies.create(pip_packages=["azureml-defaults>=1.0.45"]).pip_packages == [
        "azureml-defaults>=1.0.45"
    ]
    assert CondaDependencies.create(python_version="3.8").get_python_version() == "3.8"


def test_an_environment_starts_as_in_v1(tmp_path: Path) -> None:
    made = Environment("mine")
    assert made.python.conda_dependencies is not None
    assert made.python.conda_dependencies.get_python_version() == "3.6.2"
    assert made.docker.base_image == DEFAULT_CPU_IMAGE
    (tmp_path / "requirements.txt").write_text("six\n")
    conda = Environment.from_pip_requirements("mine", str(tmp_path / "requirements.txt")).python.conda_dependencies
    assert conda is not None and conda.conda_packages == ["python=3.6.2", "pip"]


def test_an_image_of_v1_is_no_image_of_your_own() -> None:
    made = Environment("mine")
    assert made.without_effect() == ()
    assert made.to_definition().docker.base_image is None
    made.docker.base_dockerfile = "FROM x\n"
    assert Environment.from_definition(made.to_definition()).docker.base_image is None
    made.docker.base_image = "mine.example/image:1"
    with pytest.raises(UserErrorException, match="exclude each other"):
        made.to_definition()
    made.docker.base_dockerfile = None
    assert Environment.from_definition(made.to_definition()).docker.base_image == "mine.example/image:1"


def test_what_is_registered_comes_back_as_in_v1(workspace: OpenWorkspace) -> None:
    registered = Environment("mine").register(workspace)
    assert type(registered) is Environment
    assert type(Environment.get(workspace, "mine")) is Environment
    assert type(Environment.list(workspace)["mine"]) is Environment
    assert registered.docker.base_image == DEFAULT_CPU_IMAGE


def test_objects_of_modelport_are_objects_of_v1_too() -> None:
    ours = modelport.Environment("mine")
    assert isinstance(ours, Environment) and isinstance(Environment("mine"), modelport.Environment)
    assert isinstance(ours.python, PythonSection) and isinstance(ours.docker, DockerSection)
    assert isinstance(ours.python.conda_dependencies, CondaDependencies)
    assert not isinstance(object(), Environment)

    class Special(Environment):
        """As somebody may derive one."""

    assert isinstance(Special("mine"), Special)
    assert not isinstance(ours, Special)
    assert not isinstance(Environment("mine"), Special)
    assert not isinstance(environment_sections.SparkSection(), PythonSection)


@pytest.mark.parametrize(
    ("name", "python", "pip"),
    [
        ("AzureML-Minimal", "3.6.2", []),
        ("AzureML-Scikit-learn-0.20.3", "3.6.2", ["scikit-learn==0.20.3"]),
        ("AzureML-sklearn-0.24-ubuntu18.04-py37-cpu", "3.7", ["scikit-learn==0.24.*"]),
        ("AzureML-PyTorch-1.6-CPU", "3.6.2", ["torch==1.6.*"]),
        ("AzureML-xgboost-0.9-ubuntu18.04-py37-cpu-inference", "3.7", ["xgboost==0.9.*", "scikit-learn"]),
        ("AzureML-Tutorial", "3.6.2", ["scikit-learn", "matplotlib"]),
    ],
)
def test_a_curated_environment_is_made_of_its_name(
    workspace: OpenWorkspace, name: str, python: str, pip: list[str]
) -> None:
    conda = Environment.get(workspace, name).python.conda_dependencies
    assert conda is not None
    assert conda.get_python_version() == python
    assert conda.pip_packages[: len(pip) + 1] == ["azureml-defaults", *pip]
    assert ("numpy" in conda.pip_packages) == bool(pip)
    assert name in workspace.context.steps[0] and f"python={python}" in workspace.context.steps[0]


@pytest.mark.parametrize("name", ["AzureML-Quantum-1.0", "azureml", "mine"])
def test_other_names_are_not_made_up(workspace: OpenWorkspace, name: str) -> None:
    with pytest.raises(EnvironmentException, match="no environment named"):
        Environment.get(workspace, name)


def test_what_is_in_the_workspace_is_taken_first(workspace: OpenWorkspace) -> None:
    own = Environment.get(workspace, "AzureML-Minimal")
    own.environment_variables = {"OWN": "1"}
    workspace.registry.register_environment(own.to_definition())
    assert Environment.get(workspace, "AzureML-Minimal").environment_variables == {"OWN": "1"}
    with pytest.raises(EnvironmentException, match="no version 2"):
        Environment.get(workspace, "AzureML-Minimal", version=2)
    copy = own.clone("mine").register(workspace)
    assert (copy.name, copy.version) == ("mine", "1")
