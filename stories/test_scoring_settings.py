"""Batching, warm-up, workers, metrics, the access log and limits: asked for by a script and by the command line."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from modelport import InferenceConfig, LocalWebservice, Model, Webservice, Workspace
from modelport.domain.errors import DeploymentFailed, UserErrorException
from modelport_scoring import supervisor_pid

from .conftest import Desk
from .serving import Kitchen, open_kitchen

SCRIPT = """
import time

import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.schema_decorators import input_schema, output_schema


def init():
    print("init", flush=True)


@input_schema("data", NumpyParameterType(np.array([[-1.0, -1.0]])))
@output_schema(NumpyParameterType(np.array([-2.0])))
def run(data):
    if -1.0 in data:
        print("the sample is scored", flush=True)
    time.sleep(1.0 if 1000.0 in data else 0.05)
    return data.sum(axis=1).tolist()
"""
"""It adds the numbers of each row, and takes its time."""

WAIT_S = 20.0
THREADS = 32
ORIGIN = "https://pages.example"


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def client() -> httpx.Client:
    return httpx.Client(trust_env=False, timeout=WAIT_S, verify=False, headers={"Origin": ORIGIN})


def score(uri: str, row: list[float]) -> httpx.Response:
    with client() as alone:
        return alone.post(uri, json={"data": [row]})


def score_together(uri: str, count: int) -> list[float]:
    """The answers to so many requests, 32 at once, in order."""
    rows = [[float(number), 0.5] for number in range(count)]
    with ThreadPoolExecutor(THREADS) as threads:
        parts = list(threads.map(lambda first: score_in_turn(uri, rows[first::THREADS]), range(THREADS)))
    return sorted(itertools.chain.from_iterable(parts))


def score_in_turn(uri: str, rows: list[list[float]]) -> list[float]:
    """The sums, on one connection. Raises where an answer is another row's."""
    with client() as own:
        answers = [own.post(uri, json={"data": [row]}) for row in rows]
    assert [answer.json() for answer in answers] == [[sum(row)] for row in rows]
    return [answer.json()[0] for answer in answers]


def metric(uri: str, name: str) -> float:
    page = httpx.get(uri.replace("/score", "/metrics"), trust_env=False).text
    found = re.search(rf"^{name}(?:{{[^}}]*}})? ([\d.e+]+)$", page, re.MULTILINE)
    assert found, page
    return float(found[1])


def check_batches(uri: str, folder: Path, *, requests: int = 200) -> None:
    """Requests that come together are scored together, each gets its own answer, and all is counted and logged."""
    assert score_together(uri, requests) == [number + 0.5 for number in range(requests)]
    assert metric(uri, "modelport_batch_size_sum") == requests
    assert metric(uri, "modelport_batch_size_count") < requests / 2
    log = folder / "logs/access.log"
    until(lambda: log.exists() and log.read_text().count("/score") == requests)


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kitchen]:
    with open_kitchen(tmp_path_factory.mktemp("settings")) as kitchen:
        (kitchen.folder / "score.py").write_text(SCRIPT)
        yield kitchen


def folder_of(service: Webservice) -> Path:
    return service.workspace.folder / "services" / service.name


def test_a_script_asks_for_everything_in_one_word_each(kitchen: Kitchen, capsys: pytest.CaptureFixture[str]) -> None:
    configuration = LocalWebservice.deploy_configuration(
        workers=2,
        worker_start="fork",
        warm_up=True,
        batching=True,
        cors_origins=f"{ORIGIN},http://localhost:3000",
        telemetry={"access_log": True, "access_log_format": "json"},
        scoring_timeout_ms=5_000,
    )
    script = InferenceConfig(entry_script=str(kitchen.folder / "score.py"))
    service = Model.deploy(Workspace.get("kitchen"), "together", [], script, configuration)
    service.wait_for_deployment()
    uri = str(service.scoring_uri)
    assert "the sample is scored" in service.get_logs()
    check_batches(uri, folder_of(service))
    assert score(uri, [1, 2]).headers["access-control-allow-origin"] == ORIGIN
    assert json.loads((folder_of(service) / "logs/access.log").read_text().splitlines()[0])["status"] == 200

    shown = service.serialize()
    assert shown["batching"] == {"max_requests": 64, "max_wait_ms": 0.0}
    assert (shown["workers"], shown["workerStart"], shown["warmUp"]) == (2, "fork", True)
    assert (shown["scoringTimeoutMs"], shown["limits"]["scoring_timeout_ms"]) == (5_000, 5_000)
    assert shown["telemetry"]["access_log"] is True
    assert shown["corsOrigins"] == [ORIGIN, "http://localhost:3000"]

    pid = supervisor_pid(folder_of(service))
    assert score(uri, [1000, 1]).status_code == 200
    service.update(deployment_config=LocalWebservice.deploy_configuration(scoring_timeout_ms=200))
    late = score(uri, [1000, 1])
    assert (late.status_code, "scoring_timeout_ms" in late.text) == (504, True)
    assert supervisor_pid(folder_of(service)) == pid, "it was restarted"
    assert isinstance(service, LocalWebservice)
    assert (service.scoring_timeout_ms, service.settings["batching"]["max_requests"]) == (200, 64)

    calls, scored = metric(uri, "modelport_batch_size_count"), metric(uri, "modelport_batch_size_sum")
    service.update(deployment_config=LocalWebservice.deploy_configuration(batching=False, scoring_timeout_ms=5_000))
    assert "Restarting" not in capsys.readouterr().out
    assert supervisor_pid(folder_of(service)) == pid, "it was restarted"
    score_together(uri, 8)
    assert metric(uri, "modelport_batch_size_count") - calls == 8, "each is scored by itself"
    assert metric(uri, "modelport_batch_size_sum") - scored == 8
    assert service.serialize()["batching"] is None
    service.delete()


def test_the_command_line_asks_for_the_same(shop: Desk) -> None:
    shop.write("add.py", SCRIPT)
    shop.write("dc.json", '{"computeType": "local", "batching": {"maxRequests": 8}, "workers": 1, "warmUp": true}')
    line = "modelport model deploy -n adding -m factor:1 --es add.py --dc dc.json --batching 32 --workers 2"
    line += f" --worker-start fork --cors-origins {ORIGIN} --telemetry access_log=true --scoring-timeout-ms 5000"
    shown = shop.run(line).json
    uri = shown["scoringUri"]
    folder = shop.home / "workspaces/shop/services/adding"
    assert "the sample is scored" in shop.run("modelport service get-logs -n adding").stdout
    check_batches(uri, folder)
    assert score(uri, [1, 2]).headers["access-control-allow-origin"] == ORIGIN
    assert shown["batching"]["max_requests"] == 32

    pid = shop.supervisor("shop", "adding")
    updated = shop.run("modelport service update -n adding --tm 200 --max-request-wait-time 9000 -o json").json
    assert (updated["scoringTimeoutMs"], updated["maxQueueWaitMs"]) == (200, 9000)
    assert score(uri, [1000, 1]).status_code == 504
    assert shop.supervisor("shop", "adding") == pid
    said = shop.run("modelport service update -n adding --batching false --telemetry metrics=false")
    assert "Restarting" not in said.stderr
    assert shop.supervisor("shop", "adding") == pid
    assert httpx.get(uri.replace("/score", "/metrics"), trust_env=False).status_code == 404
    shop.run("modelport service delete -n adding")


def test_names_of_v1_mean_what_they_did(kitchen: Kitchen, capsys: pytest.CaptureFixture[str]) -> None:
    configuration = LocalWebservice.deploy_configuration(
        scoring_timeout_ms=300, replica_max_concurrent_requests=1, max_request_wait_time=100, enable_app_insights=True
    )
    script = InferenceConfig(entry_script=str(kitchen.folder / "score.py"))
    service = Model.deploy(Workspace.get("kitchen"), "of-v1", [], script, configuration)
    assert "Nothing is sent anywhere" in capsys.readouterr().out
    service.wait_for_deployment()
    uri = str(service.scoring_uri)
    with ThreadPoolExecutor(2) as threads:
        statuses = sorted(threads.map(lambda _: score(uri, [1000, 1]).status_code, range(2)))
    assert statuses == [503, 504], "one waits no longer than it may for the other, which takes too long"
    until(lambda: (folder_of(service) / "logs/access.log").exists())
    found = LocalWebservice(kitchen.workspace, "of-v1")
    assert (found.scoring_timeout_ms, found.max_concurrent_requests_per_container) == (300, 1)
    assert (found.max_request_wait_time, found.enable_app_insights) == (100, True)
    service.delete()
    nothing = LocalWebservice(kitchen.workspace, "of-v1", must_exist=False)
    assert (nothing.settings, nothing.scoring_timeout_ms, nothing.enable_app_insights) == ({}, None, False)


def test_a_warm_up_without_a_sample_says_so(kitchen: Kitchen) -> None:
    (kitchen.folder / "plain.py").write_text("def init(): pass\n\n\ndef run(data): return data\n")
    script = InferenceConfig(entry_script=str(kitchen.folder / "plain.py"))
    configuration = LocalWebservice.deploy_configuration(warm_up=True)
    service = Model.deploy(kitchen.workspace, "cold", [], script, configuration)
    with pytest.raises(DeploymentFailed, match=r"(?s)phase 'warm-up': .*no @input_schema.*or leave warm_up out"):
        service.wait_for_deployment()
    service.delete()


def test_settings_that_the_script_does_not_suit_are_taken_back(kitchen: Kitchen) -> None:
    (kitchen.folder / "text.py").write_text("def init(): pass\n\n\ndef run(data): return data\n")
    script = InferenceConfig(entry_script=str(kitchen.folder / "text.py"))
    service = Model.deploy(kitchen.workspace, "texts", [], script, LocalWebservice.deploy_configuration())
    service.wait_for_deployment()
    with pytest.raises(DeploymentFailed, match=r"(?s)Batching is on, but.*it goes on with its old settings"):
        service.update(deployment_config=LocalWebservice.deploy_configuration(batching=True))
    service.wait_for_deployment()
    assert (service.run("1"), service.serialize()["batching"]) == ("1", None)
    service.delete()


def test_what_cannot_be_is_refused_before_anything_is_started(kitchen: Kitchen) -> None:
    workspace: Workspace = kitchen.workspace
    script = InferenceConfig(entry_script=str(kitchen.folder / "score.py"))
    for wrong, said in (
        ({"batching": 1}, "batching.max_requests must be between 2 and 1024, not 1"),
        ({"worker_start": "thread"}, "worker_start 'thread': it must be one of spawn, fork"),
        ({"telemetry": {"sampling_ratio": 3}}, "telemetry.sampling_ratio must be between 0 and 1"),
        ({"cors_origins": "pages.example"}, "cors_origins 'pages.example'"),
    ):
        configuration = LocalWebservice.deploy_configuration(**wrong)
        with pytest.raises(UserErrorException, match=said):
            Model.deploy(workspace, "never", [], script, configuration)
    assert "never" not in workspace.webservices
