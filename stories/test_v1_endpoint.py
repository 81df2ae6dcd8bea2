"""A controlled rollout: versions of an endpoint that share the traffic, as the documents of 2020 showed it."""

from __future__ import annotations

from .conftest import Desk
from .notebooks import run_cells
from .v1_cells import BEGINNING, CLIENT, CONFIG, LOAD

ENDPOINT = """
# %%
from azureml.core.compute import AksCompute, ComputeTarget
from azureml.core.webservice import AksEndpoint

compute = ComputeTarget.create(ws, "myaks", AksCompute.provisioning_configuration())
endpoint_name = "mynewendpoint"
version_name = "versiona"
endpoint_deployment_config = AksEndpoint.deploy_configuration(cpu_cores=0.1,
                                                              memory_gb=0.2,
                                                              enable_app_insights=True,
                                                              tags={"sckitlearn": "demo"},
                                                              description="testing versions",
                                                              max_request_wait_time=5000,
                                                              version_name=version_name,
                                                              traffic_percentile=20)
endpoint = Model.deploy(ws,
                        endpoint_name,
                        [model],
                        inference_config,
                        deployment_config=endpoint_deployment_config,
                        deployment_target=compute)
endpoint.wait_for_deployment(show_output=True)
service = endpoint
print(endpoint.state, list(endpoint.versions), endpoint.versions["versiona"].is_default)
"""

VERSIONS = """
# %%
with open("model.json", "w") as f:
    json.dump({"slope": 3}, f)
second = Model.register(ws, "model.json", "line")
version_name_add = "versionb"
endpoint.create_version(version_name=version_name_add,
                        inference_config=inference_config,
                        models=[second],
                        tags={"modelVersion": "b"},
                        description="my second version",
                        max_request_wait_time=5000,
                        traffic_percentile=10)
endpoint.wait_for_deployment(True)
while not answers["[3, 6]"]:
    over.wait(0.01)
print({name: (v.traffic_percentile, v.version_type, v.state) for name, v in endpoint.versions.items()})
# %%
endpoint.update_version(version_name=endpoint.versions["versionb"].name,
                        description="my second version update",
                        traffic_percentile=40,
                        is_default=True,
                        is_control_version_type=True)
endpoint.wait_for_deployment(show_output=True)
answers.clear()
while sum(answers.values()) < 400:
    over.wait(0.01)
print(answers["[3, 6]"] > answers["[2, 4]"] > 0)
print({name: (v.is_default, v.version_type) for name, v in endpoint.versions.items()})
# %%
endpoint.delete_version(version_name="versionb")
endpoint.wait_for_deployment(True)
over.set()
for thread in threads:
    thread.join()
print(sorted(answers), list(endpoint.versions), endpoint.run(json.dumps({"data": [1]})))
# %%
print(endpoint.serialize()["computeType"], endpoint.get_keys()[0] == credential)
endpoint.delete()
print(ws.webservices)
"""


def test_a_controlled_rollout_under_load(desk: Desk) -> None:
    desk.write("config.json", CONFIG)
    said = run_cells(desk, f"{BEGINNING}# %%{CLIENT}{ENDPOINT}# %%{LOAD}{VERSIONS}".lstrip())
    deployed, _, created, updated, removed, deleted = said[5:]
    assert 'AKSENDPOINT service creation operation finished, operation "Succeeded"' in deployed
    assert deployed.endswith("Healthy ['versiona'] True")
    assert created.endswith("{'versiona': (20, 'Control', 'Healthy'), 'versionb': (10, 'Treatment', 'Healthy')}")
    assert updated.splitlines()[-2:] == [
        "True",
        "{'versiona': (False, 'Treatment'), 'versionb': (True, 'Control')}",
    ]
    assert "Version 'versiona' becomes the default version, as 'versionb' goes" in removed
    assert removed.splitlines()[-1] == "['[2, 4]', '[3, 6]'] ['versiona'] [2]"
    assert deleted == "AKSENDPOINT True\n{}"
