"""Runs that a notebook logs to (azureml-v1 reference, 2.12)."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from modelport import Experiment, Model, ResourceConfiguration, Run, Workspace
from modelport.exceptions import ModelPathNotFoundException, UserErrorException

from .conftest import Write


def test_a_run_is_recorded_and_read_back(experiment: Experiment, write: Write, cwd: Path) -> None:
    old = write("outputs/old.txt", "from an earlier run")
    while time.time() - old.stat().st_ctime < 0.1:
        time.sleep(0.01)
    run = experiment.start_logging(snapshot_directory=None)
    assert run.get_status() == "Running"
    for alpha in (0.1, 0.2):
        run.log("alpha", alpha)
    run.set_tags({"kind": "ridge", "n": 2})
    run.add_properties({"source": "here"})
    run.display_name = "the first"
    write("outputs/model.pkl", "model")
    write("logs/train.log", "done")
    run.complete()
    run.complete()  # a cell that is run twice

    again = Run(experiment, run.id)
    assert again == run
    assert again.status == "Completed"
    assert again.get_metrics() == {"alpha": [0.1, 0.2]}
    assert (again.tags, again.properties) == ({"kind": "ridge", "n": "2"}, {"source": "here"})
    assert again.get_file_names() == ["logs/train.log", "outputs/model.pkl"]
    assert (again.number, again.display_name, again.parent, again.type) == (1, "the first", None, None)
    assert str(again).splitlines()[::3] == [f"Run(Experiment: {experiment.name},", "Status: Completed)"]
    details = again.get_details()
    assert details["status"] == "Completed"
    assert details["startTimeUtc"] <= details["endTimeUtc"]
    assert "error" not in details
    with pytest.raises(UserErrorException, match="do not change"):
        again.add_properties({"source": "there"})


def test_the_folder_of_outputs_is_there_for_the_script_unless_it_is_not_kept(experiment: Experiment, cwd: Path) -> None:
    with experiment.start_logging(outputs=False, snapshot_directory=None):
        assert not (cwd / "outputs").exists()
    with experiment.start_logging(snapshot_directory=None) as run:
        (cwd / "outputs" / "model.pkl").write_text("model")
    assert run.get_file_names() == ["outputs/model.pkl"]


def test_a_model_from_a_run(workspace: Workspace, experiment: Experiment, write: Write) -> None:
    write("m.pkl", "model")
    run = experiment.start_logging(outputs=False, snapshot_directory=None)
    run.upload_file("outputs/ridge.pkl", "m.pkl")
    run.upload_file("outputs/folder/a", "m.pkl")
    run.upload_file("ridge.pkl", "m.pkl")
    model = run.register_model(
        "ridge",
        "outputs/ridge.pkl",
        tags={"a": 1},
        model_framework=Model.Framework.SCIKITLEARN,
        description="d",
        datasets=[("training", "an id")],
        resource_configuration=ResourceConfiguration(cpu=1, memory_in_gb=0.5),
    )
    assert isinstance(model, Model)
    assert (model.run_id, model.experiment_name, model.run) == (run.id, experiment.name, run)
    assert model.datasets == {"training": ["an id"]}
    assert model.resource_configuration == ResourceConfiguration(cpu=1, memory_in_gb=0.5)
    assert (model.tags, model.model_framework, model.description) == ({"a": "1"}, "ScikitLearn", "d")
    folder = run.register_model(model_name="folder", model_path="outputs/folder")
    named = run.register_model("ridge.pkl")
    assert [each.id for each in Model.list(workspace, run_id=run.id)] == ["folder:1", "ridge:1", "ridge.pkl:1"]
    assert [file.path for file in folder.record.files] == ["folder/a"]
    assert [file.path for file in named.record.files] == ["ridge.pkl"]
    with pytest.raises(ModelPathNotFoundException, match=r"outputs/no\.pkl in the set of files .*outputs/ridge\.pkl"):
        run.register_model("no", "outputs/no.pkl")
    with pytest.raises(TypeError, match="unexpected"):
        run.register_model("no", unheard_of=1)
    run.complete()
    assert Model(workspace, "ridge", run_id=run.id).id == "ridge:1"
    assert Model.register(workspace, "m.pkl", "other").run is None


def test_children_and_with_blocks(experiment: Experiment) -> None:
    with experiment.start_logging(snapshot_directory=None) as run:
        with run.child_run("one") as child:
            child.log("x", 1)
        second, third = run.create_children(tag_key="fold", tag_values=[1, 2])
        second.start()
        second.log("x", 2)
        left = run.child_run("left open")
    assert run.get_status() == "Completed"
    assert left.get_status() == "Completed"  # with its parent
    assert [each.tags for each in run.get_children(tags={"fold": 2})] == [{"fold": "2"}]
    assert third.parent == run
    metrics = run.get_metrics(recursive=True)
    assert metrics[child.id] == {"x": 1}
    assert [each.id for each in experiment.get_runs()] == [run.id]
    assert len([*experiment.get_runs(include_children=True)]) == 5
    with pytest.raises(ValueError, match="no luck"), experiment.start_logging(snapshot_directory=None) as failing:
        raise ValueError("no luck")
    assert failing.get_status() == "Failed"
    assert failing.get_details()["error"]["error"]["message"] == "ValueError: no luck"
    assert [each.id for each in Run.list(experiment, status="Failed")] == [failing.id]


def test_finding_runs_and_experiments(workspace: Workspace, experiment: Experiment) -> None:
    runs = [experiment.start_logging(snapshot_directory=None) for _ in range(3)]
    runs[1].tag("best")
    runs[2].cancel()
    runs[0].fail("it did not converge", error_code="Diverged")
    runs[1].complete()
    assert [run.id for run in experiment.get_runs()] == [run.id for run in reversed(runs)]
    assert [run.id for run in experiment.get_runs(tags="best")] == [runs[1].id]
    assert [run.get_status() for run in runs] == ["Failed", "Completed", "Canceled"]
    assert runs[0].get_details()["error"] == {"error": {"code": "Diverged", "message": "it did not converge"}}
    assert workspace.get_run(runs[1].id) == runs[1]
    assert Run.get(workspace, runs[1].id) == runs[1]
    assert workspace.experiments[experiment.name] == experiment
    with pytest.raises(UserErrorException, match="Run with id nothing not found"):
        workspace.get_run("nothing")
    with pytest.raises(UserErrorException, match="not found"):
        Run(experiment, "../ws")

    experiment.set_tags({"a": 1})
    assert Experiment(workspace, experiment.name).tags == {"a": "1"}
    experiment.archive()
    assert experiment.name not in {each.name for each in Experiment.list(workspace)}
    assert [each.name for each in Experiment.list(workspace, view_type="ArchivedOnly")] == [experiment.name]
    experiment.reactivate()
    assert experiment.name in {each.name for each in Experiment.list(workspace, tags="a")}
    with pytest.raises(UserErrorException, match="has runs"):
        Experiment.delete(workspace, experiment.id)
    Experiment.delete(workspace, Experiment(workspace, "unused").id)
    assert "unused" not in workspace.experiments


def test_a_snapshot_of_the_source_folder(experiment: Experiment, write: Write, cwd: Path) -> None:
    write("train.py", "print(1)")
    write("data/big.csv", "1")
    write("data/keep.csv", "1")
    write("outputs/model.pkl", "from an earlier run")
    write("cache/deep/x", "1")
    write(".amlignore", "# not these\ndata/*\n!data/keep.csv\n*.log\ncache/\n")
    write("x.log", "")
    first, second = experiment.start_logging(), experiment.start_logging()
    assert first.get_snapshot_id() == second.get_snapshot_id()
    with zipfile.ZipFile(first.restore_snapshot(path=str(cwd / "restored"))) as archive:
        assert sorted(archive.namelist()) == [".amlignore", "data/keep.csv", "train.py"]
    for run in (first, second):
        run.complete()


def test_runs_that_have_ended_hold_nothing(experiment: Experiment) -> None:
    experiment.start_logging(snapshot_directory=None).complete()
    gc.collect()  # what other tests have left is not to be collected while this one counts
    before = len([*Path("/proc/self/fd").iterdir()])
    for _ in range(5):
        run = experiment.start_logging(snapshot_directory=None)
        run.log("x", 1)
        run.complete()
    experiment.start_logging(snapshot_directory=None).cancel()
    assert len([*Path("/proc/self/fd").iterdir()]) == before
    assert run.child_run("late").get_status() == "Completed"  # with its parent


def test_a_folder_that_is_too_large_is_not_kept(
    workspace: Workspace, cwd: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = Experiment(Workspace.get(workspace.name), "many-files")
    (cwd / "many").mkdir()
    for number in range(2_001):
        (cwd / "many" / str(number)).touch()
    for _ in range(2):
        with experiment.start_logging() as run:
            assert run.get_snapshot_id() is None
    assert capsys.readouterr().out.count(f"No snapshot of {cwd} is kept: it holds more than 2,000 files") == 1
    with pytest.raises(UserErrorException, match="no snapshot"):
        run.restore_snapshot()


def test_loops_of_links_end(experiment: Experiment, write: Write, cwd: Path) -> None:
    write("a/b/x.txt", "x")
    (cwd / "a/b/up").symlink_to(cwd / "a")
    (cwd / "broken").symlink_to(cwd / "nowhere")
    with experiment.start_logging() as run:
        pass
    with zipfile.ZipFile(run.restore_snapshot(path=str(cwd / "restored"))) as archive:
        assert archive.namelist() == ["a/b/x.txt"]


@pytest.mark.parametrize(
    ("ending", "status", "reason", "files"),
    [
        ("", "Completed", "", ["outputs/x"]),
        ("raise ValueError('no luck')", "Failed", "ValueError: no luck", ["outputs/x"]),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "Failed",
            "The process that logged to the run ended without run.complete().",
            [],
        ),
    ],
)
def test_a_program_that_ends_without_saying_how(
    workspace: Workspace, cwd: Path, ending: str, status: str, reason: str, files: list[str]
) -> None:
    code = f"""
import os
from modelport import Experiment, Workspace
experiment = Experiment(Workspace.get("ws"), "ending")
run = experiment.start_logging(snapshot_directory=None)
os.makedirs("outputs", exist_ok=True)
open("outputs/x", "w").close()
print(run.id, flush=True)
{ending}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd)
    run = workspace.get_run(done.stdout.strip())
    assert (run.get_status(), run.get_file_names()) == (status, files)
    assert (
        run.get_detailed_status()["details"]
        == {
            "Completed": "",
            "Failed": "ValueError: no luck"
            if files
            else "The process that logged to the run ended without run.complete().",
        }[status]
    )
