"""Requests divided among the revisions of a real service."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from modelport_scoring import (
    ServiceState,
    Traffic,
)
from modelport_scoring.service import common_input
from scoring_services import Answer, Services, ask, wait_until
from split_services import REVISION, answering, asked, hosting, state_of
from test_inference_service import SUM
from test_traffic import within


def test_requests_are_divided_by_weight_and_the_rest_goes_to_the_default(services: Services) -> None:
    service = hosting(services, *map(answering, "123"), traffic=Traffic(weights={2: 30, 3: 10}))
    seen = asked(service, 3000)
    for number, percent in (("1", 60), ("2", 30), ("3", 10)):
        assert within(seen[number], of=3000, percent=percent)
    service.control.split(Traffic(weights={3: 100}))
    assert asked(service, 100) == {"3": 100}
    service.control.split(Traffic())
    assert asked(service, 100) == {"1": 100}
    assert [(r.revision, r.percent) for r in service.status.revisions] == [(1, 100), (2, 0), (3, 0)]


def test_a_new_weight_is_in_force_on_connections_that_are_open(services: Services) -> None:
    service = hosting(services, answering("1"), answering("2"))
    connection = service.connect()
    for traffic, number in ((Traffic(), "1"), (Traffic(weights={2: 100}), "2"), (Traffic(weights={2: 0}), "1")):
        service.control.split(traffic)
        assert [ask(connection, "POST", "/score", body="x").json for _ in range(3)] == [number] * 3


def test_a_client_with_a_sticky_header_stays_where_it_is(services: Services) -> None:
    traffic = Traffic(weights={2: 40}, sticky_header="X-User")
    service = hosting(services, answering("1"), answering("2"), traffic=traffic)

    def where() -> dict[str, str]:
        connection = service.connect()
        found = {}
        for user in range(200):
            answers = [ask(connection, "GET", "/score", headers={"x-user": f"u{user}"}).json for _ in range(2)]
            assert answers[0] == answers[1]
            found[f"u{user}"] = answers[0]
        connection.close()
        return found

    before = where()
    assert within(list(before.values()).count("2"), of=200, percent=40)
    service.end()
    service.start()
    wait_until(lambda: state_of(service, 2).state is ServiceState.RUNNING, what="the other one is up as well")
    assert where() == before
    service.control.split(Traffic(weights={2: 60}, sticky_header="X-User"))
    assert {user for user, at in before.items() if at == "2"} < {user for user, at in where().items() if at == "2"}
    assert set(asked(service, 100)) == {"1", "2"}  # who sends none


def test_a_client_may_ask_for_a_revision(services: Services) -> None:
    service = hosting(services, answering("1"), answering("2"), traffic=Traffic(version_header="X-Revision"))
    for number in ("1", "2"):
        assert asked(service, 3, headers={"x-revision": number}) == {number: 3}
    for other in ("3", "", "two", "02"):
        answer = service.score("x", headers={"x-revision": other})
        assert (answer.status, REVISION in answer.headers) == (404, False)
        assert answer.message == "There is no such revision of service demo: X-Revision may be 1, 2"
    service.control.release(2)
    assert service.score("x", headers={"x-revision": "2"}).status == 404


def test_an_answer_of_the_only_revision_names_none(services: Services) -> None:
    service = services.start(answering("1"))
    alone = set(service.score("x").headers)
    assert REVISION not in alone
    service.control.host(service.revision(2, answering("2")))
    beside = service.score("x").headers
    assert beside[REVISION] == "1"
    assert beside.keys() == {*alone, REVISION}
    service.control.release(2)
    assert REVISION not in service.score("x").headers


def test_a_path_of_the_inference_protocol_asks_for_a_revision(services: Services) -> None:
    # On one of two numbers the first revision fails, so that the answer tells who gave it.
    body = b'{"inputs": [{"name": "data", "datatype": "FP64", "shape": [1, 2], "data": [-1, 2]}]}'
    script = SUM.format(dtype="float64")
    service = hosting(services, script, script.replace("data[0, 0] < 0", "False"))

    def infer(path: str) -> Answer:
        return service.ask("POST", f"/v2/models/demo{path}/infer", body=body)

    assert (infer("").status, infer("/versions/1").status) == (502, 502)
    answer = infer("/versions/2")
    assert (answer.json["model_version"], answer.json["outputs"][0]["data"]) == ("2", [1.0])
    assert infer("/versions/3").json == {"error": 'the model has no version "3"; served at the moment: 1, 2'}
    assert service.ask("GET", "/v2/models/demo").json["versions"] == ["1", "2"]
    assert service.ask("GET", "/v2/models/demo/versions/2").json["inputs"]


def test_options_of_a_raw_script_ask_for_a_key_whichever_revision_is_raw(services: Services) -> None:
    raw = """
    from azureml.contrib.services.aml_request import rawhttp
    from azureml.contrib.services.aml_response import AMLResponse
    def init(): pass
    @rawhttp
    def run(request): return AMLResponse(request.method, 200)
    """
    auth = {"enabled": True, "key_digests": ["0" * 64]}
    service = services.start(answering("1"), auth=auth)
    assert service.ask("OPTIONS", "/score").status == 200
    service.control.host(service.revision(2, raw))
    service.control.split(Traffic(weights={2: 100}))
    assert service.ask("OPTIONS", "/score").status == 401


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [(["json", "raw"], "raw"), (["json", None], None), (["raw", None], "raw"), (["json", "failed"], "json")],
)
def test_what_may_be_relied_on_of_a_body_whichever_revision_gets_it(
    inputs: list[str | None], expected: str | None
) -> None:
    """One that has failed gets none, and will never tell."""
    hosted: Any = [
        SimpleNamespace(input=None, start_failure="no model")
        if each == "failed"
        else SimpleNamespace(input=each, start_failure=None)
        for each in inputs
    ]
    assert common_input(hosted) == expected
