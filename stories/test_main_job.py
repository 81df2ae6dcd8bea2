"""The main job by the command line: register, deploy, score, look, update, go back, delete."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections import Counter
from pathlib import Path

from .conftest import SCORE, Desk


def test_from_a_file_to_a_prediction(desk: Desk) -> None:
    desk.run("modelport workspace create -w bakery")
    attached = desk.run("modelport folder attach -w bakery").json
    assert Path(attached["configFile"]) == desk.folder / ".azureml/config.json"
    desk.write("factor.json", "2")
    registered = desk.run("modelport model register -n factor -p factor.json --tag stage=test -t model.json").json
    assert (registered["id"], registered["tags"]) == ("factor:1", {"stage": "test"})
    metadata = json.loads((desk.folder / "model.json").read_text())
    assert metadata == {"modelId": "factor:1", "workspaceName": "bakery", "resourceGroupName": "local"}

    desk.write("score.py", SCORE)
    desk.write("inferenceconfig.json", '\ufeff{"entryScript": "score.py", "schemaFile": null, "futureKey": 1}')
    desk.write("deploymentconfig.yml", "computeType: LOCAL\nauthEnabled: true\nkeys: {primaryKey: open-sesame-one}\n")
    deploying = desk.run(
        "modelport model deploy -n times -f model.json -ic inferenceconfig.json -dc deploymentconfig.yml"
    )
    assert (deploying.json["state"], deploying.json["authEnabled"]) == ("running", True)
    assert "'futureKey', which is not known" in deploying.stderr

    assert desk.run("""modelport service run -n times -d '{"data": [1, 20]}'""").json == [2, 40]
    desk.write("input.json", '{"data": [3]}')
    assert desk.run("modelport service run -n times -d @input.json").json == [6]
    assert "the factor is 2" in desk.run("modelport service get-logs -n times --num_lines 50").stdout
    listed = desk.run("modelport service list --query '[].[name, state]' -o tsv")
    assert listed.stdout == "times\trunning\n"

    keys = desk.run("modelport service get-keys -n times").json
    assert keys["primaryKey"] == "open-sesame-one"
    changed = desk.run("modelport service regen-key -n times -k primary").json
    assert changed["primaryKey"] != keys["primaryKey"]
    assert changed["secondaryKey"] == keys["secondaryKey"]
    assert desk.run("modelport service run -n times -d @-", stdin='{"data": [4]}').json == [8]

    refused = desk.run("modelport model delete -i factor:1", code=1)
    assert "times" in refused.stderr
    desk.run("modelport service delete -n times")
    desk.run("modelport model delete -i factor:1")
    assert desk.run("modelport model list").json == []


def test_an_update_and_a_rollback_lose_no_request(deployed: Desk) -> None:
    deployed.write("factor.json", "3")
    deployed.run("modelport model register -n factor -p factor.json")
    uri = deployed.run("modelport service show -n times --query scoringUri -o tsv").stdout.strip()
    with Load(uri) as load:
        updated = deployed.run("modelport service update -n times -m factor:2 --add-tag round=two -o json").json
        back = deployed.run("modelport service rollback -n times").stdout
    assert (updated["revision"], updated["tags"]) == (2, {"round": "two"})
    assert set(load.answers) == {"[2]", "[3]"}, load.answers
    assert back == (
        "The service 'times' is running: revision 1, with factor:1.\n"
        f"Scoring URI:  {uri}\n"
        "Everything:   modelport service show -w shop -n times\n"
    )
    assert deployed.run("modelport service show -n times --query revision").json == 1
    assert deployed.run("""modelport service run -n times -d '{"data": [1]}'""").json == [2]


def test_an_update_that_fails_leaves_the_old_revision(deployed: Desk) -> None:
    deployed.write("broken.py", "def init():\n    raise RuntimeError('no luck today')\n\ndef run(data):\n    pass\n")
    uri = deployed.run("modelport service show -n times --query scoringUri -o tsv").stdout.strip()
    with Load(uri) as load:
        failed = deployed.run("modelport service update -n times --es broken.py", code=1)
    assert "phase 'init'" in failed.stderr
    assert "RuntimeError: no luck today" in failed.stderr
    assert set(load.answers) == {"[2]"}, load.answers


def test_reload_stop_and_start(deployed: Desk) -> None:
    script = deployed.folder / "score.py"
    script.write_text(script.read_text().replace("value * factor", "value + factor"))
    assert deployed.run("modelport service reload -n times -o json").json["revision"] == 2
    assert deployed.run("""modelport service run -n times -d '{"data": [10]}'""").json == [12]
    said = deployed.run("modelport service stop -n times").stdout
    assert said.startswith("The service 'times' is stopped: revision 2,")
    assert "\nStart it:     modelport service start -w shop -n times\n" in said
    stopped = deployed.run("""modelport service run -n times -d '{"data": [10]}'""", code=1)
    assert "modelport service start" in stopped.stderr
    assert deployed.run("modelport service start -n times -o json").json["state"] == "running"
    assert deployed.run("""modelport service run -n times -d '{"data": [10]}'""").json == [12]


class Load:
    """One client that asks as fast as it is answered, from a thread, and counts the answers."""

    def __init__(self, uri: str) -> None:
        self.answers: Counter[str] = Counter()
        self._uri = uri.replace("localhost", "127.0.0.1")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while not self._ended.wait(0.002):
            request = urllib.request.Request(self._uri, b'{"data": [1]}', {"Content-Type": "application/json"})
            try:
                with opener.open(request, timeout=10) as response:
                    self.answers[response.read().decode()] += 1
            except OSError as error:
                self.answers[f"failed: {error}"] += 1
