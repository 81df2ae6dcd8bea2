"""What notebooks did around a deployment: profile the model before it, and collect its data after it."""

from __future__ import annotations

import ast

from .conftest import Desk
from .notebooks import run_cells
from .v1_cells import BEGINNING, CONFIG

PROFILE = """
# %%
from azureml.core import Datastore
from azureml.core.dataset import Dataset
from azureml.data import dataset_type_definitions

body = json.dumps({"data": [1, 2]})
with open("bodies.txt", "w") as f:
    f.write("\\n".join([body] * 50))
data_store = Datastore.get_default(ws)
data_store.upload_files(["./bodies.txt"], target_path="bodies")
bodies = Dataset.Tabular.from_delimited_files(
    [(data_store, "bodies" + "/" + "bodies.txt")],
    separator="\\n",
    infer_column_types=True,
    header=dataset_type_definitions.PromoteHeadersBehavior.NO_HEADERS)
bodies = bodies.register(workspace=ws, name="line_bodies", create_new_version=True)
print(bodies.to_pandas_dataframe().shape)
# %%
from datetime import datetime

profile = Model.profile(ws,
            "line-%s" % datetime.now().strftime("%m%d%Y-%H%M%S"),
            [model],
            inference_config,
            input_dataset=Dataset.get_by_name(workspace=ws, name="line_bodies"),
            cpu=1.0,
            memory_in_gb=0.5)

profile.wait_for_completion(True)
details = profile.get_details()
# %%
from azureml.core.profile import ModelProfile

assert ModelProfile(ws, profile.name).get_details() == details
print({key: details[key] for key in ("state", "totalQueries", "successRate", "requestedCpu", "requestedMemoryInGb")})
model.add_tags({"requestedCpu": details["requestedCpu"], "requestedMemoryInGb": details["requestedMemoryInGb"]})
print(Model(ws, "line").tags["requestedMemoryInGb"])
# %%
old = Model.profile(ws, "profilemymodel", [model], inference_config, json.dumps({"data": [5]}))
old.wait_for_profiling(True)
print(sorted(old.get_results()))
"""

COLLECTION = """
# %%
%%writefile score.py
import json

from azureml.core.model import Model
from azureml.monitoring import ModelDataCollector


def init():
    global model, inputs_dc, prediction_dc
    with open(Model.get_model_path("line")) as f:
        model = json.load(f)
    inputs_dc = ModelDataCollector(model_name="best_line", identifier="inputs", feature_names=["x1", "x2"])
    prediction_dc = ModelDataCollector("best_line", identifier="predictions", feature_names=["y1", "y2"])


def run(raw_data):
    data = json.loads(raw_data)["data"]
    result = [model["slope"] * x for x in data]
    inputs_dc.collect([data])
    prediction_dc.collect(result)
    return result
# %%
from azureml.core.compute import AksCompute, ComputeTarget
from azureml.core.image import ContainerImage
from azureml.core.webservice import AksWebservice, Webservice

image_config = ContainerImage.image_configuration(execution_script="score.py", runtime="python")
image = ContainerImage.create(name="line-image", models=[model], image_config=image_config, workspace=ws)
image.wait_for_creation(show_output=True)
prov_config = AksCompute.provisioning_configuration()
aks_target = ComputeTarget.create(workspace=ws, name="my-aks-test1", provisioning_configuration=prov_config)
aks_target.wait_for_completion(show_output=True)
# %%
aks_config = AksWebservice.deploy_configuration(collect_model_data=True, enable_app_insights=True,
                                                autoscale_enabled=False, num_replicas=1)
aks_service = Webservice.deploy_from_image(workspace=ws, name="aks-w-dc0", image=image,
                                           deployment_config=aks_config, deployment_target=aks_target)
aks_service.wait_for_deployment(show_output=True)
print(aks_service.state)
# %%
print(aks_service.run(input_data=bytes(json.dumps({"data": [1, 2]}), encoding="utf8")))
aks_service.update(collect_model_data=False)
print(aks_service.run(input_data=json.dumps({"data": [3, 4]})))
# %%
from azureml.core import Dataset

path = "modeldata/{}/{}/{}/aks-w-dc0/best_line/1/{}/*/*/*/{}.csv"
for kind in ("inputs", "predictions"):
    where = path.format(ws.subscription_id, ws.resource_group, ws.name, kind, kind)
    frame = Dataset.Tabular.from_delimited_files((ws.get_default_datastore(), where)).to_pandas_dataframe()
    print([[*frame.columns[:2]], *frame.iloc[:, :2].values.tolist()])
print(frame.shape)
aks_service.delete()
"""


def test_profile_a_model(desk: Desk) -> None:
    desk.write("config.json", CONFIG)
    *_, shape, waited, shown, results = run_cells(desk, BEGINNING + PROFILE)
    assert shape.endswith("(50, 1)")
    assert "Sending 50 requests" in waited and 'operation "Succeeded"' in waited
    details, tag = shown.splitlines()
    assert ast.literal_eval(details) == {
        "state": "Succeeded",
        "totalQueries": 50,
        "successRate": 100.0,
        "requestedCpu": 1.0,
        "requestedMemoryInGb": 0.5,
    }
    assert tag == "0.5"
    assert results.endswith("['cpu', 'memoryInGB']")


def test_collect_data(desk: Desk) -> None:
    desk.write("config.json", CONFIG)
    *_, deployed, answers, collected = run_cells(desk, BEGINNING + COLLECTION)
    assert deployed.endswith("Healthy")
    assert answers.splitlines()[0] == "[2, 4]" and answers.splitlines()[-1] == "[6, 8]"
    inputs, predictions, shape = collected.splitlines()[:3]
    assert ast.literal_eval(inputs) == [["x1", "x2"], [1, 2]]
    assert ast.literal_eval(predictions) == [["y1", "y2"], [2, 4]]
    assert shape == "(1, 2)"
