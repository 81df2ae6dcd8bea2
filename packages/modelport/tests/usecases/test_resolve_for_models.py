"""Which environment a model is deployed with, where its own leaves the version of scikit-learn open."""

from __future__ import annotations

import pickle
import platform
from dataclasses import replace
from pathlib import Path

import pytest

from modelport.domain.environments import CondaSpecification, EnvironmentDefinition, Lock, PythonSection
from modelport.domain.errors import ResolutionFailed
from modelport.domain.models import ModelVersion
from modelport.domain.progress import Progress
from modelport.environments.memory import MemoryEnvironments
from modelport.usecases.context import Context
from modelport.usecases.pickled_versions import pickled_with
from modelport.usecases.resolve_for_models import resolve_for_models

from .conftest import Workbench


class Index(MemoryEnvironments):
    """Environments whose index lacks a scikit-learn for a Python."""

    def __init__(self, *missing: str, python: str = "") -> None:
        super().__init__()
        self._missing = {f"scikit-learn=={version}" for version in missing}
        self._python = python

    def resolve(self, definition: EnvironmentDefinition | None, *, progress: Progress) -> Lock:
        conda = conda_of(definition)
        if self._python in ("", *conda.packages) and self._missing & {*conda.packages, *conda.pip}:
            raise ResolutionFailed("there is none")
        return super().resolve(definition, progress=progress)


def conda_of(definition: EnvironmentDefinition | None) -> CondaSpecification:
    assert definition is not None and definition.python.conda is not None
    return definition.python.conda


def asking(*pip: str, packages: tuple[str, ...] = ("python=3.6.2",)) -> EnvironmentDefinition:
    return EnvironmentDefinition(name="old", python=PythonSection(conda=CondaSpecification(packages=packages, pip=pip)))


def written_by(bench: Workbench, version: str, *, name: str = "line") -> ModelVersion:
    return bench.model(name, pickle.dumps({"coef_": [1.0], "_sklearn_version": version}, protocol=0).decode())


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_the_version_is_read_and_not_the_next_opcode(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "model.pkl"
    for version in ("0.19.1", "1.3.dev0"):
        path.write_bytes(pickle.dumps({"_sklearn_version": version}, protocol=protocol))
        assert pickled_with(path) == version


@pytest.mark.parametrize("entry", ["scikit-learn", "scikit_learn", " Scikit-Learn "])
def test_an_open_version_is_the_one_that_wrote_the_model(bench: Workbench, context: Context, entry: str) -> None:
    environments = MemoryEnvironments()
    model = written_by(bench, "0.19.1")
    lock = resolve_for_models(replace(context, environments=environments), asking("numpy", entry), [model])
    assert conda_of(environments.resolved[0]).pip == ("numpy", "scikit-learn==0.19.1", "numpy<1.20", "scipy<1.6")
    assert conda_of(environments.resolved[0]).packages == ("python=3.6.2",)
    assert "scikit-learn==0.19.1 is taken, which wrote the model" in lock.notes[0]


def test_an_open_conda_package_too(bench: Workbench, context: Context) -> None:
    environments = MemoryEnvironments()
    asked = asking(packages=("python=3.6.2", "scikit-learn"))
    resolve_for_models(replace(context, environments=environments), asked, [written_by(bench, "0.20.3")])
    assert conda_of(environments.resolved[0]).packages == (
        "python=3.6.2",
        "scikit-learn==0.20.3",
        "numpy<1.20",
        "scipy<1.6",
    )
    assert conda_of(environments.resolved[0]).pip == ()


def test_what_goes_with_it_is_of_its_time_unless_somebody_chose(bench: Workbench, context: Context) -> None:
    environments = MemoryEnvironments()
    ready, model = replace(context, environments=environments), written_by(bench, "1.2.2")
    for named, beside in (
        ((), ("numpy<1.25", "scipy<1.11")),
        (("NumPy==1.23.5",), ("scipy<1.11",)),
        (("numpy >= 1.20", "scipy[all]"), ()),
    ):
        resolve_for_models(ready, asking("scikit-learn", *named), [model])
        assert conda_of(environments.resolved.pop()).pip == ("scikit-learn==1.2.2", *named, *beside)


def test_a_file_of_the_joblib_inside_scikit_learn_that_joblib_is_to_read(bench: Workbench, context: Context) -> None:
    environments = MemoryEnvironments()
    content = "(csklearn.externals.joblib.numpy_pickle\nNumpyArrayWrapper\nV_sklearn_version\np1\nV0.19.1\np2\n."
    ready, model = replace(context, environments=environments), bench.model("old", content)
    lock = resolve_for_models(ready, asking("joblib", "scikit-learn"), [model])
    assert conda_of(environments.resolved.pop()).pip == (
        "joblib",
        "scikit-learn==0.22.2.post1",
        "numpy<1.20",
        "scipy<1.6",
    )
    assert "in which joblib reads what 0.19.1 wrote" in lock.notes[0]
    resolve_for_models(ready, asking("scikit-learn"), [model])
    assert conda_of(environments.resolved.pop()).pip == ("scikit-learn==0.19.1", "numpy<1.20", "scipy<1.6")


def test_what_the_user_chose_or_nobody_knows_stays(bench: Workbench, context: Context) -> None:
    environments = MemoryEnvironments()
    old, new = written_by(bench, "0.19.1"), written_by(bench, "0.20.3", name="other")
    ready = replace(context, environments=environments)
    pinned, open_ = asking("scikit-learn==0.22"), asking("scikit-learn")
    for definition, models in (
        (pinned, [old]),
        (asking("numpy"), [old]),
        (open_, [bench.model("plain")]),
        (open_, [old, new]),
        (None, [old]),
    ):
        assert resolve_for_models(ready, definition, models).notes == ()
        assert environments.resolved.pop() == definition


def test_what_somebody_pinned_gets_what_it_loads_beside(bench: Workbench, context: Context) -> None:
    environments = MemoryEnvironments()
    ready = replace(context, environments=environments)
    for packages, pip, expected in (
        (("python=3.11",), ("scikit-learn==1.2.2", "mlflow"), ((), ("numpy<1.25", "scipy<1.11"))),
        (("python=3.8", "scikit-learn=0.24.2", "numpy"), ("joblib",), (("numpy<1.22", "scipy<1.8"), ())),
        (("python=3.8",), ("scikit-learn==0.24.2", "numpy>=1.18", "torch==1.8.0"), ((), ("scipy<1.8",))),
        (("python=3.9",), ("tensorflow==2.5.0",), ((), ("numpy<1.24", "protobuf<3.20"))),
    ):
        lock = resolve_for_models(ready, asking(*pip, packages=packages), [])
        taken = conda_of(environments.resolved.pop())
        assert (taken.packages, taken.pip) == ((*packages, *expected[0]), (*pip, *expected[1]))
        assert lock.notes[0].startswith(", ".join((*expected[0], *expected[1])) + ": of the time of the releases")
    for packages, pip in (
        (("python=3.11",), ("scikit-learn==1.9.1",)),
        (("python=3.6.2",), ("scikit-learn==0.20.3",)),
        (("python=3.7",), ("scikit-learn==0.24.2",)),
        (("python=3.11",), ("scikit-learn>=1.2.2", "scikit-learn-extra==0.2")),
    ):
        asked = asking(*pip, packages=packages)
        assert resolve_for_models(ready, asked, []).notes == ()
        assert environments.resolved.pop() == asked


def test_bounds_that_nothing_satisfies_are_dropped(bench: Workbench, context: Context) -> None:
    class NewOnly(MemoryEnvironments):
        def resolve(self, definition: EnvironmentDefinition | None, *, progress: Progress) -> Lock:
            if "numpy<1.25" in conda_of(definition).pip:
                raise ResolutionFailed("there is none")
            return super().resolve(definition, progress=progress)

    environments = NewOnly()
    asked = asking("scikit-learn==1.2.2", packages=("python=3.11",))
    lock = resolve_for_models(replace(context, environments=environments), asked, [])
    assert environments.resolved == [asked] and lock.notes == ()


def test_one_that_cannot_be_had_leaves_the_environment_as_it_was_written(bench: Workbench, context: Context) -> None:
    environments = Index("0.18.2")
    asked = asking("scikit-learn")
    lock = resolve_for_models(replace(context, environments=environments), asked, [written_by(bench, "0.18.2")])
    assert environments.resolved == [asked] and lock.notes == ()


def have_installed(version: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scikit-learn that this interpreter finds first."""
    described = folder / "installed" / f"scikit_learn-{version}.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: scikit-learn\nVersion: {version}\n")
    monkeypatch.syspath_prepend(str(described.parent))


def test_a_model_of_today_gets_the_python_that_trained_it(
    bench: Workbench, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    have_installed("99.1", tmp_path, monkeypatch)
    environments = Index("99.1", python="python=3.6.2")
    ready = replace(context, environments=environments)
    model = written_by(bench, "99.1")

    lock = resolve_for_models(ready, asking("scikit-learn"), [model])
    conda = conda_of(environments.resolved.pop())
    assert conda.packages == (f"python={platform.python_version()}",)
    assert conda.pip == ("scikit-learn==99.1",)
    assert "There is none for python=3.6.2, v1's default" in lock.notes[0]

    chosen = asking("scikit-learn", packages=("python=3.6",))
    resolve_for_models(replace(context, environments=Index("99.1")), chosen, [model])
    assert environments.resolved == []


def test_the_version_that_is_imported_here_gets_the_python_that_has_it(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    have_installed("99.1", tmp_path, monkeypatch)
    environments = Index("99.1", python="python=3.6.2")
    ready = replace(context, environments=environments)
    lock = resolve_for_models(ready, asking("scikit-learn==99.1"), [])
    assert conda_of(environments.resolved.pop()).packages == (f"python={platform.python_version()}",)
    assert "no scikit-learn==99.1 for python=3.6.2, v1's default" in lock.notes[0]
    for asked in (asking("scikit-learn==98.0"), asking("scikit-learn==99.1", packages=("python=3.6",))):
        with pytest.raises(ResolutionFailed, match="there is none"):
            resolve_for_models(replace(context, environments=Index("98.0", "99.1")), asked, [])
    with pytest.raises(ResolutionFailed, match="there is none"):
        resolve_for_models(replace(context, environments=Index("99.1")), asking("scikit-learn==99.1"), [])


def test_the_python_that_is_taken_gets_a_numpy_that_the_version_loads_beside(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    have_installed("1.2.2", tmp_path, monkeypatch)
    environments = Index("1.2.2", python="python=3.6.2")
    resolve_for_models(replace(context, environments=environments), asking("scikit-learn==1.2.2"), [])
    assert conda_of(environments.resolved.pop()).pip == ("scikit-learn==1.2.2", "numpy<1.25", "scipy<1.11")
