"""Cells that notebooks of 2019 to 2021 had in common, with their ``azureml`` imports as they were."""

from __future__ import annotations

CONFIG = '{"subscription_id": "0000-1111", "resource_group": "aml", "workspace_name": "aml-ws"}'

BEGINNING = """
from azureml.core import Workspace

ws = Workspace.from_config()
print(ws.name, ws.resource_group, ws.location, ws.subscription_id, sep="\\n")
# %%
import json

from azureml.core.model import Model

with open("model.json", "w") as f:
    json.dump({"slope": 2}, f)
model = Model.register(model_path="model.json",
                       model_name="line",
                       tags={"area": "geometry"},
                       description="A straight line",
                       workspace=ws)
# %%
%%writefile score.py
import json
import time

from azureml.core.model import Model


def init():
    global model
    with open(Model.get_model_path("line")) as f:
        model = json.load(f)


def run(raw_data):
    try:
        data = json.loads(raw_data)["data"]
        time.sleep(0.002)
        return [model["slope"] * x for x in data]
    except Exception as e:
        return str(e)
# %%
from azureml.core.environment import Environment
from azureml.core.model import InferenceConfig

myenv = Environment(name="myenv")
myenv.python.user_managed_dependencies = True
inference_config = InferenceConfig(entry_script="score.py", environment=myenv)
"""

CLIENT = '''
import urllib.request


def call(uri, credential=None):
    """What requests.post(uri, data=…, headers=…).json() gave."""
    headers = {"Content-Type": "application/json"}
    if credential:
        headers["Authorization"] = "Bearer " + credential
    request = urllib.request.Request(uri, data=json.dumps({"data": [1, 2]}).encode(), headers=headers)
    with urllib.request.urlopen(request) as response:
        return json.loads(response.read())
'''

LOAD = """
import collections
import threading

answers = collections.Counter()
over = threading.Event()


def ask():
    while not over.is_set():
        try:
            answers[str(call(service.scoring_uri, credential))] += 1
        except Exception as e:
            answers[repr(e)] += 1


credential = service.get_keys()[0]
threads = [threading.Thread(target=ask) for _ in range(4)]
for thread in threads:
    thread.start()
"""
