"""A notebook that deploys to a cluster in production, as those of 2019 to 2021 did; and requests while it changes."""

from __future__ import annotations

from .conftest import Desk
from .notebooks import run_cells
from .v1_cells import BEGINNING, CLIENT, CONFIG, LOAD

CLUSTER = """
# %%
from azureml.core.compute import AksCompute, ComputeTarget
from azureml.core.compute_target import ComputeTargetException

aks_name = "my-aks"
for attempt in range(2):
    try:
        aks_target = ComputeTarget(workspace=ws, name=aks_name)
        print("Found existing cluster, use it.")
    except ComputeTargetException:
        prov_config = AksCompute.provisioning_configuration(agent_count=3, vm_size="Standard_D3_v2")
        aks_target = ComputeTarget.create(workspace=ws, name=aks_name, provisioning_configuration=prov_config)
        if aks_target.get_status() != "Succeeded":
            aks_target.wait_for_completion(show_output=True)
print(aks_target.provisioning_state, aks_target.provisioning_errors, type(ws.compute_targets[aks_name]).__name__)
"""

DEPLOYING = """
# %%
from azureml.core.webservice import AksWebservice, Webservice

aks_config = AksWebservice.deploy_configuration(autoscale_enabled=True,
                                                autoscale_min_replicas=1,
                                                autoscale_max_replicas=3,
                                                autoscale_target_utilization=70,
                                                cpu_cores=0.5,
                                                memory_gb=1,
                                                collect_model_data=True,
                                                enable_app_insights=True,
                                                max_request_wait_time=5000)
service = Model.deploy(workspace=ws,
                       name="my-aks-service",
                       models=[model],
                       inference_config=inference_config,
                       deployment_config=aks_config,
                       deployment_target=aks_target)
service.wait_for_deployment(show_output=True)
if service.state == "Healthy":
    print(service.state, service.scoring_uri)
else:
    print(service.get_logs())
# %%
if service.auth_enabled:
    credential = service.get_keys()[0]
elif service.token_auth_enabled:
    credential = service.get_token()[0]
print(service.run(json.dumps({"data": [1]})), call(service.scoring_uri, credential))
"""

CHANGING = """
# %%
with open("model.json", "w") as f:
    json.dump({"slope": 3}, f)
new_model = Model.register(ws, "model.json", "line")
service.update(models=[new_model], inference_config=inference_config)
service.wait_for_deployment()
service.update(scoring_timeout_ms=10000, replica_max_concurrent_requests=4)
service.update(autoscale_enabled=False, num_replicas=2)
service.update(enable_app_insights=False)
while not answers["[3, 6]"] > 100:
    over.wait(0.01)
over.set()
for thread in threads:
    thread.join()
print(sorted(answers), answers["[2, 4]"] > 0)
print(service.num_replicas, service.autoscaler.autoscale_enabled, service.scoring_timeout_ms)
"""

TOKENS = """
# %%
service.update(token_auth_enabled=True)
token, refresh_by = service.get_token()
print(service.auth_enabled, service.token_auth_enabled, call(service.scoring_uri, token))
try:
    call(service.scoring_uri, credential)
except urllib.error.HTTPError as e:
    print(e.code)
print(service.run(json.dumps({"data": [5]})))
# %%
from azureml.core import Webservice

again = Webservice(name="my-aks-service", workspace=ws)
print(type(again).__name__, again.compute_name, again.serialize()["aadAuthEnabled"])
service.delete()
aks_target.delete()
print(ws.webservices, ws.compute_targets)
"""


def test_production(desk: Desk) -> None:
    desk.write("config.json", CONFIG)
    said = run_cells(desk, f"{BEGINNING}# %%{CLIENT}{CLUSTER}{DEPLOYING}# %%{LOAD}{CHANGING}{TOKENS}".lstrip())
    cluster, deployed, called, _, changed, tokens, deleted = said[5:]
    assert "nothing is made; the name is kept" in cluster
    assert cluster.splitlines()[-2:] == ["Found existing cluster, use it.", "Succeeded None AksCompute"]
    assert "1 to 3 replicas, as many as keep 70 % of them busy" in deployed
    assert "what a ModelDataCollector of the script collects is in CSV files below modeldata/" in deployed
    assert 'AKS service creation operation finished, operation "Succeeded"' in deployed
    assert deployed.splitlines()[-1].startswith("Healthy http://localhost:")
    assert deployed.endswith("/api/v1/service/my-aks-service/score")
    assert called == "[2] [2, 4]"
    assert changed.splitlines()[-2:] == ["['[2, 4]', '[3, 6]'] True", "2 False 10000"]
    assert tokens.splitlines() == ["False True [3, 6]", "401", "[15]"]
    assert deleted.splitlines() == ["AksWebservice my-aks True", "{} {}"]
