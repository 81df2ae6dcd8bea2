from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from modelport import CondaDependencies
from modelport.domain.errors import UserErrorException
from modelport.environments.specification import parse_conda

RUNNING = f"{sys.version_info[0]}.{sys.version_info[1]}"


def test_the_defaults() -> None:
    made = CondaDependencies()
    assert made.conda_packages == [f"python={RUNNING}"]
    assert made.pip_packages == ["azureml-defaults"]
    assert made.conda_channels == ["anaconda", "conda-forge"]
    assert made.pip_options == []
    assert made.get_python_version() == RUNNING
    assert CondaDependencies.get_default_number_of_packages() == 1


def test_the_text_is_a_conda_file_with_comments() -> None:
    text = CondaDependencies.create(conda_packages=["numpy"], pip_packages=["six==1.16.0"]).serialize_to_string()
    assert text.startswith("#")
    assert yaml.safe_load(text) == {
        "name": "project_environment",
        "channels": ["anaconda", "conda-forge"],
        "dependencies": [f"python={RUNNING}", "numpy", {"pip": ["azureml-defaults", "six==1.16.0"]}],
    }


def test_create_takes_everything() -> None:
    made = CondaDependencies.create(
        pip_indexurl="https://a.example/simple",
        pip_packages=["azureml-defaults==1.0.45", "inference-schema[numpy-support]"],
        conda_packages=["scikit-learn==0.24.2"],
        python_version="3.6.2",
        pin_sdk_version=False,
    )
    assert made.conda_packages == ["python=3.6.2", "scikit-learn==0.24.2"]
    assert made.pip_packages == ["azureml-defaults==1.0.45", "inference-schema[numpy-support]"]
    assert made.pip_options == ["--index-url https://a.example/simple"]


def test_a_second_specification_replaces_the_first_where_it_stands() -> None:
    made = CondaDependencies()
    made.add_pip_package("Scikit_Learn==0.20")
    made.add_pip_package("six")
    made.add_pip_package("scikit-learn[x]>=1")
    assert made.pip_packages == ["azureml-defaults", "scikit-learn[x]>=1", "six"]
    made.add_conda_package("numpy=1.18")
    made.add_conda_package("scipy")
    made.add_conda_package("conda-forge::numpy>=1.19")
    assert made.conda_packages == [f"python={RUNNING}", "conda-forge::numpy>=1.19", "scipy"]
    made.add_conda_package("python=3.8")
    assert made.get_python_version() == "3.8"


def test_what_is_removed_is_gone_whatever_its_version() -> None:
    made = CondaDependencies.create(pip_packages=["six==1.16.0", "./local.whl"], conda_packages=["numpy=1.18"])
    made.remove_pip_package("six")
    made.remove_pip_package("./local.whl")
    made.remove_pip_package("never-there")
    made.remove_conda_package("numpy")
    made.remove_channel("anaconda")
    assert made.pip_packages == ["azureml-defaults"]
    assert made.conda_packages == [f"python={RUNNING}"]
    assert made.conda_channels == ["conda-forge"]


def test_a_channel_is_there_once() -> None:
    made = CondaDependencies()
    made.add_channel("pytorch")
    made.add_channel("pytorch")
    assert made.conda_channels == ["anaconda", "conda-forge", "pytorch"]


def test_options_are_entries_of_the_pip_list() -> None:
    made = CondaDependencies()
    made.set_pip_option("--extra-index-url https://a.example/simple")
    made.set_pip_option("--pre")
    made.set_pip_option("--pre")
    made.set_pip_index_url("https://old.example")
    made.set_pip_index_url("https://b.example/simple")
    assert made.as_dict()["dependencies"][-1]["pip"] == [
        "--extra-index-url https://a.example/simple",
        "--pre",
        "--index-url https://b.example/simple",
        "azureml-defaults",
    ]
    made.remove_pip_option("--extra-index-url")
    assert made.pip_options == ["--pre", "--index-url https://b.example/simple"]


def test_requirements_are_set_and_options_stay() -> None:
    made = CondaDependencies.create(pip_indexurl="https://a.example")
    made.set_pip_requirements(["six", "idna"])
    assert made.pip_packages == ["six", "idna"]
    assert made.pip_options == ["--index-url https://a.example"]


@pytest.mark.parametrize("version", ["3.8", "2.7", "3.6.2"])
def test_any_python_may_be_asked_for(version: str) -> None:
    made = CondaDependencies(_underlying_structure={"dependencies": ["numpy"]})
    assert made.get_python_version() is None
    made.set_python_version(version)
    assert made.conda_packages == [f"python={version}", "numpy"]
    assert made.get_python_version() == version


def test_a_file_is_read_changed_and_saved_in_its_place(tmp_path: Path) -> None:
    file = tmp_path / "env.yml"
    file.write_text("name: mine\ndependencies:\n- python=3.8\n- pip:\n  - six\n", encoding="utf-8")
    made = CondaDependencies(str(file))
    made.add_pip_package("idna")
    assert made.save() == str(file)
    read = parse_conda(file.read_text(encoding="utf-8"))
    assert (read.name, read.packages, read.pip) == ("mine", ("python=3.8",), ("six", "idna"))


def test_saving_to_a_folder(tmp_path: Path) -> None:
    made = CondaDependencies()
    assert made.save_to_file(str(tmp_path), "sub/myenv.yml") == "sub/myenv.yml"
    assert CondaDependencies(str(tmp_path / "sub" / "myenv.yml")).as_dict() == made.as_dict()
    assert made.save(str(tmp_path)) == str(tmp_path / "conda_dependencies.yml")


def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.yml"):
        CondaDependencies(str(tmp_path / "nowhere.yml"))
    with pytest.raises(UserErrorException, match="must be a list"):
        CondaDependencies.create(pip_packages="six")
    with pytest.raises(UserErrorException, match="pip_package must be text"):
        CondaDependencies().add_pip_package("")


def test_merged_requirements() -> None:
    merged = CondaDependencies.merge_requirements(["six>=1.10", "idna", "six<2", "six<2"])
    assert merged == ["six>=1.10,<2", "idna"]


def test_the_origin_is_the_index_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://a.example/simple")
    assert CondaDependencies.sdk_origin_url() == "https://a.example/simple"


@pytest.mark.parametrize(
    ("core_type", "version", "requirement"),
    [("cpu", None, "tensorflow"), ("gpu", None, "tensorflow-gpu"), ("gpu", "1.13.1", "tensorflow-gpu==1.13.1")],
)
def test_tensorflow_takes_the_place_of_tensorflow(core_type: str, version: str | None, requirement: str) -> None:
    made = CondaDependencies.create(pip_packages=["tensorflow==1.0", "six"], conda_packages=["tensorflow=1.0"])
    made.add_tensorflow_pip_package(core_type, version)
    assert made.pip_packages == ["azureml-defaults", "six", requirement]
    made.add_tensorflow_conda_package(core_type=core_type, version=version)
    assert made.conda_packages[1:] == [requirement]
    with pytest.raises(UserErrorException, match="'cpu' or 'gpu'"):
        made.add_tensorflow_pip_package("tpu")


def test_cntk() -> None:
    made = CondaDependencies()
    made.add_cntk_package()
    made.add_cntk_package(core_type="gpu")
    assert made.pip_packages == ["azureml-defaults", "cntk-gpu"]
