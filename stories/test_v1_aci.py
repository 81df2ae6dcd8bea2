"""A notebook that deploys to a container instance, as the tutorials of 2019 and 2020 did."""

from __future__ import annotations

import json

from .conftest import Desk
from .notebooks import run_cells
from .v1_cells import BEGINNING, CLIENT, CONFIG

DEPLOYING = """
# %%
from azureml.core.webservice import AciWebservice, Webservice
from azureml.exceptions import WebserviceException

service_name = "my-aci-service"
try:
    Webservice(ws, service_name).delete()
except WebserviceException as e:
    print("WebserviceNotFound" in e.message, service_name in str(e))

aci_config = AciWebservice.deploy_configuration(cpu_cores=1,
                                                memory_gb=1,
                                                tags={"data": "line", "framework": "none"},
                                                description="A line",
                                                dns_name_label="my-line",
                                                location="eastus")
service = Model.deploy(workspace=ws,
                       name=service_name,
                       models=[model],
                       inference_config=inference_config,
                       deployment_config=aci_config)
service.wait_for_deployment(show_output=True)
print(service.state)
# %%
test_sample = bytes(json.dumps({"data": [1, 2, 3]}), encoding="utf8")
print(service.run(input_data=test_sample), service.run("nonsense"))
# %%
print(call(service.scoring_uri), service.swagger_uri, service.auth_enabled)
# %%
print(service.get_logs())
# %%
service.update(auth_enabled=True, enable_app_insights=True, tags={"data": "line", "version": "2"})
service.wait_for_deployment(True)
primary, secondary = service.get_keys()
try:
    call(service.scoring_uri)
except urllib.error.HTTPError as e:
    print(e.code)
print(call(service.scoring_uri, primary), call(service.scoring_uri, secondary), service.run(test_sample))
service.regen_key("primary")
print(service.get_keys()[0] == primary, service.get_keys()[1] == secondary, service.tags)
# %%
with open("model.json", "w") as f:
    json.dump({"slope": 3}, f)
new_model = Model.register(ws, "model.json", "line")
service.update(models=[new_model], inference_config=inference_config)
service.wait_for_deployment(show_output=True)
print([m.id for m in service.models], service.run(test_sample))
# %%
try:
    service.update()
except WebserviceException as e:
    print(e.message)
try:
    service.get_token()
except NotImplementedError as e:
    print("no tokens")
# %%
print(json.dumps({name: [s.compute_type, s.state] for name, s in ws.webservices.items()}))
print(Webservice.list(ws, compute_type="ACI", model_name="line")[0].name, Webservice.list(ws, compute_type="AKS"))
print(json.dumps(Webservice(workspace=ws, name=service_name).serialize()))
# %%
service.delete()
print(service.state, ws.webservices)
"""

FAILING = """
# %%
%%writefile broken.py
def init():
    raise ValueError("no such model")


def run(data):
    return data
# %%
broken = InferenceConfig(entry_script="broken.py", environment=myenv)
service = Model.deploy(ws, "my-broken-service", [model], broken)
try:
    service.wait_for_deployment(show_output=True)
except Exception as e:
    print(type(e).__mro__[1].__name__, e.message)
print(service.state, service.error["code"])
print("no such model" in service.get_logs())
service.delete()
"""


def test_a_tutorial(desk: Desk) -> None:
    desk.write("config.json", CONFIG)
    said = run_cells(desk, f"{BEGINNING}# %%{CLIENT}{DEPLOYING}".lstrip())
    deploying, scored, called, log, keyed, updated, refused, listed, deleted = said[5:]
    assert deploying.startswith("True True")
    assert "ACI service 'my-aci-service': runs on this machine" in deploying
    assert "DNS label 'my-line'" in deploying
    assert 'ACI service creation operation finished, operation "Succeeded"' in deploying
    assert deploying.endswith("Healthy")
    assert scored == "[2, 4, 6] Expecting value: line 1 column 1 (char 0)"
    uri = called.split()[2]
    assert uri.startswith("http://localhost:") and uri.endswith("/swagger.json")
    assert called.split()[-1] == "False"
    assert "runs on this machine" in log and "neither set aside nor enforced here: cpu 1, memory 1 GB" in log
    assert keyed.splitlines()[-3:] == [
        "401",
        "[2, 4] [2, 4] [2, 4, 6]",
        "False True {'data': 'line', 'version': '2'}",
    ]
    assert updated.splitlines()[-1] == "['line:2'] [3, 6, 9]"
    assert refused == "No parameters provided to update.\nno tokens"
    first, second, shown = listed.splitlines()
    assert json.loads(first) == {"my-aci-service": ["ACI", "Healthy"]}
    assert second == "my-aci-service []"
    assert json.loads(shown)["containerResourceRequirements"] == {"cpu": 1, "memoryInGB": 1}
    assert json.loads(shown)["environmentDetails"]["name"] == "myenv"
    assert deleted == "Deleting {}"


def test_a_deployment_that_fails(desk: Desk) -> None:
    desk.write("config.json", CONFIG)
    said = run_cells(desk, f"{BEGINNING}{FAILING}".lstrip())[-1]
    assert "Failed\nACI service creation operation finished" in said
    assert "WebserviceException" in said and "current service state: Failed" in said
    assert '"code": "AciDeploymentFailed"' in said and "CrashLoopBackOff" in said
    assert "ValueError: no such model" in said and 'broken.py", line 2' in said
    assert said.endswith("Failed AciDeploymentFailed\nTrue")
