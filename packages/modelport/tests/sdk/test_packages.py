"""``Model.package`` and what it returns; that a package builds and serves is tested beside modelport.packages."""

from __future__ import annotations

import json
import platform
import stat
from pathlib import Path

import pytest

from modelport import CondaDependencies, Environment, InferenceConfig, Model, Workspace
from modelport.domain.errors import StoreException, UserErrorException, WebserviceException
from modelport.packages.engine import find_engine
from modelport.sdk.environment_sections import ContainerRegistry
from modelport.sdk.packages import ModelPackage

from .conftest import Deployer


def environment() -> Environment:
    made = Environment("env")
    made.python.conda_dependencies = CondaDependencies.create(pip_packages=["azureml-defaults"])
    made.docker.base_image = "registry.example/base:1"
    made.docker.base_image_registry = ContainerRegistry("registry.example", "me", "secret")
    return made


@pytest.fixture
def config(deployer: Deployer) -> InferenceConfig:
    deployer.script()
    return InferenceConfig("score.py", source_directory=str(deployer.source), environment=environment())


def test_a_package_is_a_folder_to_save(
    deployer: Deployer, workspace: Workspace, config: InferenceConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    package = Model.package(workspace, [deployer.model(), deployer.model()], config, True, image_name="demo")
    package.wait_for_creation(show_output=True)
    package.update_creation_state()
    assert "Package creation Succeeded" in capsys.readouterr().out
    assert (package.state, package.id, package.model_ids) == ("Succeeded", "demo:1", ["answer:1", "answer:2"])
    assert package.environment.name == "env"
    registry = package.get_container_registry()
    assert (registry.address, registry.username) == ("registry.example", "me")
    assert "Writing the package" in str(package.get_logs())
    assert package.get_logs(decode=False, offset=2) == str(package.get_logs()).encode()[2:]
    assert Path(package.location) == package.folder
    serialized = json.loads(json.dumps(package.serialize()))
    assert (serialized["packageId"], serialized["location"]) == ("demo:1", package.location)
    assert "secret" not in "".join(path.read_text() for path in package.folder.rglob("*.json"))

    package.save("out")
    Path("out/mine.txt").write_text("stays")
    Path("out/azureml-app/left.txt").write_text("goes")
    package.save(Path("out"))
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "Dockerfile",
        "azureml-app",
        "azureml-models",
        "environment",
        "mine.txt",
        "server",
    ]
    assert not Path("out/azureml-app/left.txt").exists()
    model = Path("out/azureml-models/answer/1/model.txt")
    assert (model.read_text(), stat.S_IMODE(model.stat().st_mode)) == ("first", 0o644)
    assert model.stat().st_nlink == 1, "what was saved can be edited"

    second = Model.package(workspace, ["answer:1"], config, generate_dockerfile=True, image_name="demo")
    assert [each.id for each in ModelPackage.list(workspace)] == ["demo:2", "demo:1"]
    assert "id=demo:2" in repr(second)
    second.delete()
    second.delete()  # again: nothing happens
    assert not second.folder.exists()
    assert [each.id for each in ModelPackage.list(workspace)] == ["demo:1"]
    assert list((workspace.folder / "bundles").glob("[0-9a-f]*")) == [], "a package needs no bundle any more"


def test_what_a_package_needs(deployer: Deployer, workspace: Workspace, config: InferenceConfig) -> None:
    with pytest.raises(WebserviceException, match="needs an inference configuration"):
        Model.package(workspace, [], None, generate_dockerfile=True)
    with pytest.raises(WebserviceException, match="needs an environment"):
        Model.package(workspace, [], deployer.config(), generate_dockerfile=True)
    with pytest.raises(WebserviceException, match="Invalid image name 'With Space'"):
        Model.package(workspace, [], config, generate_dockerfile=True, image_name="With Space")
    assert ModelPackage.list(workspace) == []
    package = Model.package(workspace, [], config, generate_dockerfile=True)
    assert package.name == "package"
    with pytest.raises(WebserviceException, match=r"no image that could be pulled(?s:.*)docker build"):
        package.pull()
    Path("taken").write_text("a file")
    with pytest.raises(StoreException, match="cannot be written to taken"):
        package.save("taken")


def test_an_older_configuration_is_packaged_too(deployer: Deployer, workspace: Workspace) -> None:
    deployer.script()
    python = platform.python_version()
    (deployer.source / "conda.yml").write_text(f"dependencies:\n- python={python}\n- pip:\n  - azureml-defaults\n")
    config = InferenceConfig(
        "score.py", source_directory=str(deployer.source), runtime="python", conda_file="conda.yml"
    )
    package = Model.package(workspace, [deployer.model()], config, generate_dockerfile=True)
    assert "FROM" in (package.folder / "Dockerfile").read_text()


def test_an_interpreter_of_an_image_is_not_looked_for_here(
    deployer: Deployer, workspace: Workspace, config: InferenceConfig
) -> None:
    config.environment = Environment.from_docker_image("there", "mine:1")
    config.environment.python.interpreter_path = "/opt/nowhere/on/this/machine/python"
    package = Model.package(workspace, [deployer.model()], config, generate_dockerfile=True)
    settings = json.loads((package.folder / "server/service.json").read_text())
    assert settings["revision"]["interpreter"] == ["../../opt/nowhere/on/this/machine/python"]


def test_what_a_killed_program_left_is_removed(
    deployer: Deployer, workspace: Workspace, config: InferenceConfig
) -> None:
    for name in ("demo-0123456789ab", ".building-left"):
        (workspace.folder / "packages" / name).mkdir(parents=True)
    Model.package(workspace, [], config, generate_dockerfile=True, image_name="demo")
    assert len(list((workspace.folder / "packages").iterdir())) == 1


# --- images -----------------------------------------------------------------------------------------------------------


def engine(folder: Path, *, status: int = 0) -> str:
    """A program that answers as engines do, and builds nothing: real ones are in ``make test-containers``."""
    program = folder / "engine"
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {folder}/calls\n'
        f'[ "$1" != build ] || {{ echo "a step"; exit {status}; }}\n'
        f'[ "$1" != image ] || [ ! -e {folder}/gone ]\n'
    )
    program.chmod(0o755)
    return str(program)


def test_without_an_engine_there_is_no_image(
    workspace: Workspace, config: InferenceConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MODELPORT_CONTAINER_ENGINE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WebserviceException, match=r"none answers on this machine(?s:.*)generate_dockerfile=True"):
        Model.package(workspace, [], config)
    with pytest.raises(UserErrorException, match="names 'nowhere', which does not answer"):
        find_engine({"MODELPORT_CONTAINER_ENGINE": "nowhere"})


def test_an_engine_builds_the_image(
    workspace: Workspace, config: InferenceConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MODELPORT_CONTAINER_ENGINE", engine(tmp_path))
    monkeypatch.setenv("MODELPORT_BUILD_OPTIONS", "--build-arg 'A=b c' --network=host")
    package = Model.package(workspace, [], config, image_name="demo", image_label="v7")
    assert package.location == "demo:v7"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[1].startswith("build --build-arg A=b c --network=host --tag demo:v7 ")
    assert "a step" in str(package.get_logs())
    assert package.pull() == "demo:v7"
    (tmp_path / "gone").touch()
    with pytest.raises(WebserviceException, match="demo:v7 is not there any more"):
        package.pull()


def test_what_an_engine_complains_of_is_told_and_nothing_is_kept(
    workspace: Workspace, config: InferenceConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MODELPORT_CONTAINER_ENGINE", engine(tmp_path, status=3))
    with pytest.raises(WebserviceException, match=r"package:latest cannot be built: .*/engine ended with 3\.\na step"):
        Model.package(workspace, [], config)
    assert ModelPackage.list(workspace) == []
    assert list((workspace.folder / "packages").iterdir()) == []
