"""Plans of packages, and the Dockerfiles that they become."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import pytest

from modelport.bundles import BundleEnvironment, BundleModel, Manifest
from modelport.domain.environments import (
    CondaSpecification,
    DockerSection,
    EnvironmentDefinition,
    EnvironmentKind,
    Lock,
    PythonSection,
)
from modelport.domain.errors import UserErrorException
from modelport.packages import PackagePlan, plan_package
from modelport.packages.base_images import ServerPython, is_of_v1, official_image
from modelport.packages.context import settings_of
from modelport.packages.dockerfile import render


def plan(
    *,
    kind: EnvironmentKind = EnvironmentKind.VENV,
    python: str = "3.12.1",
    lock: str = "numpy==2.0\n",
    docker: DockerSection | None = None,
    interpreter: str = "python",
    models: tuple[BundleModel, ...] = (BundleModel("line", 2),),
    variables: Mapping[str, str] | None = None,
) -> PackagePlan:
    definition = EnvironmentDefinition(
        name="env",
        docker=docker or DockerSection(),
        python=PythonSection(
            user_managed_dependencies=kind is EnvironmentKind.SYSTEM,
            interpreter_path=interpreter,
            conda=CondaSpecification(),
        ),
    )
    manifest = Manifest(
        entry_script="src/score.py",
        source_directory="src",
        models=models,
        environment=BundleEnvironment("env", kind, "digest", python),
        environment_variables=variables or {},
    )
    locked = Lock(kind=kind, digest="digest", text=lock, python="/usr/bin/python3", python_version=python)
    return plan_package(manifest, definition, locked, name="demo", workspace="ws")


def instructions(text: str) -> list[str]:
    """The instructions, a line each, without comments."""
    joined = re.sub(r"\\\n", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    return [re.sub(r"\s+", " ", line).strip() for line in joined.splitlines() if line.strip()]


def test_the_image_serves_on_v1_s_port_by_v1_s_paths_and_not_as_root() -> None:
    lines = instructions(render(plan(variables={"MINE": 'a "b" $c \\d'})))
    assert "EXPOSE 5001" in lines
    assert lines[-1] == "USER 10001"
    assert "WORKDIR /var/azureml-app" in lines
    assert "COPY --chown=10001:10001 azureml-app /var/azureml-app" in lines
    assert "COPY --chown=10001:10001 azureml-models /var/azureml-app/azureml-models" in lines
    command = next(line for line in lines if line.startswith("CMD "))
    assert json.loads(command.removeprefix("CMD "))[-1] == "modelport_scoring.container"
    variables = next(line for line in lines if line.startswith("ENV MINE"))
    assert variables.startswith(r'ENV MINE="a \"b\" \$c \\d" AML_APP_ROOT="/var/azureml-app" ')
    for wanted in (
        'AZUREML_ENTRY_SCRIPT="src/score.py"',
        'AZUREML_SOURCE_DIRECTORY="src"',
        'AZUREML_MODEL_DIR="/var/azureml-app/azureml-models/line/2"',
        'SERVICE_NAME="demo"',
        'WORKSPACE_NAME="ws"',
        'WORKER_COUNT="1"',
    ):
        assert wanted in variables
    assert not any(line.startswith(("RUN --mount", "COPY --link", "# syntax")) for line in lines), "BuildKit only"


@pytest.mark.parametrize(
    ("models", "directory"),
    [
        ((), None),
        ((BundleModel("line", 2),), "/var/azureml-app/azureml-models/line/2"),
        ((BundleModel("line", 2), BundleModel("other", 1)), "/var/azureml-app/azureml-models"),
    ],
)
def test_the_model_directory_follows_v1(models: tuple[BundleModel, ...], directory: str | None) -> None:
    text = render(plan(models=models))
    assert ('AZUREML_MODEL_DIR="' in text, "azureml-models /var" in text) == (directory is not None, bool(models))
    assert directory is None or f'AZUREML_MODEL_DIR="{directory}"' in text


def test_a_recent_python_serves_and_runs_the_script() -> None:
    made = plan(python="3.12.1")
    lines = instructions(render(made))
    assert lines[0] == "ARG BASE_IMAGE=python:3.12-slim-bookworm"
    assert "FROM base AS tools" in lines
    assert made.base.server_python is ServerPython.SHARED
    assert any("uv venv --python 'python3' /opt/modelport/server" in line for line in lines)
    assert any("uv venv --python '3.12' /opt/modelport/environment" in line for line in lines)
    assert "UV_PYTHON_DOWNLOADS=never" in render(made)


@pytest.mark.parametrize(
    ("python", "release"), [("3.6.15", "bullseye"), ("3.7.16", "bookworm"), ("3.8.18", "bookworm")]
)
def test_an_old_python_has_a_recent_one_beside_it(python: str, release: str) -> None:
    lines = instructions(render(plan(python=python)))
    minor = python.rpartition(".")[0]
    assert lines[:2] == [
        f"ARG BASE_IMAGE=python:{minor}-slim-{release}",
        f"ARG TOOLS_IMAGE=python:3.11-slim-{release}",
    ]
    assert "FROM ${TOOLS_IMAGE} AS tools" in lines
    assert "COPY --from=tools /opt/modelport/python /opt/modelport/python" in lines
    assert any("uv venv --python '/opt/modelport/python/bin/python3' /opt/modelport/server" in line for line in lines)
    assert any(f"uv venv --python '{minor}' /opt/modelport/environment" in line for line in lines)


def test_an_own_base_image_is_asked_for_its_pythons() -> None:
    made = plan(docker=DockerSection(base_image="registry.example/mine:1"), python="3.8.18")
    lines = instructions(render(made))
    assert lines[0] == "ARG BASE_IMAGE=registry.example/mine:1"
    assert any("uv venv --python '>=3.11' /opt/modelport/server" in line for line in lines)
    assert "UV_PYTHON_DOWNLOADS=automatic" in render(made)
    assert made.notes == []


@pytest.mark.parametrize(
    "image",
    [
        "mcr.microsoft.com/azureml/openmpi3.1.2-ubuntu18.04:20210806.v1",
        "azureml/base:intelmpi2018.3-ubuntu16.04",
        "mcr.microsoft.com/azureml-base/x",
    ],
)
def test_v1_s_own_base_images_are_replaced_and_that_is_said(image: str) -> None:
    assert is_of_v1(image)
    made = plan(docker=DockerSection(base_image=image))
    assert made.base.image == official_image("3.12")
    assert image in made.notes[0]
    assert f"# Note: The base image {image}" in render(made)


def test_a_base_dockerfile_comes_first() -> None:
    text = "FROM debian:12 AS one\nRUN true\nFROM python:3.11\nCOPY --from=one /x /x\n"
    lines = instructions(render(plan(docker=DockerSection(base_dockerfile=text))))
    assert lines[:7] == [
        f"ARG TOOLS_IMAGE={official_image('3.11')}",
        "FROM debian:12 AS one",
        "RUN true",
        "FROM python:3.11 AS custom-base",
        "COPY --from=one /x /x",
        "FROM custom-base AS base",
        "USER root",
    ]
    named = render(plan(docker=DockerSection(base_dockerfile="from --platform=linux/amd64 python:3.11 as mine\n")))
    assert "FROM mine AS base" in instructions(named)
    with pytest.raises(UserErrorException, match="has no FROM line"):
        render(plan(docker=DockerSection(base_dockerfile="RUN true")))


def test_conda_packages_are_installed_by_rattler() -> None:
    lock = json.dumps({"packages": [], "pip": ["lightgbm==4.0"]})
    made = plan(kind=EnvironmentKind.CONDA, python="3.8.18", lock=lock)
    lines = instructions(render(made))
    assert lines[0] == f"ARG BASE_IMAGE={official_image('3.11')}", "the script's Python comes with its prefix"
    assert any(re.search(r"pip install .*uv==\S+ py-rattler==\S+", line) for line in lines)
    assert any("install_conda.py /tmp/environment/conda-lock.json /opt/modelport/environment" in line for line in lines)
    assert 'ARG SYSTEM_PACKAGES="libgomp1"' in lines


def test_an_environment_that_manages_itself_installs_nothing() -> None:
    made = plan(kind=EnvironmentKind.SYSTEM, lock="", python="")
    assert made.interpreter == "python3"
    assert "COPY environment /tmp/environment" not in render(made)
    assert "nothing is installed" in made.notes[0]
    own = plan(
        kind=EnvironmentKind.SYSTEM,
        lock="",
        python="",
        docker=DockerSection(base_image="mine:1", arguments=("--shm-size", "1g")),
        interpreter="/opt/conda/bin/python",
    )
    assert settings_of(own).revision.interpreter == ["../../opt/conda/bin/python"]
    assert own.notes == ["Give docker run the arguments of the environment: --shm-size 1g"]


def test_what_packages_need_of_the_system_is_known() -> None:
    made = plan(lock="lightgbm==4.0\nopencv-python==4.5\ntool @ git+https://example.org/tool@1\n")
    assert made.system_packages == ["libgl1", "libglib2.0-0", "libgomp1"]
    assert made.build_packages == ["git"]


def test_a_variable_that_no_line_can_hold_goes_with_the_settings() -> None:
    made = plan(variables={"TWO_LINES": "a\nb", "with-dash": "x", "PLAIN": "y"})
    assert settings_of(made).revision.environment_variables == {"TWO_LINES": "a\nb", "with-dash": "x"}
    assert "TWO_LINES" not in render(made)
    assert 'PLAIN="y"' in render(made)
