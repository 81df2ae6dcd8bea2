"""The modules of v1 by their own paths: what they have, what they load, and what is said where something is missing."""

from __future__ import annotations

import importlib
import os
import shutil
import statistics
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import azureml
from azureml._placeholders import HOW_TO_INSTALL
from azureml._table import DOORS, NOT_HERE, WITHOUT_CLIENT

SOURCE = Path(azureml.__path__[0]).parent
PLACES = sorted({place for names in DOORS.values() for place in names.values()})
NEWEST = max(
    (version for version in ("3.11", "3.12", "3.13", "3.14") if shutil.which(f"python{version}")),
    key=lambda version: int(version.split(".")[1]),
)

NOT_YET: dict[str, str] = {}
"""Names that the table has and Modelport has not yet. What is built comes off this list; nothing may be added to it."""


def run_python(code: str, *, version: str | None = None, path: Path = SOURCE) -> subprocess.CompletedProcess[str]:
    """Run the code in that Python, with nothing but its own library and ``path``."""
    program = sys.executable if version is None else shutil.which(f"python{version}")
    if program is None:
        pytest.skip(f"there is no Python {version} on this machine")
    variables = {"PYENV_VERSION": version or "", "PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [program, "-W", "error", "-c", textwrap.dedent(code)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
    )


# --- the table --------------------------------------------------------------------------------------------------------


def is_here(place: str) -> bool:
    module, name = place.split(":")
    try:
        return hasattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        return False


def test_what_is_not_available_yet() -> None:
    missing = [place for place in PLACES if not place.startswith("not here:") and not is_here(place)]
    assert missing == sorted(f"{module}:{name}" for module, names in NOT_YET.items() for name in names.split())


@pytest.mark.parametrize("place", WITHOUT_CLIENT.values())
def test_what_needs_no_client_is_here(place: str) -> None:
    assert place.startswith("azureml.")
    assert is_here(place)


def test_every_reason_is_used() -> None:
    assert {place for place in PLACES if place.startswith("not here:")} == {f"not here:{reason}" for reason in NOT_HERE}


@pytest.mark.parametrize("module", DOORS)
def test_a_door_has_the_names_of_the_table(module: str) -> None:
    door = importlib.import_module(module)
    public = sorted(name for name in DOORS[module] if not name.startswith("_"))
    assert door.__all__ == public
    assert set(public) <= set(dir(door))
    with pytest.raises(AttributeError, match="nothing"):
        door.nothing  # noqa: B018 - it is looked up


@pytest.mark.parametrize("version", ["3.6", NEWEST])
def test_modules_of_other_distributions_say_what_to_do(version: str, tmp_path: Path) -> None:
    code = """
        from importlib import import_module
        from azureml._absent import ABSENT
        for name in ABSENT:
            try:
                import_module(name + ".deeper")
            except ModuleNotFoundError as error:
                assert error.name == name and ABSENT[name] in str(error), (name, error)
            else:
                raise AssertionError(name)
        try:
            import azureml.no_such
        except ModuleNotFoundError as error:
            print(error)
    """
    done = run_python(code, version=version)
    assert (done.stdout.strip(), done.stderr) == ("No module named 'azureml.no_such'", "")


@pytest.mark.parametrize("version", ["3.6", NEWEST])
def test_joblib_is_found_by_its_name_of_2019(version: str, tmp_path: Path) -> None:
    (tmp_path / "sklearn" / "externals").mkdir(parents=True)
    (tmp_path / "sklearn" / "__init__.py").write_text("")
    (tmp_path / "sklearn" / "externals" / "__init__.py").write_text("")
    code = f"""
        import sys
        sys.path.append({str(tmp_path)!r})
        import azureml.core
        try:
            from sklearn.externals import joblib
        except ImportError as error:
            print("no joblib")
        open({str(tmp_path / "joblib.py")!r}, "w").close()
        sys.path_importer_cache.clear()
        from sklearn.externals import joblib
        import joblib as itself
        print(joblib is itself, itself.__spec__.name)
    """
    done = run_python(code, version=version)
    assert done.stdout.splitlines() == ["no joblib", "True joblib"]
    assert done.stderr == "This scikit-learn has no sklearn.externals.joblib any more: joblib itself is taken.\n"


# --- what an import loads ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["3.6", "3.8", NEWEST])
def test_every_module_loads_the_standard_library_only(version: str) -> None:
    modules = [*DOORS, "azureml.exceptions", "azureml.monitoring", "azureml.contrib.services.aml_request"]
    code = f"""
        import sys
        from importlib import import_module
        for name in {modules!r}:
            import_module(name)
        for name, module in sorted(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and "site-packages" in file or name.partition(".")[0] == "modelport":
                print(name)
    """
    done = run_python(code, version=version)
    assert (done.stdout, done.stderr) == ("", "")


def test_core_brings_nothing_heavy() -> None:
    """In an environment that has it all."""
    done = run_python("import sys; before = set(sys.modules); import azureml.core; print(*set(sys.modules) - before)")
    heavy = {"modelport", "numpy", "requests", "asyncio", "email", "http", "sqlalchemy"}
    assert heavy & {name.partition(".")[0] for name in done.stdout.split()} == set()


@pytest.mark.parametrize("version", ["3.6", NEWEST])
def test_importing_core_takes_little_beside_starting_python(version: str) -> None:
    """Compared, not timed: a slow machine is slow at both. With -s the times are printed."""
    program = run_python("import sys; print(sys.executable)", version=version).stdout.strip()

    def seconds(code: str) -> float:
        begin = time.perf_counter()
        subprocess.run([program, "-S", "-E", "-c", code], check=True)
        return time.perf_counter() - begin

    start = f"import sys; sys.path.insert(0, {str(SOURCE)!r})"
    seconds(start + "; import azureml.core")  # compiles it
    rounds = [(seconds(start), seconds(start + "; import azureml.core")) for _ in range(9)]
    bare, both = (statistics.median(times) for times in zip(*rounds, strict=True))
    more = both - bare
    print(f"Python {version}: {bare * 1000:.0f} ms, with azureml.core {more * 1000:.0f} ms more")  # noqa: T201
    assert more < 6 * bare


# --- without the client -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["3.6", "3.8", NEWEST])
def test_a_name_of_the_client_says_at_its_first_use_how_to_get_it(version: str) -> None:
    code = """
        from azureml.core import *
        from azureml.core import Environment, Model, Workspace
        from azureml.core.webservice import AciWebservice, LocalWebservice
        print(Workspace.__name__, isinstance(1, Workspace), hasattr(Workspace, "__wrapped__"))
        for use in (
            lambda: Workspace.from_config(),
            lambda: Environment("mine"),
            lambda: LocalWebservice.deploy_configuration(port=6789),
            lambda: Model(None, "mine"),
            lambda: Model.register(None, "a", "b"),
            lambda: Model.get_model_path("a", _workspace=object()),
        ):
            try:
                use()
            except ImportError as error:
                print(error)
        print(Model.get_model_path("there"))
    """
    done = run_python(code, version=version)
    assert "ModelNotFoundException" in done.stderr
    first, *said = done.stdout.splitlines()
    assert first == "Workspace False False"
    assert len(said) == 6
    assert all(HOW_TO_INSTALL in line and f"{version}) has no client" in line for line in said)
    assert said[0].startswith("azureml.core.Workspace is a part of the client")
    assert ("newer" in said[0]) == (version in ("3.6", "3.8"))


def test_names_of_data_sets_and_targets() -> None:
    from azureml.data.dataset_error_handling import DatasetExecutionError, DatasetValidationError

    from azureml.core import Dataset
    from azureml.core.compute_target import LocalTarget
    from modelport.exceptions import UserErrorException

    for kind in (DatasetValidationError, UserErrorException):
        with pytest.raises(kind, match="Cannot load any data from the specified path"):
            Dataset.Tabular.from_delimited_files("nowhere.csv")
    with pytest.raises(DatasetExecutionError):
        Dataset.Tabular.from_delimited_files("nowhere.csv", validate=False).to_pandas_dataframe()
    assert (LocalTarget().name, repr(LocalTarget())) == ("local", "LocalTarget()")


def test_what_modelport_does_not_do_says_so() -> None:
    from azureml.train.automl import AutoMLConfig

    from azureml.core import attach_legacy_compute_target

    with pytest.raises(
        NotImplementedError, match=r"azureml\.train\.automl\.AutoMLConfig is not there.*Model\.register"
    ):
        AutoMLConfig(task="classification")
    with pytest.raises(NotImplementedError, match="clusters"):
        attach_legacy_compute_target()


# --- with the client --------------------------------------------------------------------------------------------------


def test_a_name_of_the_client_is_the_clients() -> None:
    code = """
        import azureml.core
        import modelport
        print(azureml.core.Workspace is modelport.Workspace, issubclass(azureml.core.Model, modelport.Model))
        print(azureml.core.model.Model is azureml.core.Model)
        from azureml.core import Workspace
        print("Workspace" in vars(azureml.core), Workspace.__module__)
        print(azureml.core.VERSION, azureml.core.__version__)
    """
    done = run_python(code)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["True True", "True", "True modelport.sdk.workspace", "1.36.0 1.36.0"]


def test_a_mistake_in_the_client_is_not_taken_for_a_name_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "modelport").mkdir()
    (tmp_path / "modelport" / "__init__.py").write_text("")
    (tmp_path / "modelport" / "sdk.py").write_text("import something_absent")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from azureml.core import Workspace"
    done = run_python(code, version=NEWEST)
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'something_absent'"


def test_errors_read_as_v1_wrote_them_once_its_names_are_used() -> None:
    code = """
        from modelport.exceptions import ModelNotFoundException
        error = ModelNotFoundException("no such model", hint="There is none.")
        print(str(error), repr(error), sep="\\n")
        from azureml import exceptions
        print(isinstance(error, exceptions.ModelNotFoundException), isinstance(error, exceptions.WebserviceException))
        from azureml.core import Workspace
        print(error)
        print(error.message, error.status_code, error.inner_exception)
    """
    done = run_python(code)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "no such model",
        "There is none.",
        "ModelNotFoundException('no such model')",
        "True True",
        "WebserviceException:",
        "\tMessage: no such model",
        "There is none.",
        "\tInnerException None",
        "\tErrorResponse ",
        "{",
        '    "error": {',
        '        "message": "no such model\\nThere is none."',
        "    }",
        "}",
        "no such model None None",
    ]


# --- beside the vendor's packages -------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site-packages with this package in it."""
    shutil.copytree(SOURCE / "azureml", tmp_path / "site" / "azureml", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "site"


@pytest.mark.parametrize("version", ["3.6", NEWEST])
@pytest.mark.parametrize("metadata", ["azureml_core-1.34.0.dist-info", "azureml_core-1.0.57.egg-info"])
def test_the_vendors_packages_are_refused(site: Path, version: str, metadata: str) -> None:
    (site / metadata).mkdir()
    done = run_python("import azureml.core", version=version, path=site)
    said = done.stderr.splitlines()[-1]
    assert said.startswith(f"ImportError: modelport-azureml and azureml-core {metadata.split('-')[1][:-5].rstrip('.')}")
    assert str(site) in said
    assert "pip uninstall azureml-core" in said


def test_the_vendors_packages_elsewhere_on_the_path_are_refused(site: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "azureml" / "train").mkdir(parents=True)
    (other / "azureml" / "__init__.py").write_text("")
    (other / "azureml_core-1.34.0.dist-info").mkdir()
    done = run_python(f"import sys; sys.path.append({str(other)!r}); import azureml", version=NEWEST, path=site)
    assert f"is in {other}." in done.stderr


def test_other_packages_stay_importable(site: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "azureml" / "ai").mkdir(parents=True)
    (other / "azureml" / "train").mkdir()
    for folder in ("", "ai", "train"):
        (other / "azureml" / folder / "__init__.py").write_text("WHOSE = 'theirs'")
    (other / "azureml_ai_monitoring-1.0.0.dist-info").mkdir()
    (other / "azureml_inference_server_http-1.5.1.dist-info").mkdir()
    code = f"""
        import sys
        sys.path.append({str(other)!r})
        import azureml.ai, azureml.train, azureml.core
        print(azureml.ai.WHOSE, azureml.train.WHOSE, azureml.core.VERSION)
    """
    done = run_python(code, version=NEWEST, path=site)
    assert (done.stdout, done.stderr) == ("theirs theirs 1.36.0\n", "")


def test_the_client_refuses_an_azureml_that_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "azureml").mkdir()
    (tmp_path / "azureml" / "__init__.py").write_text("")
    (tmp_path / "azureml" / "exceptions.py").write_text("class AzureMLException(Exception): pass")
    done = run_python("import modelport.exceptions", path=tmp_path)
    assert f"ImportError: The package azureml in {tmp_path / 'azureml'} is not Modelport's." in done.stderr
