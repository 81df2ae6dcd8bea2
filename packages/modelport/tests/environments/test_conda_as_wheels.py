"""Conda specifications read as pip requirements."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelport.domain.environments import CondaSpecification
from modelport.environments.conda_as_wheels import as_wheels
from modelport.environments.conda_names import on_pypi


def _text(spec: str) -> str | None:
    lines = as_wheels(CondaSpecification(packages=(spec,))).lines
    return lines[0].text if lines else None


@pytest.mark.parametrize(
    ("spec", "requirement"),
    [
        ("numpy", "numpy"),
        ("numpy=1.15", "numpy==1.15.*"),
        ("numpy=1.15.*", "numpy==1.15.*"),
        ("numpy==1.15.4", "numpy==1.15.4"),
        ("numpy==1.15.*", "numpy==1.15.*"),
        ("numpy 1.15.4", "numpy==1.15.4"),
        ("numpy 1.15.*", "numpy==1.15.*"),
        ("numpy=1.15.4=py36h7e9f1db_0", "numpy==1.15.4.*"),
        ("numpy 1.15.4 py36_0", "numpy==1.15.4"),
        ("numpy >=1.15, <1.17", "numpy>=1.15,<1.17"),
        ("numpy>=1.15,!=1.16.*", "numpy>=1.15,!=1.16.*"),
        ("numpy>=1.15.*", "numpy>=1.15"),
        ("numpy~=1.15", "numpy~=1.15"),
        ("conda-forge::scikit-learn=0.20.0", "scikit-learn==0.20.0.*"),
        ("numpy[version='>=1.15']", "numpy>=1.15"),
        ("numpy *", "numpy"),
        ("Pandas", "pandas"),
        ("pytorch-cpu=1.1", "torch==1.1.*"),
        ("opencv", "opencv-python-headless"),
        ("py-xgboost=0.90", "xgboost==0.90.*"),
    ],
)
def test_a_specification_as_a_requirement(spec: str, requirement: str) -> None:
    assert _text(spec) == requirement


@pytest.mark.parametrize("spec", ["r-base", "graphviz", "openjdk=8", "numpy=1.15|1.16", "numpy=>1", "mypackage"])
def test_what_is_not_known_is_not_guessed(spec: str) -> None:
    assert as_wheels(CondaSpecification(packages=("python=3.6", "six", spec))).unknown == (spec,)


def test_libraries_that_wheels_carry_are_noted() -> None:
    found = as_wheels(
        CondaSpecification(packages=("python=3.6.2", "pip=20", "nomkl", "cudatoolkit=10.0", "azureml-sdk"))
    )
    assert (found.lines, found.unknown) == ((), ())
    assert [note.split()[0] for note in found.notes] == ["nomkl", "cudatoolkit=10.0"]


def test_the_pip_list_counts_more() -> None:
    found = as_wheels(CondaSpecification(packages=("numpy=1.15", "six"), pip=("NumPy==1.16.0",)))
    assert [line.text for line in found.lines] == ["six"]


def test_a_line_knows_where_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "env.yml"
    file.write_text("dependencies:\n- python=3.6\n- scikit-learn=0.20.0\n", encoding="utf-8")
    conda = CondaSpecification(packages=("python=3.6", "scikit-learn=0.20.0"), source=str(file))
    (line,) = as_wheels(conda).lines
    assert (line.written, line.place, line.name) == ("scikit-learn=0.20.0", f"{file}:3", "scikit-learn")


def test_no_program_is_taken_for_a_package_of_that_name() -> None:
    assert [name for name in ("graphviz", "git", "nodejs", "ffmpeg", "gcc", "make", "java") if on_pypi(name)] == []
