"""Model.profile: a real service, real requests, and limits that this machine enforces or does not."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelport import Workspace
from modelport.domain.errors import ConflictException, WebserviceException
from modelport.domain.profiles import recommended
from modelport.sdk.data import Dataset, PromoteHeadersBehavior, TabularDataset
from modelport.sdk.model import Model
from modelport.sdk.profiles import ModelProfile
from modelport.targets.local.confinement import confined
from modelport.usecases.measure_service import percentile

from .conftest import Deployer

SCRIPT = """
import json
import time


def init():
    global ballast
    ballast = bytearray(b"x" * 64 * 1024 * 1024)


def run(raw_data):
    asked = json.loads(raw_data)
    until = time.thread_time() + asked["cpu_ms"] / 1000
    while time.thread_time() < until:
        pass
    time.sleep(asked["idle_ms"] / 1000)
    if asked.get("fails"):
        raise ValueError("told to fail")
    if asked.get("takes_mb"):
        ballast.extend(b"x" * asked["takes_mb"] * 1024 * 1024)
    return asked
"""


def rows(workspace: Workspace, requests: list[dict[str, Any]]) -> TabularDataset:
    """A data set with a line of JSON for each, as v1's notebooks made one."""
    Path("requests.txt").write_text("\n".join(map(json.dumps, requests)))
    store = workspace.get_default_datastore()
    store.upload_files(["./requests.txt"], target_path="requests", overwrite=True, show_progress=False)
    return Dataset.Tabular.from_delimited_files(
        [(store, "requests/requests.txt")], separator="\n", header=PromoteHeadersBehavior.NO_HEADERS
    )


def test_what_a_service_needs(workspace: Workspace, deployer: Deployer, capsys: pytest.CaptureFixture[str]) -> None:
    deployer.script(SCRIPT)
    asked = [{"cpu_ms": 20, "idle_ms": 20, "text": 'a "b"'}] * 38 + [{"cpu_ms": 0, "idle_ms": 200}] * 2
    dataset = rows(workspace, asked).register(workspace, "requests")
    profile = Model.profile(
        workspace, "first_1", [deployer.model()], deployer.config(), dataset, cpu=1.5, memory_in_gb=0.5, description="x"
    )
    profile.wait_for_completion(True)
    assert 'Model profiling operation finished for profile first_1, operation "Succeeded"' in capsys.readouterr().out
    details = profile.get_details()
    assert (details["state"], details["totalQueries"], details["successRate"]) == ("Succeeded", 40, 100.0)
    assert 40 <= details["latencyPercentile50InMs"] <= details["latencyPercentile90InMs"] < 200
    assert 200 <= details["latencyPercentile99InMs"] == details["latencyPercentile999InMs"]
    assert 3 < details["measuredQueriesPerSecond"] < 23
    assert 0.2 < details["maxUtilizedCpu"] < 1.6, "half of the time, and the server beside it"
    assert 0.06 < details["maxUtilizedMemoryInGB"] < 0.5
    assert details["recommendedCpu"] == recommended(details["maxUtilizedCpu"], least=0.1, most=1.5)
    assert 0.1 <= details["recommendedMemoryInGB"] <= 0.5
    assert details["requestedMemoryInGb"] == details.get("requestedMemoryInGB") == 0.5  # documents spell it so
    assert details.get("requestedMemoryInMb") is None
    assert "error" not in details
    again = ModelProfile(workspace, "first_1")
    whole = again.serialize()
    assert whole == profile.serialize()
    assert (whole["modelIds"], whole["inputDatasetId"], whole["description"]) == (["answer:1"], dataset.id, "x")
    assert again.get_results() == {"cpu": details["recommendedCpu"], "memoryInGB": details["recommendedMemoryInGB"]}
    assert again.recommended_cpu_latency == details["latencyPercentile90InMs"]
    with pytest.raises(ConflictException, match="There is a profile named 'first_1' already"):
        Model.profile(workspace, "first_1", [], deployer.config(), "{}")
    assert workspace.webservices == {}


def test_a_text_is_sent_a_hundred_times_and_failures_are_counted(workspace: Workspace, deployer: Deployer) -> None:
    """As 2019 called it."""
    deployer.script(SCRIPT)
    profile = Model.profile(workspace, "old", [], deployer.config(), input_data=json.dumps({"cpu_ms": 0, "idle_ms": 0}))
    profile.wait_for_profiling(True)
    assert set(profile.get_results()) == {"cpu", "memoryInGB"}
    assert (profile.total_queries, profile.requested_cpu, profile.requested_memory_in_gb) == (100, 3.5, 15.0)
    asked = [{"cpu_ms": 0, "idle_ms": 0, "fails": number % 4 == 0} for number in range(8)]
    details = Model.profile(workspace, "some", [], deployer.config(), rows(workspace, asked)).get_details()
    assert (details["state"], details["successQueries"], details["successRate"]) == ("Succeeded", 6, 75.0)


def test_why_a_profile_failed(workspace: Workspace, deployer: Deployer) -> None:
    deployer.script(SCRIPT.replace("global ballast", 'raise RuntimeError("no such weights")'))
    failed = Model.profile(workspace, "start", [], deployer.config(), "{}")
    with pytest.raises(WebserviceException, match=r"current state: Failed\n.*no such weights"):
        failed.wait_for_completion(True)
    details = failed.get_details()
    assert list(details) == [
        *("name", "createdTime", "state", "description", "requestedCpu", "requestedMemoryInGB"),
        *("requestedQueriesPerSecond", "error", "errorLogsUri"),
    ]
    assert "no such weights" in Path(details["errorLogsUri"].removeprefix("file://")).read_text()
    with pytest.raises(WebserviceException, match="has no results: it is in state Failed"):
        failed.get_results()
    deployer.script(SCRIPT)
    never = Model.profile(workspace, "never", [], deployer.config(), '{"cpu_ms": 0, "idle_ms": 0, "fails": true}')
    assert "None of 100 requests succeeded. The first answer: 502 told to fail" in str(never.error)
    asked = [{"cpu_ms": 0, "idle_ms": 50, "takes_mb": 100}] * 10
    large = Model.profile(workspace, "large", [], deployer.config(), rows(workspace, asked), memory_in_gb=0.6)
    assert large.state == "Failed" and str(large.error).startswith("OutOfMemory: the service")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cpu": 3.6}, "Invalid cpu 3.6: a profile is made with 0.1 to 3.5"),
        ({"memory_in_gb": 0}, "Invalid memory_in_gb 0"),
        ({"cpu": "2"}, "Invalid cpu '2'"),
        ({"profile_name": "a/b"}, "Invalid profile name 'a/b'"),
        ({"input_dataset": None}, "must be a tabular data set with one column, or a text; it is a NoneType"),
    ],
)
def test_what_is_refused(workspace: Workspace, deployer: Deployer, change: dict[str, Any], said: str) -> None:
    deployer.script(SCRIPT)
    given = {"profile_name": "p", "models": [], "inference_config": deployer.config(), "input_dataset": "{}"}
    with pytest.raises(WebserviceException, match=said):
        Model.profile(workspace, **{**given, **change})
    with pytest.raises(WebserviceException, match=r"ProfileNotFound: .* has no profile named 'p'"):
        ModelProfile(workspace, "p")


def test_data_sets_of_other_shapes(workspace: Workspace, deployer: Deployer) -> None:
    deployer.script(SCRIPT)
    body = json.dumps({"cpu_ms": 0, "idle_ms": 0})
    Path("two.csv").write_text('number,body\n1,"{}"\n'.format(body.replace('"', '""')))
    table = Dataset.Tabular.from_delimited_files("two.csv")
    with pytest.raises(WebserviceException, match=r"has 2 columns \(number, body\): it must have one"):
        Model.profile(workspace, "p", [], deployer.config(), table)
    profile = Model.profile(workspace, "p", [], deployer.config(), table.keep_columns("body"))
    assert (profile.state, profile.total_queries) == ("Succeeded", 1)
    lines = rows(workspace, [{"cpu_ms": 0, "idle_ms": 0}] * 5)
    assert Model.profile(workspace, "q", [], deployer.config(), lines.take(2)).total_queries == 2
    Path("none.txt").write_text("\n")
    none = Dataset.Tabular.from_delimited_files("none.txt", separator="\n", header=False)
    with pytest.raises(WebserviceException, match="There is nothing to send"):
        Model.profile(workspace, "r", [], deployer.config(), none)


def test_processes_are_held_to_their_limits() -> None:
    """Where control groups can be made here; elsewhere it says that they cannot."""
    burn = "import time; until = time.monotonic() + 1\nwhile time.monotonic() < until: pass\nprint(time.process_time())"
    grow = "kept = [bytearray(b'x' * 2**20) for _ in range(300)]"
    with confined(cpu=0.2, memory_bytes=100 * 2**20) as confinement, confinement.spawning():
        burnt = subprocess.run(confinement.command([sys.executable, "-c", burn]), capture_output=True, text=True)
        grown = subprocess.run(confinement.command([sys.executable, "-c", grow]), capture_output=True)
        has_groups = {name for group in confinement.groups for name in ("cpu", "memory") if getattr(group, name)}
        assert ("cpu" in has_groups) == (float(burnt.stdout) < 0.5)
        assert ("memory" in has_groups) == (grown.returncode == -9) == confinement.killed_for_memory
        assert len(confinement.notes) == 2 - len(has_groups)
        folders = [group.folder for group in confinement.groups]
    assert not any(folder.exists() for folder in folders)


def test_what_is_said_where_no_control_group_can_be_made() -> None:
    """As a user who may make none: a fork that gives up what root may do."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said: list[Any] = []
        with contextlib.suppress(BaseException):
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            for cpu in (1.0, 0.5, 1000.0):
                with confined(cpu=cpu, memory_bytes=2**30) as confinement:
                    said.append([confinement.notes, len(confinement.cores or ()), confinement.command(["true"])])
        os.write(writing, json.dumps(said).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        whole, half, many = json.load(told)
    os.waitpid(child, 0)
    watched = (
        "The limit of memory is not enforced, as no control group can be made here: it is watched, and the profile"
    )
    if whole[2] != ["true"]:
        pytest.skip("the user who runs this may make control groups")
    assert (whole[1], len(whole[0]), whole[0][0].startswith(watched)) == (1, 1, True)
    assert half[1] == 1 and half[0][0].startswith("The limit of 0.5 cores is not enforced")
    assert many[1] == 0 and "cores: the service cannot use more of 1000." in many[0][0]


KILLED = """
import sys
from modelport import InferenceConfig, Workspace
from modelport.sdk.model import Model

Model.profile(Workspace.get("ws"), "killed", [], InferenceConfig("score.py", source_directory=sys.argv[1]), "{}")
"""


def test_of_a_program_that_is_killed_no_group_is_left(workspace: Workspace, deployer: Deployer, tmp_path: Path) -> None:
    deployer.script(SCRIPT.replace("global ballast", f"open({str(tmp_path / 'began')!r}, 'w').close(); time.sleep(60)"))
    program = subprocess.Popen([sys.executable, "-c", KILLED, str(deployer.source)], stdout=subprocess.DEVNULL)
    groups = [Path(f"/sys/fs/cgroup/{controller}") for controller in ("", "cpu", "memory")]
    try:
        _until((tmp_path / "began").exists)
        assert ModelProfile(workspace, "killed").state == "Running"
        assert list(ModelProfile(workspace, "killed").get_details())[-1] == "requestedQueriesPerSecond"
    finally:
        program.kill()
        program.wait()
    profile = ModelProfile(workspace, "killed")
    assert (profile.state, profile.error) == ("Failed", "The program that made the profile ended before it was done.")
    deployer.script(SCRIPT)
    left = [folder for group in groups for folder in group.glob(f"**/modelport-{program.pid}-*")]
    _until(lambda: not any((folder / "cgroup.procs").read_text() for folder in left))  # the service ends with it
    again = Model.profile(workspace, "again", [], deployer.config(), '{"cpu_ms": 0, "idle_ms": 0}')
    assert again.state == "Succeeded"
    assert not any(folder.exists() for folder in left)


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_percentiles() -> None:
    assert [percentile([1, 2, 3, 4], part) for part in (0.0, 0.5, 0.51, 0.99, 1.0)] == [1, 2, 3, 4, 4]
    assert percentile([7.0], 0.5) == 7.0


@pytest.mark.parametrize(("used", "told"), [(0.0, 0.1), (0.5, 0.6), (0.51, 0.7), (0.9, 1.0), (9.0, 1.0)])
def test_what_is_recommended(used: float, told: float) -> None:
    assert recommended(used, least=0.1, most=1.0) == told
