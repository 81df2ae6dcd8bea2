from __future__ import annotations

from pathlib import Path

import pytest

from modelport.domain.environments import CondaSpecification
from modelport.domain.errors import EnvironmentException
from modelport.environments.requirement_lines import RequirementLine, index_options, lines_of, package_name


def _lines(folder: Path, *entries: str) -> list[RequirementLine]:
    """The lines of a requirements file in the folder."""
    file = folder / "requirements.txt"
    file.write_text("".join(f"{entry}\n" for entry in entries), encoding="utf-8")
    return lines_of(CondaSpecification(pip=entries, source=str(file)))


@pytest.mark.parametrize(
    ("requirement", "name"),
    [
        ("six", "six"),
        ("Scikit_Learn[alldeps]>=1.0 ; python_version > '3.6'", "scikit-learn"),
        ("azureml-defaults~=1.34.0", "azureml-defaults"),
        ("zope.interface==5", "zope-interface"),
        ("pkg @ https://host.example/pkg-1.0.tar.gz", "pkg"),
        ("pkg@https://host.example/pkg-1.0.tar.gz", "pkg"),
        ("six==1.16 --hash=sha256:00", "six"),
        ("six (>=1.0)", "six"),
        ("-e ./project", None),
        ("--no-index", None),
        ("# comment", None),
        ("./pkg-1.0-py3-none-any.whl", None),
        ("pkg-1.0-py3-none-any.whl", None),
        ("wheels/pkg.whl", None),
        ("https://host.example/pkg.whl", None),
        ("git+https://host.example/pkg.git", None),
        ("", None),
    ],
)
def test_the_name_of_a_requirement(requirement: str, name: str | None) -> None:
    assert package_name(requirement) == name


def test_comments_are_left_out_and_fragments_are_not(tmp_path: Path) -> None:
    lines = _lines(tmp_path, "# all", "six  # why", "", "git+https://host.example/p.git#egg=p")
    assert [line.text for line in lines] == ["six", "git+https://host.example/p.git#egg=p"]
    assert [line.place for line in lines] == [f"{tmp_path}/requirements.txt:2", f"{tmp_path}/requirements.txt:4"]


def test_included_files_are_put_in_with_their_own_places(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "base.txt").write_text("\nidna \\\n  >=3\n-c pins.txt\n", encoding="utf-8")
    (tmp_path / "more" / "pins.txt").write_text("six<2\n", encoding="utf-8")
    lines = _lines(tmp_path, "six", "-r more/base.txt")
    assert [(line.name, line.constraint, line.place.removeprefix(f"{tmp_path}/")) for line in lines] == [
        ("six", False, "requirements.txt:1"),
        ("idna", False, "more/base.txt:2"),
        ("six", True, "more/pins.txt:1"),
    ]
    assert "".join(lines[1].text.split()) == "idna>=3"


def test_files_that_include_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("-r b.txt\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("-r a.txt\n", encoding="utf-8")
    with pytest.raises(EnvironmentException, match=r"b\.txt:1: .*a\.txt includes itself"):
        _lines(tmp_path, "-r a.txt")


def test_a_missing_included_file_is_named_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentException, match=rf"{tmp_path}/requirements\.txt:2: .*{tmp_path}/none\.txt"):
        _lines(tmp_path, "six", "-r none.txt")


def test_paths_are_taken_from_the_folder_of_the_file(tmp_path: Path) -> None:
    wheel, project = tmp_path / "pkg-1.0-py3-none-any.whl", tmp_path / "project"
    wheel.touch()
    project.mkdir()
    lines = _lines(
        tmp_path, "./pkg-1.0-py3-none-any.whl", "-e ./project[extra]", "pkg @ ./pkg-1.0-py3-none-any.whl", "-f ."
    )
    assert [line.text for line in lines] == [
        str(wheel),
        f"-e {project}[extra]",
        f"pkg @ {wheel.as_uri()}",
        f"-f {tmp_path}",
    ]
    assert [line.local for line in lines] == [wheel, project, wheel, None]


def test_a_missing_path_is_named_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentException, match=r"requirements\.txt:1: .*does not exist"):
        _lines(tmp_path, "./none-1.0-py3-none-any.whl")


@pytest.mark.parametrize("text", ["azureml-defaults>=1.0.45", "AzureML_Core[x]==1.34", "azureml-monitoring"])
def test_packages_of_azure_ml_are_known_in_every_spelling(text: str, tmp_path: Path) -> None:
    assert [line.is_azureml for line in _lines(tmp_path, text, "azuremlbutnotquite")] == [True, False]


def test_index_options_are_gathered_once(tmp_path: Path) -> None:
    lines = _lines(
        tmp_path, "--extra-index-url=https://a.example/simple", "--pre", "--extra-index-url https://a.example/simple"
    )
    assert index_options(lines) == ["--extra-index-url https://a.example/simple"]


def test_without_a_file_the_number_of_the_entry_tells_the_place() -> None:
    assert [line.place for line in lines_of(CondaSpecification(pip=("six",)))] == ["entry 1 of the pip list"]
