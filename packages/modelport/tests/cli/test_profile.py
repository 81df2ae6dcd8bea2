"""``modelport model profile`` and ``model deploy --profile-input``."""

from __future__ import annotations

import json
from pathlib import Path

from modelport import Workspace
from modelport.sdk.data import Dataset

from .conftest import Call


def test_from_a_profile_to_a_deployment(shop: Call) -> None:
    shop("model register -n factor -p factor.json")
    Path("body.json").write_text(json.dumps({"data": [1, 2]}))
    profiled = "model profile -n first -m factor:1 --es score.py"
    said = shop(f"{profiled} -d '{Path('body.json').read_text()}' --cc 1 --gb 0.5 -t needs.json --description x")
    assert (said.json["state"], said.json["totalQueries"], said.json["modelIds"]) == ("Succeeded", 100, ["factor:1"])
    needs = json.loads(Path("needs.json").read_text())
    assert needs == {
        "profileName": "first",
        "modelIds": ["factor:1"],
        "cpu": said.json["recommendedCpu"],
        "memoryInGB": said.json["recommendedMemoryInGB"],
    }
    assert "There is a profile named 'first' already" in shop(f"{profiled} -d x", code=1).stderr
    deployed = shop("model deploy -n svc --es score.py --cp aci --pi needs.json --gb 0.75")
    resources = deployed.json["containerResourceRequirements"]
    assert (resources["cpu"], resources["memoryInGB"]) == (needs["cpu"], 0.75)
    assert [each["id"] for each in deployed.json["modelDetails"]] == ["factor:1"]
    shop("service delete -n svc")


def test_requests_of_a_data_set(shop: Call) -> None:
    Path("requests.txt").write_text('{"data": [1]}\n{"data": [2]}\n')
    shop("model register -n factor -p factor.json")
    name = shop("workspace show").json["name"]
    dataset = Dataset.Tabular.from_delimited_files("requests.txt", separator="\n", header=False)
    registered = dataset.register(Workspace.get(name), "requests")
    said = shop(f"model profile -n two -m factor:1 --es score.py --idi {registered.id}")
    assert (said.json["totalQueries"], said.json["inputDatasetId"]) == (2, registered.id)
    assert "Which requests?" in shop("model profile -n x --es score.py", code=1).stderr
    Path("bad.py").write_text("def init(): raise ValueError('no weights')\ndef run(data): return data\n")
    failed = shop("model profile -n bad --es bad.py -d x", code=1).stderr
    assert "current state: Failed" in failed and "no weights" in failed
    Path("none.json").write_text("{}")
    assert "has neither 'cpu' nor 'memoryInGB'" in shop("model deploy -n x --es score.py --pi none.json", code=1).stderr
