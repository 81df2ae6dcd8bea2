"""Runs on a bare Python: many processes change the folder of one at once, and nothing is lost."""

from __future__ import annotations

import io
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

import azureml
from azureml._runs import ownership
from azureml._runs.documents import JsonDocument
from azureml._runs.files import clean_name
from azureml._runs.folder import RunFolder, mark_of
from azureml._runs.making import check_experiment_name, make_child, make_run
from azureml._runs.metrics import LIST, ROW, SCALAR, TABLE, MetricLog
from azureml._runs.run import Run
from azureml._runs.values import scalar
from azureml.exceptions import UserErrorException

SOURCE = Path(azureml.__path__[0]).parent
OLDEST = "3.6"


def python(version: str | None = None) -> str:
    program = sys.executable if version is None else shutil.which(f"python{version}")
    return program or pytest.skip(f"there is no Python {version} on this machine")


def start(code: str, *arguments: str, version: str | None = None, **variables: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "PYENV_VERSION": version or "", "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [python(version), "-W", "error", "-c", textwrap.dedent(code), *arguments],
        env={**environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_run(str(tmp_path), "tests")


# --- concurrent writers -----------------------------------------------------------------------------------------------

WRITER = """
    import sys
    from azureml._runs.run import Run
    run = Run.get_context()
    for number in range(40):
        run.tag("{}-{}".format(sys.argv[1], number), number)
        run.log("loss", number)
        run.log("own " + sys.argv[1], "x" * 5000)
    run.upload_file("outputs/" + sys.argv[1], __import__("io").BytesIO(b"x"))
"""


def test_no_writer_loses_what_another_writes(run: RunFolder) -> None:
    writers = [
        start(WRITER, name, version=version, MODELPORT_RUN_FOLDER=run.path)
        for name, version in (("old", OLDEST), ("new", None), ("other", None))
    ]
    for writer in writers:
        finish(writer)
    assert len(run.document.read()["tags"]) == 120
    metrics = run.metrics.values()
    assert len(metrics["loss"]) == 120
    assert metrics["own old"] == ["x" * 5000] * 40
    assert run.files.names() == ["outputs/new", "outputs/old", "outputs/other"]
    assert sorted(entry.name for entry in Path(run.path).iterdir()) == [
        "files",
        "metrics.jsonl",
        "run.json",
        "run.json.lock",
    ]


def test_a_reader_never_sees_half_a_document(tmp_path: Path) -> None:
    document = JsonDocument(str(tmp_path / "run.json"))
    document.create({"n": 0, "rest": "x" * 100_000})
    writer = start(
        """
        import sys
        from azureml._runs.documents import JsonDocument
        for number in range(60):
            with JsonDocument(sys.argv[1]).change() as content:
                content["n"] = number + 1
        """,
        document.path,
        version=OLDEST,
    )
    seen = 0
    while writer.poll() is None:
        assert len(document.read()["rest"]) == 100_000
        seen += 1
    finish(writer)
    assert (document.read()["n"], seen > 0) == (60, True)


def test_a_change_that_fails_changes_nothing(run: RunFolder) -> None:
    before = run.document.read()
    with pytest.raises(RuntimeError), run.document.change() as content:
        content["status"] = "Completed"
        raise RuntimeError("in the middle")
    assert run.document.read() == before


# --- metrics ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("logged", "value"),
    [
        ([(SCALAR, 1)], 1),
        ([(SCALAR, 1), (SCALAR, 2)], [1, 2]),
        ([(LIST, [1, 2])], [1, 2]),
        ([(LIST, [1]), (LIST, [2, 3])], [1, 2, 3]),
        ([(ROW, {"x": 1, "y": 2})], {"x": 1, "y": 2}),
        ([(ROW, {"x": 1, "y": 2}), (ROW, {"x": 3, "y": 4})], {"x": [1, 3], "y": [2, 4]}),
        ([(TABLE, {"x": [1, 2]}), (TABLE, {"x": [3]})], {"x": [1, 2, 3]}),
        ([(SCALAR, 1), (LIST, [2])], [1, [2]]),
    ],
)
def test_what_is_logged_under_one_name_is_one_value(
    tmp_path: Path, logged: list[tuple[str, Any]], value: object
) -> None:
    log = MetricLog(str(tmp_path / "metrics.jsonl"))
    for kind, each in logged:
        log.append(kind, "m", each)
    log.append(SCALAR, "another", 0)
    assert log.values("m") == {"m": value}
    assert list(log.values()) == ["m", "another"]


def test_a_line_that_was_never_finished_costs_nothing_else(tmp_path: Path) -> None:
    log = MetricLog(str(tmp_path / "metrics.jsonl"))
    log.append(SCALAR, "m", 1)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"name": "m", "kind": "sca')
    log.append(SCALAR, "m", 2, description="the second", step=7)
    assert log.values() == {"m": [1, 2]}
    assert list(log.entries())[1]["description"] == "the second"
    assert list(log.entries())[1]["step"] == 7


def test_values_of_other_libraries_become_plain() -> None:
    import numpy as np

    assert scalar(np.float64(0.5)) == 0.5
    assert type(scalar(np.int32(3))) is int
    assert scalar(np.array([2.5])) == 2.5
    assert scalar(np.bool_(True)) is True
    assert math.isnan(scalar(float("nan")))
    assert scalar(Path("/x")) == "/x"
    assert scalar(np.array([1, 2])) == "[1 2]"


def test_images_and_schemas_are_files_of_the_run(run: RunFolder, tmp_path: Path) -> None:
    class Plot:
        def savefig(self, path: str, **_: object) -> None:
            Path(path).write_bytes(b"PNG")

    recorded = Run._of(run)
    matrix = {"schema_type": "confusion_matrix", "schema_version": "v1", "data": {"class_labels": [], "matrix": []}}
    recorded.log_image("residuals", plot=Plot())
    recorded.log_confusion_matrix("confusion", json.dumps(matrix))
    recorded.log_row("one", x=1)
    image, confusion = recorded.get_metrics("residuals")["residuals"], recorded.get_metrics()["confusion"]
    name = image.rpartition("/")[2]
    assert image == f"aml://artifactId/ExperimentRun/dcid.{run.run_id}/{name}"
    assert sorted(recorded.get_file_names()) == sorted(["confusion", name])
    assert confusion.endswith("/confusion")
    recorded.download_file("confusion", str(tmp_path / "matrix.json"))
    assert json.loads((tmp_path / "matrix.json").read_text()) == matrix
    with pytest.raises(UserErrorException, match="accuracy_table"):
        recorded.log_accuracy_table("table", matrix)
    with pytest.raises(UserErrorException, match="not both"):
        recorded.log_image("both", path="a.png", plot=Plot())
    with pytest.raises(UserErrorException, match="must be a list"):
        recorded.log_list("l", 5)
    with pytest.raises(UserErrorException, match="dictionary of columns"):
        recorded.log_table("t", [1])


# --- files ------------------------------------------------------------------------------------------------------------


def test_files_by_their_names(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "b.txt").write_text("b")
    (tmp_path / "a.txt").write_text("a")
    recorded = Run._of(run)
    kept = recorded.upload_file("./outputs//a.txt", "a.txt")
    (path,) = [artifact["path"] for artifact in kept.serialize()["artifacts"].values()]
    assert Path(path).read_bytes() == Path("a.txt").read_bytes()
    recorded.upload_file("text", io.StringIO("ünï"))
    recorded.upload_folder("outputs/more", "folder")
    recorded.upload_files(["x/1", "x/2"], ["a.txt", "a.txt"])
    assert recorded.get_file_names() == ["outputs/a.txt", "outputs/more/deep/b.txt", "text", "x/1", "x/2"]

    recorded.download_file("outputs/more/deep/b.txt")
    recorded.download_file("text", "new/folder/")
    recorded.download_files("outputs/", "all")
    recorded.download_files("outputs/more", "bare", append_prefix=False)
    recorded.download_files("x", output_paths=["one", "two"])
    assert (tmp_path / "b.txt").read_text() == "b"
    assert (tmp_path / "new/folder/text").read_text(encoding="utf-8") == "ünï"
    assert (tmp_path / "all/outputs/more/deep/b.txt").exists()
    assert (tmp_path / "bare/deep/b.txt").exists()
    assert (tmp_path / "two").read_text() == "a"


def test_what_is_wrong_with_a_file_is_said(run: RunFolder, tmp_path: Path) -> None:
    recorded = Run._of(run)
    recorded.upload_file("outputs/a", io.BytesIO(b"first"))
    with pytest.raises(UserErrorException, match=r"Resource Conflict: ArtifactId .*outputs/a already exists"):
        recorded.upload_file("outputs/a", io.BytesIO(b"second"))
    with pytest.raises(UserErrorException, match="available files include: outputs/a"):
        recorded.download_file("outputs/b", str(tmp_path / "b"))
    with pytest.raises(UserErrorException, match="no file 'missing'"):
        recorded.upload_file("outputs/c", "missing")
    for name in ("../out", "/abs", "", "."):
        with pytest.raises(UserErrorException, match="cannot name a file"):
            clean_name(name)
    assert recorded.get_file_names() == ["outputs/a"]
    assert not [*Path(run.path).glob("*incoming*")]


# --- states -----------------------------------------------------------------------------------------------------------


def test_an_end_is_for_good_and_ends_the_children(run: RunFolder) -> None:
    child = make_child(run, status="Running", name="part")
    grandchild = make_child(child, status="Running")
    apart = make_child(run, status="Running", root="apart", run_id="apart")
    assert run.end("Failed", {"code": "UserError", "message": "no"})
    assert not run.end("Completed")
    assert [each.status() for each in (run, child, grandchild)] == ["Failed"] * 3
    assert apart.status() == "Running"  # it was submitted: it ends by itself
    with pytest.raises(UserErrorException, match="ended already: it is Failed"):
        Run._of(run).complete()
    with pytest.raises(UserErrorException, match="Failed"):
        Run._of(run).cancel()


def test_a_request_to_cancel_is_not_forgotten(run: RunFolder) -> None:
    run.enter("CancelRequested")
    run.enter("Running")
    assert run.status() == "CancelRequested"
    run.end("Canceled")
    assert run.status() == "Canceled"


def test_a_run_whose_owner_was_killed_has_failed(tmp_path: Path) -> None:
    owner = start(
        """
        import sys, time
        from azureml._runs import interactive
        from azureml._runs.making import make_child, make_run
        run = make_run(sys.argv[1], "tests", run_id="killed", owned=True)
        interactive.keep(run, None)
        run.enter("Running")
        make_child(run, status="Running", run_id="child")
        print("ready", flush=True)
        time.sleep(60)
        """,
        str(tmp_path),
        version=OLDEST,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "ready\n"
    run, child = RunFolder(str(tmp_path), "killed"), RunFolder(str(tmp_path), "child")
    assert (run.status(), child.status()) == ("Running", "Running")
    assert ownership.is_owned(run.path)
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    assert (child.status(), run.status()) == ("Failed", "Failed")
    assert "without run.complete()" in run.read()["error"]["message"]


def test_what_a_killed_driver_left_running_is_ended(tmp_path: Path) -> None:
    run = make_run(str(tmp_path), "tests", owned=True, is_submitted=True)
    code = "import time; print('ready', flush=True); time.sleep(60)"
    left = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "MODELPORT_RUN_FOLDER": run.path},
        start_new_session=True,
        stdout=subprocess.PIPE,
    )
    assert left.stdout is not None and run.lock is not None
    left.stdout.readline()
    written = Path(run.path) / "work/outputs/model.pkl"
    written.parent.mkdir(parents=True)
    written.write_text("model")
    ownership.sign(run.lock, left.pid)
    assert run.status() == "NotStarted"
    os.close(run.lock)
    assert run.status() == "Failed"
    assert left.wait(10) == -signal.SIGKILL
    left.stdout.close()
    assert run.files.names() == ["outputs/model.pkl"]
    assert not written.exists()


def test_a_stranger_in_the_session_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        ownership.end_left_behind(stranger.pid, mark_of(str(tmp_path)))
        time.sleep(0.05)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ab", "", None, "-abc", "a b c", "a" * 37, "a.b.c"])
def test_names_that_no_experiment_has(name: object) -> None:
    with pytest.raises(UserErrorException, match="Experiment name must be between 3 and 36 characters"):
        check_experiment_name(name)


def test_numbers_count_within_an_experiment(tmp_path: Path) -> None:
    runs = [make_run(str(tmp_path), name) for name in ("one", "two", "one")]
    assert [run.document.read()["number"] for run in runs] == [1, 1, 2]
    with pytest.raises(UserErrorException, match="already"):
        make_run(str(tmp_path), "one", run_id=runs[0].run_id)
    with pytest.raises(UserErrorException, match="cannot be the id"):
        make_run(str(tmp_path), "one", run_id="../x")


# --- inside and outside of a run --------------------------------------------------------------------------------------

OFFLINE = """
    from azureml.core import Run
    from azureml.core.run import Run as same, _OfflineRun
    run = Run.get_context()
    print(Run is same, isinstance(run, _OfflineRun), run.id.startswith("OfflineRun"), "_OfflineRun" in str(run))
    print([hasattr(run, name) for name in ("register_model", "experiment", "input_datasets", "get_file_names")])
    print(run is Run.get_context())
    run.log("alpha", 0.5)
    run.log_list("many", [1, 2])
    run.log_row("row", x=1)
    run.log_table("table", {"x": [1]})
    run.upload_file("outputs/model.pkl", "model.pkl")
    run.upload_folder("outputs", "folder")
    run.tag("a", "b")
    with run.child_run("part") as child:
        child.log("beta", 1)
    run.complete()
    print(run.get_status(), run.tags, run.get_metrics())
    try:
        Run.get_context(allow_offline=False)
    except Exception as error:
        print(type(error).__name__)
"""


@pytest.mark.parametrize("version", [OLDEST, None])
def test_outside_a_run_what_is_logged_is_printed(version: str | None) -> None:
    assert finish(start(OFFLINE, version=version)).splitlines() == [
        "True True True True",
        "[False, False, False, False]",
        "True",
        "Attempted to log scalar metric alpha:",
        "0.5",
        "Attempted to log list metric many:",
        "[1, 2]",
        "Attempted to log row metric row:",
        "{'x': 1}",
        "Attempted to log table metric table:",
        "{'x': [1]}",
        "Attempted to track file outputs/model.pkl at model.pkl",
        "Attempted to track folder outputs at folder",
        "Attempted to log scalar metric beta:",
        "1",
        "Completed {'a': 'b'} {}",
        "RunEnvironmentException",
    ]


def test_inside_a_run_a_bare_old_python_records(tmp_path: Path) -> None:
    folder = make_run(str(tmp_path), "tests", is_submitted=True)
    code = """
        from azureml.core import Run
        from azureml.core.run import _SubmittedRun
        run = Run.get_context()
        print(type(run) is _SubmittedRun, isinstance(run, Run), run.number, run.parent)
        run.log("alpha", 0.5)
        run.tag("stage", "test")
        with run.child_run("part") as child:
            child.log("beta", 1)
        print(child.parent == run, [each.name for each in run.get_children()], child.get_status())
        try:
            with run.child_run("bad"):
                raise ValueError("no luck")
        except ValueError:
            pass
        print([each.name for each in run.get_children(status="Failed")])
        run.complete()
    """
    said = finish(start(code, version=OLDEST, MODELPORT_RUN_FOLDER=folder.path)).splitlines()
    assert said == ["True True 1 None", "True ['part'] Completed", "['bad']"]
    content = folder.document.read()
    assert (content["status"], content["said"]["status"]) == ("NotStarted", "Completed")  # the driver has the last word
    assert (folder.metrics.values(), content["tags"]) == ({"alpha": 0.5}, {"stage": "test"})
