from __future__ import annotations

from pathlib import Path

import pytest

from modelport.domain.environments import CondaSpecification
from modelport.domain.errors import UserErrorException
from modelport.environments.specification import (
    conda_to_yaml,
    line_of_entry,
    parse_conda,
    read_conda_file,
    read_requirements,
)

TEXT = """\
name: project_environment
channels:
  - conda-forge
dependencies:
  - python=3.6.2
  - pip:
    # a comment of YAML, not of pip
    - azureml-defaults
    - "--extra-index-url https://wheels.example/simple"
    - scikit-learn==0.24.2  # as trained
  - numpy
prefix: /opt/somewhere
"""


def test_everything_is_read_in_its_order() -> None:
    assert parse_conda(TEXT) == CondaSpecification(
        name="project_environment",
        channels=("conda-forge",),
        packages=("python=3.6.2", "numpy"),
        pip=("azureml-defaults", "--extra-index-url https://wheels.example/simple", "scikit-learn==0.24.2"),
    )


def test_what_is_written_reads_the_same() -> None:
    read = parse_conda(TEXT)
    assert parse_conda(conda_to_yaml(read)) == read


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    file = tmp_path / "env.yml"
    file.write_bytes(b"\xef\xbb\xbfname: marked\ndependencies: [python]\n")
    assert read_conda_file(file) == CondaSpecification(name="marked", packages=("python",), source=str(file))


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("dependencies:\n  - a\n b: [\n", 3, "not valid YAML"),
        ("name: a\ndependencies: python\n", 2, "'dependencies' must be a list"),
        ("dependencies:\n- python\n- 3.8\n", 3, "must be text"),
        ("dependencies:\n- python\n- conda:\n  - numpy\n", 3, "'conda:' among the dependencies"),
    ],
)
def test_an_error_names_file_and_line(text: str, line: int, said: str, tmp_path: Path) -> None:
    file = tmp_path / "env.yml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserErrorException) as caught:
        read_conda_file(file)
    assert f"{file}:{line}:" in caught.value.message
    assert said in caught.value.message


@pytest.mark.parametrize("text", ["just words\n", "- a\n- b\n"])
def test_a_file_without_keys_is_refused(text: str) -> None:
    with pytest.raises(UserErrorException, match=r"'channels:' and 'dependencies:'"):
        parse_conda(text, source="env.yml")


def test_an_empty_file_asks_for_nothing() -> None:
    assert parse_conda("") == CondaSpecification()


def test_a_missing_file_is_a_file_not_found_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.yml"):
        read_conda_file(tmp_path / "nowhere.yml")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "env.yml").write_bytes(b"name: \xff\xfe\n")
    with pytest.raises(UserErrorException, match="UTF-8"):
        read_conda_file(tmp_path / "env.yml")


def test_requirements_lines_are_verbatim(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("# first\n--no-index\n\n  six==1.16.0  # why\n", encoding="utf-8")
    assert read_requirements(file) == ("# first", "--no-index", "", "  six==1.16.0  # why")


def test_an_entry_is_found_by_its_line(tmp_path: Path) -> None:
    conda, pip = tmp_path / "env.yml", tmp_path / "requirements.txt"
    conda.write_text(TEXT, encoding="utf-8")
    pip.write_text("six\nidna\n", encoding="utf-8")
    assert line_of_entry(conda, "scikit-learn==0.24.2") == 10
    assert line_of_entry(pip, "idna") == 2
    assert line_of_entry(pip, "numpy") is None
