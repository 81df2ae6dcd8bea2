from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelport.domain.environments import CondaSpecification, DockerSection, EnvironmentDefinition, PythonSection
from modelport.domain.errors import UserErrorException
from modelport.environments.definition_json import (
    definition_from_json,
    definition_to_json,
    load_definition,
    save_definition,
)

FULL = EnvironmentDefinition(
    name="full",
    environment_variables={"A_b": "1"},
    python=PythonSection(
        user_managed_dependencies=True,
        interpreter_path="/opt/python",
        conda=CondaSpecification(name="n", channels=("c",), packages=("python=3.8", "numpy"), pip=("six", "# why")),
    ),
    docker=DockerSection(
        enabled=True,
        base_image="image:1",
        base_image_registry={"address": "a", "registry_identity": "r"},
        shm_size=None,
        arguments=("--cpus", "2"),
    ),
    inferencing_stack_version="latest",
)


def test_every_field_survives_json() -> None:
    assert definition_from_json(json.loads(json.dumps(definition_to_json(FULL)))) == FULL


def test_the_keys_are_those_of_the_reference() -> None:
    content = definition_to_json(FULL, version="3")
    assert list(content) == [
        *("name", "version", "environmentVariables", "python", "docker", "spark", "databricks", "r"),
        "inferencingStackVersion",
    ]
    assert content["version"] == "3"
    assert set(content["python"]) == {
        *("userManagedDependencies", "interpreterPath", "condaDependenciesFile", "baseCondaEnvironment"),
        "condaDependencies",
    }
    assert content["python"]["condaDependencies"]["dependencies"][-1] == {"pip": ["six", "# why"]}
    assert content["docker"]["baseImageRegistry"] == {
        "address": "a",
        "username": None,
        "password": None,
        "registryIdentity": "r",
    }
    assert content["spark"] == {"repositories": [], "packages": [], "precachePackages": True}
    assert len(content["databricks"]) == 5


def test_snake_case_and_unknown_keys_are_read() -> None:
    read = definition_from_json(
        {
            "name": "snake",
            "assetId": "azureml://x",
            "environment_variables": {"camelCase": 1},
            "python": {"user_managed_dependencies": True, "interpreter_path": "/opt/python", "new": {}},
            "docker": {"shm_size": "4g", "preparation": None},
            "inferencing_stack_version": "latest",
        }
    )
    assert read == EnvironmentDefinition(
        name="snake",
        environment_variables={"camelCase": "1"},
        python=PythonSection(user_managed_dependencies=True, interpreter_path="/opt/python"),
        docker=DockerSection(shm_size="4g"),
        inferencing_stack_version="latest",
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "'name' is missing"),
        ([], "must be an object"),
        (
            {"name": "a", "python": {"userManagedDependencies": "yes"}},
            "'userManagedDependencies' must be true or false",
        ),
        ({"name": "a", "docker": {"baseImage": 3}}, "'baseImage' must be text"),
        ({"name": "a", "docker": {"arguments": "x"}}, "must be a list"),
        ({"name": "a", "python": {"condaDependencies": {"dependencies": 1}}}, "'dependencies' must be a list"),
        ({"name": "a", "environmentVariables": ["A=1"]}, "'environmentVariables' must be an object"),
    ],
)
def test_a_wrong_value_is_named(content: object, said: str) -> None:
    with pytest.raises(UserErrorException, match=said):
        definition_from_json(content)


def test_a_folder_holds_everything(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "on the way"
    save_definition(FULL, folder, overwrite=False, version="7")
    assert sorted(file.name for file in folder.iterdir()) == ["azureml_environment.json", "conda_dependencies.yml"]
    read, version = load_definition(folder)
    assert version == "7"
    conda = read.python.conda
    assert conda is not None and conda.source == str(folder / "conda_dependencies.yml")
    assert definition_to_json(read) == definition_to_json(FULL)


def test_a_dockerfile_is_a_file_of_its_own(tmp_path: Path) -> None:
    made = EnvironmentDefinition(name="d", docker=DockerSection(base_dockerfile="FROM x\nRUN y\n"))
    save_definition(made, tmp_path, overwrite=False)
    assert (tmp_path / "BaseDockerfile").read_text(encoding="utf-8") == "FROM x\nRUN y\n"
    assert load_definition(tmp_path)[0] == made


def test_a_folder_is_replaced_only_when_asked(tmp_path: Path) -> None:
    save_definition(FULL, tmp_path, overwrite=False)
    with pytest.raises(UserErrorException, match="overwrite=True"):
        save_definition(EnvironmentDefinition(name="other"), tmp_path, overwrite=False)
    assert load_definition(tmp_path)[0].name == "full"
    save_definition(EnvironmentDefinition(name="other"), tmp_path, overwrite=True)
    assert load_definition(tmp_path)[0] == EnvironmentDefinition(name="other")


def test_bad_json_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "azureml_environment.json").write_text('{\n"name": oops}', encoding="utf-8")
    with pytest.raises(UserErrorException, match=r"azureml_environment\.json:2: this is not valid JSON"):
        load_definition(tmp_path)


def test_an_empty_folder_holds_no_environment(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"azureml_environment\.json"):
        load_definition(tmp_path)
