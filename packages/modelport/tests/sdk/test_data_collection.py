"""What a service's script collects, and how it is read back."""

from __future__ import annotations

import concurrent.futures
import json
import time
from pathlib import Path

import httpx
import pandas as pd
import pytest

from modelport import LocalWebservice, Model, Webservice, Workspace
from modelport.sdk.aks import AksWebservice
from modelport.sdk.compute import AksCompute, ComputeTarget
from modelport.sdk.data import Dataset, Datastore

from .conftest import Deployer

SCRIPT = """
import json

from azureml.monitoring import ModelDataCollector


def init():
    global inputs, predictions
    inputs = ModelDataCollector("answer", designation="inputs", feature_names=["first", "second"])
    predictions = ModelDataCollector("answer", identifier="predictions", feature_names=["sum"])


def run(raw_data):
    rows = json.loads(raw_data)["data"]
    sums = [sum(row) for row in rows]
    correlations = inputs.collect(rows)
    predictions.collect(predictions.add_correlations(sums, correlations))
    return sums
"""


def collected(workspace: Workspace, kind: str, *, rows: int) -> pd.DataFrame:
    """The rows of the service, once that many are there, as a script of v1 reads them."""
    store = workspace.get_default_datastore()
    deadline = time.monotonic() + 60
    while True:
        path = f"modeldata/sub/group/ws/svc/answer/1/{kind}/*/*/*/*.csv"
        if list(Path(store.folder).glob(path)):
            frame = Dataset.Tabular.from_delimited_files((store, path)).to_pandas_dataframe()
            if len(frame) >= rows:
                return frame
        assert time.monotonic() < deadline, sorted(Path(store.folder).rglob("*"))
        time.sleep(0.05)


def post(service: Webservice, first: int) -> tuple[str, object]:
    """The id of the request, and the answer."""
    body = json.dumps({"data": [[first, 1], [first, 2]]})
    answer = httpx.post(str(service.scoring_uri), content=body, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-ms-request-id"], answer.json()


@pytest.mark.parametrize("worker_start", ["spawn", "fork"])
def test_rows_of_several_workers(workspace: Workspace, deployer: Deployer, worker_start: str) -> None:
    deployer.script(SCRIPT)
    configuration = LocalWebservice.deploy_configuration(collect_model_data=True, workers=2, worker_start=worker_start)
    service = Model.deploy(workspace, "svc", [deployer.model()], deployer.config(), configuration)
    service.wait_for_deployment()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda first: post(service, first), range(100)))
    inputs, predictions = (collected(workspace, kind, rows=200) for kind in ("inputs", "predictions"))
    assert len(inputs) == len(predictions) == 200
    ids = {request_id: first for first, (request_id, _) in enumerate(answers)}
    assert len(ids) == 100
    assert [ids[request_id] for request_id in inputs["$aml_request_id"]] == list(inputs["first"])
    both = inputs.groupby("$aml_dc_correlation_id")["first"].first()
    sums = predictions.groupby("$aml_dc_correlation_id")["sum"].agg(list)
    assert all(sums[key] == [first + 1, first + 2] for key, first in both.items())
    container = Datastore.register_azure_blob_container(workspace, "collected", "modeldata", "account")
    assert (Path(container.folder) / "sub" / "group" / "ws" / "svc").is_dir()


def test_switched_off_and_on(workspace: Workspace, deployer: Deployer) -> None:
    """A service of a cluster, as in v1's documents."""
    deployer.script(SCRIPT)
    cluster = ComputeTarget.create(workspace, "cluster", AksCompute.provisioning_configuration())
    configuration = AksWebservice.deploy_configuration(autoscale_enabled=False, num_replicas=1)
    service = Model.deploy(workspace, "svc", [deployer.model()], deployer.config(), configuration, cluster)
    service.wait_for_deployment()
    assert isinstance(service, AksWebservice)

    def ask(first: int) -> None:
        assert service.run(json.dumps({"data": [[first, 1]]})) == [first + 1]

    ask(0)
    assert "model data collection is not switched on; nothing is recorded" in service.get_logs()
    service.update(collect_model_data=True)
    ask(10)
    assert list(collected(workspace, "predictions", rows=1)["sum"]) == [11]
    service.update(collect_model_data=False)
    ask(20)
    service.update(collect_model_data=True)
    ask(30)
    assert list(collected(workspace, "predictions", rows=2)["sum"]) == [11, 31]
    assert "Model data collection: what a ModelDataCollector" in service.get_logs()
    assert service.data_collection.storage_enabled
