"""How a start fails, and what the script finds around it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import azureml
import modelport_worker
from driving import App
from interpreters import THIS_PYTHON, interpreter_or_skip

INIT = "def init():\n    pass\n"


def test_exception_at_import_shows_the_users_frames_only(app: App, python: str) -> None:
    with app.run(python, "import helper\n") as worker:
        app.write("helper.py", "import no_such_module\n")
        failure = worker.failure()
        assert failure["phase"] == "import"
        assert failure["type"] == "ModuleNotFoundError"
        assert failure["message"] == "No module named 'no_such_module'"
        lines = failure["traceback"].splitlines()
        assert lines[0] == "Traceback (most recent call last):"
        assert lines[1].endswith('score.py", line 1, in <module>')
        assert "importlib" not in failure["traceback"]
        assert "modelport_worker" not in failure["traceback"]


def test_syntax_error_is_shown_as_python_shows_it(app: App, python: str) -> None:
    with app.run(python, "def init():\n    pass\n\ndef run(data:\n    return data\n") as worker:
        failure = worker.failure()
        assert failure["phase"] == "import"
        assert failure["type"] == "SyntaxError"
        assert 'score.py", line ' in failure["traceback"].splitlines()[0]
        assert "def run(data:" in failure["traceback"] or "return data" in failure["traceback"]
        assert "Traceback" not in failure["traceback"]


def test_exception_in_init_and_the_model_files_in_the_log(app: App, python: str) -> None:
    app.write("azureml-models/flowers/2/model.pkl", "x")
    code = """
        def init():
            open("nowhere.pkl")

        def run(data):
            return data
    """
    with app.run(python, code, AZUREML_MODEL_DIR=str(app.root / "azureml-models/flowers/2")) as worker:
        failure = worker.failure()
        assert (failure["phase"], failure["type"]) == ("init", "FileNotFoundError")
        assert "nowhere.pkl" in failure["message"]
        assert 'score.py", line 3, in init' in failure["traceback"]
        assert "flowers/2/model.pkl" in worker.output
        assert failure["traceback"] in worker.output


def test_what_logging_holds_back_is_written_where_the_start_fails(app: App) -> None:
    code = """
        import logging.handlers, sys

        def init():
            own = logging.getLogger("own")
            own.propagate = False
            own.addHandler(logging.handlers.MemoryHandler(100, target=logging.StreamHandler(sys.stderr)))
            own.info("looked for the %s", "model")
            raise ValueError("no model")

        def run(data):
            return data
    """
    with app.run(sys.executable, code) as worker:
        worker.failure()
        worker.wait_for_output("looked for the model\n")


def test_a_failure_names_a_file_whose_name_is_no_text(app: App, python: str) -> None:
    code = """
        import os

        def init():
            raise RuntimeError("cannot read " + os.fsdecode(b"mod\\xffel"))

        def run(data):
            return data
    """
    with app.run(python, code) as worker:
        assert worker.failure()["message"] == "cannot read mod\\udcffel"


@pytest.mark.parametrize("deed", ["sys.stderr = sys.stdout = None", "sys.stderr.close()"])
def test_a_failure_is_told_where_the_script_has_no_streams(app: App, python: str, deed: str) -> None:
    with app.run(python, f"import sys\n{deed}\nraise ValueError('no model')") as worker:
        assert worker.failure()["message"] == "no model"
        worker.wait_for_output("The phase import failed: ValueError: no model")


@pytest.mark.parametrize("statement", ["sys.exit(4)", "raise KeyboardInterrupt", "raise GeneratorExit"])
def test_leaving_in_init_is_a_failure(app: App, python: str, statement: str) -> None:
    code = f"""
        import sys, threading, time

        def init():
            threading.Thread(target=time.sleep, args=(60,)).start()
            {statement}

        def run(data):
            return data
    """
    with app.run(python, code) as worker:
        failure = worker.failure()
        assert failure["phase"] == "init"
        assert (
            failure["type"]
            == {"s": "SystemExit", "K": "KeyboardInterrupt", "G": "GeneratorExit"}[statement.removeprefix("raise ")[0]]
        )
        if "exit(4)" in statement:
            assert "sys.exit(4)" in failure["message"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def run(data): pass", "no function init(). It has: run(). Define it: def init():"),
        ("from json import dump", "no function init(). It has no functions. Define it: def init():"),
        (INIT, "no function run(). It has: init(). Define it: def run(data):"),
        (
            INIT + "def helper(): pass\ndef predict(x): pass",
            "It has: init(), helper(), predict(). Rename predict() to run",
        ),
        (INIT + "run = 3", "no function run()"),
        (INIT + "def run(): pass", "no parameter for the data"),
        (INIT + "def run(request_headers): pass", "no parameter for the data"),
        (INIT + "def run(*args): pass", "run() has *args"),
        (INIT + "def run(data, **options): pass", "run() has **options"),
        (INIT + "run = ''.join.__class__.__call__", "run() has"),
        (INIT + "def run(a, b): pass", "requires several parameters (a, b)"),
        (INIT + "async def run(data): pass", "run() of the entry script is asynchronous"),
        (INIT + "async def run(data): yield", "run() of the entry script is asynchronous"),
        (INIT + "def run(data): pass\nasync def run_batch(data): pass", "run_batch() of the entry script is asynchron"),
        ("async def init(): pass\ndef run(data): pass", "init() of the entry script is asynchronous"),
    ],
)
def test_script_that_cannot_be_served(app: App, python: str, code: str, message: str) -> None:
    with app.run(python, code) as worker:
        failure = worker.failure()
        assert (failure["phase"], failure["type"], failure["traceback"]) == ("import", "ScriptError", "")
        assert message in failure["message"]


def test_positional_only_parameter(app: App) -> None:
    with app.run(THIS_PYTHON, INIT + "def run(data, /): pass") as worker:
        assert "positional-only parameter data" in worker.failure()["message"]


def test_missing_script_lists_what_is_there(app: App, python: str) -> None:
    app.write("source/other.py", "")
    with app.worker(python, "source/score.py") as worker:
        failure = worker.failure()
        assert failure["phase"] == "import"
        assert "source/score.py is not in" in failure["message"]
        assert "source/other.py" in failure["message"]


def test_script_finds_its_neighbours_and_not_ours(app: App, python: str) -> None:
    app.write("beside.py", "NAME = 'beside'")
    app.write("source/helper.py", "NAME = 'helper'")
    app.write(
        "source/score.py",
        """
        import os, sys
        import beside, helper

        def init():
            pass

        def run(data):
            return {"path": sys.path, "cwd": os.getcwd(), "argv": sys.argv, "names": [beside.NAME, helper.NAME]}
        """,
    )
    with app.worker(python, "source/score.py", AZUREML_SOURCE_DIRECTORY="source") as worker:
        worker.start()
        found = worker.ask().json
        assert found["path"][0] == found["cwd"] == str(app.root)
        assert found["path"][-1] == str(app.root / "source")
        assert found["argv"] == ["source/score.py"]
        assert found["names"] == ["beside", "helper"]
        ours = Path(modelport_worker.__path__[0])
        assert not {str(ours), str(ours.parent)} & {str(Path(entry).resolve()) for entry in found["path"]}


def test_packages_beside_the_worker_are_invisible(app: App, python: str) -> None:
    code = """
        import importlib.util

        def init():
            pass

        def run(data):
            names = ("modelport_scoring", "frames", "uvloop", "link")
            return [importlib.util.find_spec(name) is None for name in names]
    """
    with app.run(python, code) as worker:
        worker.start()
        assert worker.ask().json == [True] * 4


def test_no_module_of_ours_has_a_name_of_the_standard_library() -> None:
    names = {file.stem for file in Path(modelport_worker.__path__[0]).glob("*.py")}
    assert names & sys.stdlib_module_names == set()


def test_script_named_like_a_library(app: App, python: str) -> None:
    code = """
        import json

        def init():
            pass

        def run(data):
            return [__name__, json.loads("[1]")]
    """
    app.write("source/json.py", code)
    with app.worker(python, "source/json.py") as worker:
        worker.start()
        assert worker.ask().json == ["entry_script", [1]]


def test_main_is_the_script_where_none_is_named(app: App, python: str) -> None:
    app.write("main.py", INIT + "def run(data):\n    return __name__\n")
    with app.worker(python, "") as worker:
        worker.start()
        assert worker.ask().json == "main"


def test_driver_module_is_unwrapped(app: App, python: str) -> None:
    app.write("inner.py", "def run(data):\n    return ['inner', data]\n")
    code = """
        import inner as driver_module

        def init():
            driver_module.ready = True

        def run(other, names):
            return "outer"
    """
    with app.run(python, code) as worker:
        assert worker.start()["parameters"] == [{"name": "data", "required": True}]
        assert worker.ask("x").json == ["inner", "x"]


def test_our_azureml_names_win_and_others_stay(app: App, python: str) -> None:
    app.write("site/azureml/__init__.py", "raise RuntimeError('not ours')")
    app.write("site/azureml/core/__init__.py", "raise RuntimeError('not ours')")
    app.write("site/azureml/train/__init__.py", "NAME = 'theirs'")
    app.write("site/azureml/contrib/__init__.py", "")
    app.write("site/azureml/contrib/automl.py", "NAME = 'theirs too'")
    code = """
        from azureml.core import VERSION
        from azureml.core.model import Model
        from azureml.train import NAME
        from azureml.contrib import automl

        def init():
            pass

        def run(data):
            return [VERSION, Model.get_model_path("flowers"), NAME, automl.NAME]
    """
    app.write("azureml-models/flowers/10/m.pkl", "")
    with app.run(python, code, PYTHONPATH=str(app.root / "site")) as worker:
        worker.start()
        assert worker.ask().json == ["1.36.0", "azureml-models/flowers/10/m.pkl", "theirs", "theirs too"]


@pytest.mark.parametrize("still_there", [True, False])
def test_joblib_is_found_by_its_name_of_2019(app: App, python: str, still_there: bool) -> None:
    app.write("site/joblib.py", "NAME = 'joblib'")
    app.write("site/sklearn/__init__.py", "")
    app.write("site/sklearn/externals/__init__.py", "")
    if still_there:
        app.write("site/sklearn/externals/joblib.py", "NAME = 'of scikit-learn'")
    code = """
        from sklearn.externals import joblib
        import joblib as itself

        def init():
            pass

        def run(data):
            return [joblib.NAME, joblib is itself, itself.__spec__.name]
    """
    with app.run(python, code, PYTHONPATH=str(app.root / "site")) as worker:
        worker.start()
        expected = ["of scikit-learn", False, "joblib"] if still_there else ["joblib", True, "joblib"]
        assert worker.ask().json == expected
        assert ("has no sklearn.externals.joblib any more" in worker.output) is not still_there


def test_a_service_does_not_load_the_client(app: App) -> None:
    app.write("site/modelport/__init__.py", "raise RuntimeError('loaded')")
    app.write("site/azureml_core-1.34.0.dist-info/METADATA", "")
    app.write("site/azureml/__init__.py", "")
    code = """
        import sys
        from azureml.core import Model

        def init():
            pass

        def run(data):
            try:
                Model.list(None)
            except RuntimeError as error:
                return [Model.get_model_path("score.py"), str(error)]
    """
    with app.run(sys.executable, code, PYTHONPATH=str(app.root / "site")) as worker:
        worker.start()
        assert worker.ask().json == ["score.py", "loaded"]


def test_every_file_is_python_3_6(tmp_path: Path) -> None:
    files = [str(file) for package in (modelport_worker, azureml) for file in Path(package.__path__[0]).rglob("*.py")]
    check = "import sys\nfor name in sys.argv[1:]: compile(open(name, encoding='utf-8').read(), name, 'exec')"
    done = subprocess.run([interpreter_or_skip("3.6"), "-c", check, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_worker_stays_small() -> None:
    lines = [file.read_text().count("\n") for file in Path(modelport_worker.__path__[0]).glob("*.py")]
    assert sum(lines) < 2980  # ADR 4
