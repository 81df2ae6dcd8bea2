from __future__ import annotations

import sys
from pathlib import Path

import pytest

from modelport.domain.environments import EnvironmentDefinition, EnvironmentKind, Lock, PythonSection
from modelport.domain.errors import EnvironmentException
from modelport.environments.chooser import LocalEnvironments, kind_of
from modelport.environments.interface import Environments
from modelport.environments.memory import MemoryEnvironments

from .local_wheels import RecordedProgress, definition, from_wheels

USER_MANAGED = EnvironmentDefinition(
    name="own",
    python=PythonSection(user_managed_dependencies=True, conda=definition(["six"], packages=["numpy"]).python.conda),
)


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (None, EnvironmentKind.SYSTEM),
        (USER_MANAGED, EnvironmentKind.SYSTEM),
        (EnvironmentDefinition(name="bare"), EnvironmentKind.SYSTEM),
        (definition(), EnvironmentKind.SYSTEM),
        (definition(["six"]), EnvironmentKind.VENV),
        (definition(packages=["python=3.8"]), EnvironmentKind.VENV),
        (definition(["six"], packages=["conda-forge::python>=3.8", "pip=20"]), EnvironmentKind.VENV),
        (definition(packages=["python=3.8", "numpy"]), EnvironmentKind.CONDA),
        (definition(packages=["python-dateutil"]), EnvironmentKind.CONDA),
    ],
)
def test_the_kind_follows_from_what_is_asked_for(asked: EnvironmentDefinition | None, kind: EnvironmentKind) -> None:
    assert kind_of(asked) is kind


@pytest.fixture
def environments(tmp_path: Path) -> LocalEnvironments:
    return LocalEnvironments(tmp_path / "home")


def test_the_system_kind_installs_nothing(
    environments: LocalEnvironments, progress: RecordedProgress, tmp_path: Path
) -> None:
    lock = environments.resolve(None, progress=progress)
    interpreter = environments.materialise(lock, progress=progress)
    assert (lock.kind, lock.text, interpreter.command) == (EnvironmentKind.SYSTEM, "", (sys.executable,))
    assert interpreter.keeps_python_path
    assert not (tmp_path / "home").exists()
    assert not progress.steps


def test_each_kind_is_materialised_by_its_own_way(
    environments: LocalEnvironments, progress: RecordedProgress, wheels: Path
) -> None:
    lock = environments.resolve(from_wheels(wheels, "mp_one"), progress=progress)
    interpreter = environments.materialise(lock, progress=progress)
    assert lock.kind is EnvironmentKind.VENV
    assert lock.digest in interpreter.command[0]
    assert not interpreter.keeps_python_path


def _at(path: str) -> EnvironmentDefinition:
    return EnvironmentDefinition(
        name="own", python=PythonSection(user_managed_dependencies=True, interpreter_path=path)
    )


def test_a_named_interpreter_is_taken_as_it_is_named(
    environments: LocalEnvironments, progress: RecordedProgress, tmp_path: Path
) -> None:
    link = tmp_path / "mypython"
    link.symlink_to(sys.executable)
    lock = environments.resolve(_at(str(link)), progress=progress)
    assert lock.python == str(link)
    assert lock.python_version == "{}.{}.{}".format(*sys.version_info)
    assert lock.digest != environments.resolve(None, progress=progress).digest


def test_an_interpreter_that_is_not_there_is_named(
    environments: LocalEnvironments, progress: RecordedProgress, tmp_path: Path
) -> None:
    with pytest.raises(EnvironmentException, match="'/no/such/python'"):
        environments.resolve(_at("/no/such/python"), progress=progress)


def test_a_program_that_is_no_python_is_named(environments: LocalEnvironments, progress: RecordedProgress) -> None:
    with pytest.raises(EnvironmentException, match="does not run"):
        environments.resolve(_at("false"), progress=progress)


def test_a_system_interpreter_that_went_away_is_named(
    environments: LocalEnvironments, progress: RecordedProgress, tmp_path: Path
) -> None:
    link = tmp_path / "mypython"
    link.symlink_to(sys.executable)
    lock = environments.resolve(_at(str(link)), progress=progress)
    link.unlink()
    with pytest.raises(EnvironmentException, match="mypython"):
        environments.materialise(lock, progress=progress)


@pytest.fixture(params=["local", "memory"])
def each(request: pytest.FixtureRequest, environments: LocalEnvironments) -> Environments:
    return environments if request.param == "local" else MemoryEnvironments()


def test_the_contract_equal_questions_equal_locks(each: Environments, progress: RecordedProgress, wheels: Path) -> None:
    asked: list[EnvironmentDefinition | None] = [None, from_wheels(wheels, "mp_one")]
    for definition_ in asked:
        locks: list[Lock] = [each.resolve(definition_, progress=progress) for _ in range(2)]
        assert locks[0] == locks[1]
        interpreter = each.materialise(locks[0], progress=progress)
        assert Path(interpreter.command[0]).exists()
        assert interpreter.lock == locks[0]


def test_the_twin_tells_what_was_asked_for(progress: RecordedProgress) -> None:
    twin = MemoryEnvironments()
    twin.resolve(None, progress=progress)
    twin.resolve(definition(["six"]), progress=progress)
    assert twin.resolved == [None, definition(["six"])]
