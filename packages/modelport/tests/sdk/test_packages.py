"""``Model.package`` and what it returns; that a package builds and serves is tested beside modelport.packages."""

from __future__ import annotations

import json
import pickle
import platform
import stat
from pathlib import Path

import pytest
from sklearn.linear_model import Ridge

from modelport import CondaDependencies, Environment, InferenceConfig, Model, Workspace
from modelport.domain.errors import StoreException, UserErrorException, WebserviceException
from modelport.packages.engine import find_engine
from modelport.sdk.environment_sections import ContainerRegistry
from modelport.sdk.packages import ModelPackage

from ..images.made_of_files import debian
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
    with pytest.raises(WebserviceException, match="no entry script, and 0 models"):
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


def test_what_is_of_no_package_stays(deployer: Deployer, workspace: Workspace, config: InferenceConfig) -> None:
    package = Model.package(workspace, [deployer.model()], config, generate_dockerfile=True)
    for name in ("Dockerfile", "environment/mine.yml", "server/bundle.json", "azureml-app/mine.py"):
        file = Path("project", name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("FROM mine\n")
        before = sorted(Path("project").rglob("*"))
        with pytest.raises(UserErrorException, match=r"project has 'Dockerfile', which would be replaced"):
            package.save("project")
        assert sorted(Path("project").rglob("*")) == before
        assert file.read_text() == "FROM mine\n"
    Path("project/Dockerfile").unlink()
    with pytest.raises(UserErrorException, match=r"project has 'server', which would be replaced"):
        package.save("project")


def test_a_model_of_a_known_framework_needs_no_script(workspace: Workspace) -> None:
    Path("model.pkl").write_bytes(pickle.dumps(Ridge().fit([[0.0], [1.0]], [1.0, 3.0])))
    model = Model.register(workspace, "model.pkl", "ridge", model_framework=Model.Framework.SCIKITLEARN)
    package = Model.package(workspace, [model], generate_dockerfile=True)
    package.save("out")
    assert Path("out/azureml-models/ridge/1/model.pkl").exists()
    assert any(path.name == "score.py" for path in Path("out/azureml-app").rglob("*.py"))
    assert "scikit-learn==" in "".join(path.read_text() for path in Path("out/environment").rglob("*.txt"))


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
    """A program that answers as engines do, and keeps nothing: real ones are in ``make test-packages``."""
    program = folder / "engine"
    program.write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\n[ "$1" != load ] || exit {status}\n')
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the official image."""
    monkeypatch.setenv("MODELPORT_BASE_IMAGE", str(debian(tmp_path)))
    return tmp_path


@pytest.fixture
def plain(config: InferenceConfig) -> InferenceConfig:
    """Without an own base, and with no package."""
    config.environment = Environment("env")
    config.environment.python.conda_dependencies = CondaDependencies.create(pip_packages=["azureml-defaults"])
    return config


def test_an_image_needs_no_engine(
    deployer: Deployer,
    workspace: Workspace,
    plain: InferenceConfig,
    base: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("MODELPORT_CONTAINER_ENGINE", raising=False)
    package = Model.package(workspace, [deployer.model()], plain, image_name="demo", image_label="v7")
    assert package.location == "demo:v7"
    assert "Layer code" in str(package.get_logs())
    package.save(base / "saved")
    index = json.loads((base / "saved" / "index.json").read_text())
    assert index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] == "v7"
    (bill,) = (base / "saved").glob("sbom-*.cdx.json")
    assert "modelport-scoring" in bill.read_text()
    (base / "saved" / "mine.txt").write_text("stays")
    (base / "saved" / "blobs" / "of-the-one-before").touch()
    package.save(base / "saved")
    assert (base / "saved" / "mine.txt").exists()
    assert not (base / "saved" / "blobs" / "of-the-one-before").exists()
    own = base / "own" / "blobs"
    own.mkdir(parents=True)
    (own / "mine").touch()
    with pytest.raises(UserErrorException, match=r"own has 'blobs', which would be replaced"):
        package.save(own.parent)
    for name in ("index.json", "oci-layout"):  # that of another program
        (own.parent / name).write_text("mine")
    with pytest.raises(UserErrorException, match=r"own has '\S+', which would be replaced"):
        package.save(own.parent)
    assert (own / "mine").exists() and (own.parent / "index.json").read_text() == "mine"
    assert len([*own.parent.iterdir()]) == 3, "nothing was written"

    monkeypatch.setenv("MODELPORT_CONTAINER_ENGINE", engine(base))
    assert package.pull() == "demo:v7"
    assert "load --input" in (base / "calls").read_text()
    assert "The image demo:v7 is on this machine" in capsys.readouterr().out
    monkeypatch.setenv("MODELPORT_CONTAINER_ENGINE", engine(base, status=3))
    with pytest.raises(WebserviceException, match="does not load the image"):
        package.pull()
    with pytest.raises(UserErrorException, match="has no image for"):
        package.save_archive("image.tar", "linux/arm64" if platform.machine() == "x86_64" else "linux/amd64")
    monkeypatch.delenv("MODELPORT_CONTAINER_ENGINE")
    monkeypatch.setenv("PATH", str(base / "empty"))
    with pytest.raises(WebserviceException, match=r"no container engine to give it to(?s:.*)package\.push"):
        package.pull()
    with pytest.raises(UserErrorException, match="names 'nowhere', which does not answer"):
        find_engine({"MODELPORT_CONTAINER_ENGINE": "nowhere"})


def test_of_an_image_that_cannot_be_made_nothing_is_kept(
    workspace: Workspace, config: InferenceConfig, tmp_path: Path
) -> None:
    config.environment = Environment.from_docker_image("there", str(tmp_path / "nothing.tar"))
    with pytest.raises(UserErrorException, match=r"nothing\.tar is not there"):
        Model.package(workspace, [], config)
    assert ModelPackage.list(workspace) == []
    assert list((workspace.folder / "packages").iterdir()) == []


def test_docker_steps_need_an_engine(
    deployer: Deployer, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deployer.script()
    (deployer.source / "conda.yml").write_text(f"dependencies:\n- python={platform.python_version()}\n")
    (deployer.source / "steps").write_text("RUN apt-get install -y libgomp1\n")
    config = InferenceConfig(
        "score.py",
        source_directory=str(deployer.source),
        runtime="python",
        conda_file="conda.yml",
        extra_docker_file_steps="steps",
        base_image="mine/base:1",
    )
    package = Model.package(workspace, [], config, generate_dockerfile=True)
    text = (package.folder / "Dockerfile").read_text()
    assert "FROM mine/base:1 AS custom-base\nRUN apt-get install -y libgomp1" in text
    monkeypatch.delenv("MODELPORT_CONTAINER_ENGINE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(UserErrorException, match=r"only a container engine can run(?s:.*)base_image"):
        Model.package(workspace, [], config)
