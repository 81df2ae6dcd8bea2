"""Submitted scripts: real processes, in this Python and in an old one that knows nothing of Modelport."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from azureml._runs import ownership
from azureml.exceptions import ActivityCanceledException, ActivityFailedException
from modelport import (
    CondaDependencies,
    Dataset,
    Environment,
    Experiment,
    Run,
    RunConfiguration,
    ScriptRunConfig,
    Workspace,
)
from modelport.exceptions import UserErrorException
from modelport.sdk.runs import DataReferenceConfiguration, Estimator

from .conftest import Write

PATIENCE_S = 60.0


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def old_python(workspace: Workspace) -> Environment:
    """Python 3.6 with nothing in it."""
    environment = Environment("old")
    environment.python.conda_dependencies = CondaDependencies.create(python_version="3.6")
    environment.environment_variables = {"GREETING": "hello"}
    return environment


def log_of(run: Run) -> str:
    return (Path(run.folder) / "files/azureml-logs/70_driver_log.txt").read_text()


TRAIN = """
    import os
    import sys
    from azureml.core import Dataset, Model, Run, Workspace

    run = Run.get_context()
    print("Python", sys.version_info[:2], os.environ["GREETING"], sys.argv[1:3])
    run.log("accuracy", 0.9)
    run.log("accuracy", 0.95)
    with open("outputs/model.pkl", "w") as file:
        file.write("model")
    os.makedirs("logs/deep")
    open("logs/deep/x.log", "w").close()
    model = run.register_model("trained", "outputs/model.pkl", tags={"from": "script"})
    print(model.id, model.run_id == run.id, model.experiment_name)
    try:
        run.register_model("none", "outputs/none.pkl")
    except Exception as error:
        print(type(error).__name__)
    ws = run.experiment.workspace
    print(Model.register(ws, "outputs/model.pkl", "by-itself", {"a": 1}, datasets=[("training", "some id")]).id)
    try:
        Model.register(ws, "nothing.pkl", "nothing")
    except Exception as error:
        print(type(error).__name__)
    print(ws.name, ws.subscription_id, ws.resource_group, run.experiment.name)
    print(run.get_secret("password"), run.get_secret("nothing"))
    print(open(sys.argv[3]).read().strip(), os.listdir(sys.argv[4]), sys.argv[5] == run.input_datasets["rows"].id)
    print(Dataset.get_by_name(ws, "rows").version, sorted(ws.datasets), ws.get_default_datastore().name)
    print(os.environ["files"] == run.input_datasets["files"] == sys.argv[4])
    try:
        Workspace.from_config()
    except ImportError as error:
        print("a part of the client" in str(error))
    with run.child_run("part") as child:
        child.log("loss", 1)
    run.complete()
"""


def test_a_script_in_an_old_python(
    workspace: Workspace, experiment: Experiment, write: Write, old_python: Environment
) -> None:
    write("train.py", TRAIN)
    write("data/rows.csv", "a,b\n1,2\n")
    store = workspace.get_default_datastore()
    store.upload("data", "in", overwrite=True, show_progress=False)
    rows = Dataset.Tabular.from_delimited_files((store, "in/*.csv")).register(workspace, "rows")
    files = Dataset.File.from_files((store, "in"))
    workspace.get_default_keyvault().set_secret("password", "open sesame")
    settings = RunConfiguration()
    settings.environment = old_python
    config = ScriptRunConfig(
        ".",
        "train.py",
        arguments=[
            "--alpha",
            0.5,
            store.path("in/rows.csv").as_download(),
            files.as_named_input("files").as_mount(),
            rows.as_named_input("rows"),
        ],
        run_config=settings,
        compute_target="cpu-cluster",
    )
    run = experiment.submit(config, tags={"who": "me"})
    details = run.wait_for_completion()
    assert log_of(run).splitlines() == [
        "Python (3, 6) hello ['--alpha', '0.5']",
        f"trained:1 True {experiment.name}",
        "ModelPathNotFoundException",
        "Registering model by-itself",
        "by-itself:1",
        "Registering model nothing",
        "ModelPathNotFoundException",
        f"ws sub group {experiment.name}",
        "open sesame None",
        "a,b",
        "1,2 ['rows.csv'] True",
        "1 ['rows'] workspaceblobstore",
        "True",
        "True",
    ]
    assert (details["status"], details["target"], run.tags) == ("Completed", "cpu-cluster", {"who": "me"})
    assert "'cpu-cluster' is this machine" in details["warnings"][0]["message"]
    assert run.get_metrics() == {"accuracy": [0.9, 0.95]}
    assert run.get_file_names() == [
        "azureml-logs/20_image_build_log.txt",
        "azureml-logs/70_driver_log.txt",
        "logs/deep/x.log",
        "outputs/model.pkl",
    ]
    assert workspace.models["trained"].run == run
    assert workspace.models["trained"].tags == {"from": "script"}
    assert workspace.models["by-itself"].datasets == {"training": ["some id"]}
    assert [child.get_metrics() for child in run.get_children()] == [{"loss": 1}]
    everything = "".join(
        path.read_text() for path in Path(run.folder).rglob("*") if path.is_file() and "log" in path.name
    )
    assert everything.count("open sesame") == 1  # the script printed it; nothing else did
    left = {path.name for path in Path(run.folder).iterdir()}
    assert not left & {"work", "python"}
    assert (Path(store.folder) / "in/rows.csv").exists()


def test_a_script_in_this_python(
    experiment: Experiment, write: Write, capsys: pytest.CaptureFixture[str], cwd: Path
) -> None:
    write("lib.py", "NAME = 'the module beside it'")
    script = """
        import os, sys, lib
        from azureml.core import Run, Workspace
        from modelport import Workspace as ours
        run = Run.get_context()
        print(lib.NAME, sys.executable, Workspace is ours, isinstance(run.experiment.workspace, ours))
        print(os.getcwd() != os.environ["SUBMITTED_FROM"], run.experiment.workspace.experiments[run.experiment.name].id)
    """
    write("train.py", script)
    settings = RunConfiguration()
    settings.environment_variables["SUBMITTED_FROM"] = str(cwd)
    run = experiment.submit(ScriptRunConfig(source_directory=str(cwd), script="train.py", run_config=settings))
    run.wait_for_completion(show_output=True)
    said = capsys.readouterr().out
    assert f"RunId: {run.id}" in said
    assert "Streaming azureml-logs/70_driver_log.txt\n========================================\n" in said
    assert f"the module beside it {sys.executable} True True\nTrue {experiment.id}\n" in said
    assert "Execution Summary\n=================\n" in said
    assert str(run).splitlines()[2] == "Type: azureml.scriptrun,"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("raise ValueError('no luck')", "User program failed with ValueError: no luck (its exit status is 1;"),
        ("import sys; print('bye'); sys.exit(3)", "User program failed (its exit status is 3;"),
        ("import os; os.kill(os.getpid(), 9)", "User program failed (it was ended by SIGKILL;"),
        (
            "import nothing_like_this",
            "User program failed with ModuleNotFoundError: No module named 'nothing_like_this'",
        ),
        ("from azureml.core import Run; Run.get_context().fail('it is bad', 'Bad')", "it is bad"),
    ],
)
def test_a_script_that_fails(experiment: Experiment, write: Write, script: str, message: str) -> None:
    write("train.py", "open('outputs/half.txt', 'w').close()\n" + script)
    run = experiment.submit(ScriptRunConfig(".", "train.py", run_config=""))  # type: ignore[arg-type]  # as actions do
    with pytest.raises(ActivityFailedException) as failed:
        run.wait_for_completion()
    assert json.loads(failed.value.message)["error"]["message"].startswith(message)
    assert run.wait_for_completion(raise_on_error=False)["status"] == "Failed"
    assert "outputs/half.txt" in run.get_file_names()


SLEEP = """
    import os, subprocess, sys, time
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"], preexec_fn=os.setpgrp)
    open("outputs/begun.txt", "w").close()
    print("sleeping", os.getpid(), child.pid, flush=True)
    time.sleep(100)
"""


def begun(experiment: Experiment, write: Write) -> tuple[Run, int, int]:
    """A run whose script has begun, and the process ids of the script and of what it started."""
    write("train.py", SLEEP)
    run = experiment.submit(ScriptRunConfig(".", "train.py"))
    until(lambda: "azureml-logs/70_driver_log.txt" in run.get_file_names() and log_of(run).startswith("sleeping"))
    assert (run.get_status(), "outputs/begun.txt" in run.get_file_names()) == ("Running", True)
    script, child = map(int, log_of(run).split()[1:3])
    return run, script, child


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_cancelling_ends_everything_and_keeps_what_there_is(experiment: Experiment, write: Write) -> None:
    run, _, child = begun(experiment, write)
    driver = ownership.owner(run.folder)
    assert driver is not None
    assert os.getsid(driver) == driver  # a Ctrl-C in the notebook does not reach it
    run.cancel()
    with pytest.raises(ActivityCanceledException, match=run.id):
        run.wait_for_completion()
    assert run.get_status() == "Canceled"
    assert is_gone(child)
    assert "outputs/begun.txt" in run.get_file_names()
    with pytest.raises(UserErrorException, match="ended already: it is Canceled"):
        run.complete()


def test_a_driver_that_is_killed_fails_its_run(experiment: Experiment, write: Write) -> None:
    run, script, child = begun(experiment, write)
    driver = ownership.owner(run.folder)
    assert driver is not None
    os.kill(driver, signal.SIGKILL)
    until(lambda: is_gone(script))  # at once, without anybody looking
    until(lambda: run.get_status() == "Failed")
    until(lambda: is_gone(child))
    assert "killed" in run.get_detailed_status()["details"]
    assert "outputs/begun.txt" in run.get_file_names()


def test_a_run_outlives_the_program_that_submits_it(workspace: Workspace, experiment: Experiment, write: Write) -> None:
    write("train.py", "import sys, time\nwhile not __import__('os').path.exists(sys.argv[1]): time.sleep(0.02)")
    write("go-on", "")
    Path("go-on").rename("not-yet")
    code = f"""
from modelport import Experiment, ScriptRunConfig, Workspace
config = ScriptRunConfig(".", "train.py", arguments=[{str(Path("go-on").absolute())!r}])
print(Experiment(Workspace.get("ws"), {experiment.name!r}).submit(config).id)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    run = workspace.get_run(done.stdout.strip())
    until(lambda: run.get_status() == "Running")
    Path("not-yet").rename("go-on")
    assert run.wait_for_completion()["status"] == "Completed"


def test_a_run_within_a_time_limit(experiment: Experiment, write: Write) -> None:
    write("train.py", "import time; time.sleep(100)")
    run = experiment.submit(ScriptRunConfig(".", "train.py", max_run_duration_seconds=0.5))
    with pytest.raises(ActivityFailedException, match=r"longer than max_run_duration_seconds: 0\.5 s"):
        run.wait_for_completion()


def test_an_environment_that_cannot_be_had(experiment: Experiment, write: Write) -> None:
    write("train.py", "")
    environment = Environment("impossible")
    environment.python.conda_dependencies = CondaDependencies.create(python_version="3.2")
    run = experiment.submit(ScriptRunConfig(".", "train.py", environment=environment))
    with pytest.raises(ActivityFailedException, match=r"python=3\.2 was asked for"):
        run.wait_for_completion()
    again = run.get_environment()
    assert again.name == "impossible"
    assert "python=3.2" in again.python.conda_dependencies.serialize_to_string()
    with pytest.raises(UserErrorException, match="has no environment of its own"):
        experiment.start_logging().get_environment()
    assert run.get_file_names() == ["azureml-logs/20_image_build_log.txt"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: setattr(config, "script", "none.py"), "no script 'none.py'"),
        (lambda config: setattr(config, "script", "broken.py"), r"broken\.py:1: "),
        (lambda config: setattr(config.run_config, "node_count", 2), "2 nodes"),
        (lambda config: setattr(config.run_config, "framework", "PySpark"), "Spark"),
        (lambda config: setattr(config, "source_directory", "nowhere"), "no script"),
    ],
)
def test_what_cannot_run_is_refused_at_once(
    experiment: Experiment, write: Write, change: Callable[[ScriptRunConfig], None], message: str
) -> None:
    write("train.py", "")
    write("broken.py", "def (:")
    config = ScriptRunConfig(".", "train.py")
    change(config)
    with pytest.raises(UserErrorException, match=message):
        experiment.submit(config)
    assert [*experiment.get_runs()] == []
    with pytest.raises(UserErrorException, match="cannot be submitted"):
        experiment.submit(object())


def test_other_spellings(workspace: Workspace, experiment: Experiment, write: Write, cwd: Path) -> None:
    write(
        "train.py", "import sys\nprint(sys.argv[1:], open(sys.argv[2] + '/x.txt').read())\nopen('made/y', 'w').close()"
    )
    store = workspace.get_default_datastore()
    write("data/x.txt", "the data")
    store.upload("data", "spellings", show_progress=False)
    settings = RunConfiguration(script="train.py", arguments=["--folder", str(store.as_mount())])
    settings.data_references = {
        store.name: DataReferenceConfiguration(store.name, "download", "spellings"),
        "made": DataReferenceConfiguration(store.name, "upload", "made", path_on_compute="made"),
    }
    settings.environment.python.user_managed_dependencies = True
    settings.save(str(cwd), "mine")
    loaded = RunConfiguration.load(str(cwd), "mine")
    assert (loaded.script, loaded.arguments, loaded.target) == (settings.script, settings.arguments, "local")
    assert loaded.environment.python.user_managed_dependencies
    run = experiment.submit(ScriptRunConfig(".", run_config=settings))
    estimator = Estimator(".", entry_script="train.py", script_params={"--folder": "nowhere", "--flag": ""})
    estimator.run_config.environment.python.user_managed_dependencies = True
    shell = experiment.submit(
        ScriptRunConfig(".", command="echo $AZUREML_RUN_ID $AZUREML_ARM_PROJECT_NAME; which python")
    )
    failing = experiment.submit(estimator)
    run.wait_for_completion()
    assert log_of(run).endswith("the data\n")
    assert (Path(store.folder) / "made/y").exists()
    shell.wait_for_completion()
    assert log_of(shell).split() == [shell.id, experiment.name, str(Path(sys.executable).parent / "python")]
    with pytest.raises(ActivityFailedException, match=r"nowhere/x\.txt"):
        failing.wait_for_completion()
    definition = failing.get_details()["runDefinition"]
    assert definition["arguments"] == ["--folder", "nowhere", "--flag"]


def test_a_child_that_is_submitted(experiment: Experiment, write: Write) -> None:
    write("train.py", "from azureml.core import Run; Run.get_context().log('x', 1)")
    with experiment.start_logging(snapshot_directory=None) as parent:
        child = parent.submit_child(ScriptRunConfig(".", "train.py"))
    child.wait_for_completion()
    assert (child.parent, parent.get_metrics(recursive=True)[child.id]) == (parent, {"x": 1})
