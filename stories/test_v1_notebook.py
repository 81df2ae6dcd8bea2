"""A notebook of 2020, cell by cell, with its ``azureml`` imports as they are; and what scripts of that time catch.

The cells run as a kernel runs them, in one namespace of a program of their own; ``%%writefile`` is all the magic.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap

import pytest

from own_ports import own_port

from .conftest import Desk
from .notebooks import run_cells

CONFIG = {"subscription_id": "0000-1111", "resource_group": "aml", "workspace_name": "aml-ws"}

NOTEBOOK = """
import azureml.core
print("SDK version:", azureml.core.VERSION)
# %%
from azureml.core import Workspace

ws = Workspace.from_config()
print(ws.name, ws.resource_group, ws.location, ws.subscription_id, sep="\\n")
# %%
import pickle

with open("line_model.pkl", "wb") as f:
    pickle.dump({"slope": 2.0, "intercept": 1.0}, f)
# %%
from azureml.core.model import Model
from azureml.core.resource_configuration import ResourceConfiguration

model = Model.register(workspace=ws,
                       model_path="line_model.pkl",
                       model_name="line",
                       tags={"area": "geometry", "type": "regression"},
                       description="A straight line",
                       model_framework=Model.Framework.CUSTOM,
                       resource_configuration=ResourceConfiguration(cpu=1, memory_in_gb=0.5))
print(model.name, model.description, model.version, sep="\\t")
# %%
%%writefile score.py
import json
import os
import pickle
import sys

from azureml.core.model import Model


def init():
    global model
    model_path = os.path.join(os.getenv("AZUREML_MODEL_DIR"), "line_model.pkl")
    assert model_path.endswith(Model.get_model_path("line"))
    with open(model_path, "rb") as f:
        model = pickle.load(f)
    print("This is init of Python %d.%d" % sys.version_info[:2])


def run(raw_data):
    data = json.loads(raw_data)["data"]
    return [model["slope"] * x + model["intercept"] for x in data]
# %%
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.environment import Environment

conda_dep = CondaDependencies()
conda_dep.add_pip_package("azureml-defaults>=1.0.45")
myenv = Environment(name="myenv")
myenv.python.conda_dependencies = conda_dep
myenv.register(workspace=ws)

with open("myenv.yml", "w") as f:
    f.write(conda_dep.serialize_to_string())
with open("myenv.yml", "r") as f:
    print(f.read())
# %%
from azureml.core.model import InferenceConfig
from azureml.core.webservice import LocalWebservice, Webservice

inference_config = InferenceConfig(entry_script="score.py", environment=Environment.get(ws, "myenv"))
deployment_config = LocalWebservice.deploy_configuration(port=PORT)
service = Model.deploy(ws, "line-service", [model], inference_config, deployment_config)
service.wait_for_deployment(show_output=True)
print(service.state, service.port, isinstance(service, LocalWebservice))
# %%
import json

test_sample = json.dumps({"data": [1, 2, 3]})
test_sample = bytes(test_sample, encoding="utf8")
prediction = service.run(input_data=test_sample)
print(prediction)
# %%
import urllib.request

headers = {"Content-Type": "application/json"}
if service.auth_enabled:
    headers["Authorization"] = "Bearer " + service.get_keys()[0]
elif service.token_auth_enabled:
    headers["Authorization"] = "Bearer " + service.get_token()[0]
request = urllib.request.Request(service.scoring_uri, data=test_sample, headers=headers)
print(urllib.request.urlopen(request).read().decode())
# %%
%%writefile score.py
import json
import os
import pickle


def init():
    global model
    with open(os.path.join(os.getenv("AZUREML_MODEL_DIR"), "line_model.pkl"), "rb") as f:
        model = pickle.load(f)


def run(raw_data):
    return {"result": [model["slope"] * x for x in json.loads(raw_data)["data"]]}
# %%
print(ws.webservices["line-service"].get_logs(num_lines=100))
service.reload()
print(service.run(test_sample))
# %%
with open("line_model.pkl", "wb") as f:
    pickle.dump({"slope": 5.0, "intercept": 0.0}, f)
new_model = Model.register(model_path="line_model.pkl", model_name="line", workspace=ws)
service.update([new_model], inference_config, deployment_config)
print(service.run(test_sample), [m.id for m in service.models])
# %%
handle = LocalWebservice(ws, "line-service")
handle.reload(wait=True)
print("revision 4" in handle.get_logs())
# %%
service = Model.deploy(ws, "line-service", [Model(ws, "line")], inference_config, deployment_config)
service.wait_for_deployment(True)
print(ws.webservices["line-service"].run(test_sample))
# %%
for name, m in ws.models.items():
    print(name, m.version)
service.delete()
print(Webservice.list(ws), service.state)
"""

IDIOMS = """
import os
import re

from azureml.core import Environment, Model, Webservice, Workspace
from azureml.core.compute_target import ComputeTargetException
from azureml.core.model import InferenceConfig
from azureml.core.webservice import LocalWebservice
from azureml.exceptions import (
    AzureMLException, ModelNotFoundException, ProjectSystemException, UserErrorException, WebserviceException,
    WorkspaceException,
)


def caught(function, *errors):
    try:
        function()
    except errors as e:
        return e


e = caught(Workspace.from_config, UserErrorException)
print("no config:", "config.json" in e.message, os.getcwd() in e.message)
e = caught(lambda: Workspace("sub", "group", "absent"), WorkspaceException, ProjectSystemException)
print("no workspace:", "absent" in e.message, e.found_multiple)

ws = Workspace.create(name="idioms", subscription_id="sub", resource_group="group", exist_ok=True)
e = caught(lambda: Workspace.create("idioms"), WorkspaceException)
print("there is one:", "exists already" in str(e))

try:
    Webservice(ws, "mysvc").delete()
except WebserviceException as e:
    print("no service:", "WebserviceNotFound" in str(e), e.message.startswith("WebserviceNotFound"), e.status_code)
e = caught(lambda: LocalWebservice(ws, "mysvc"), WebserviceException)
print("no local service:", e.message.startswith("WebserviceNotFound:"))

for error in (WebserviceException, ModelNotFoundException, AzureMLException):
    e = caught(lambda: Model(ws, name="nothing"), error)
    print("no model:", error.__name__, "ModelNotFound" in str(e), "nothing" in e.message)
e = caught(lambda: Model(ws), WebserviceException)
print("no name:", "one of id or name must be provided" in e.message)
e = caught(lambda: Model.register(ws, "absent.pkl", "m"), WebserviceException)
print("no file:", "unable to find the model path" in e.message)
e = caught(lambda: Environment("AzureML-Mine").register(ws), UserErrorException)
print("reserved:", '"code": "UserError"' in str(e))

open("score.py", "w").write("def init(): pass\\ndef run(data): raise ValueError('no good: ' + data)\\n")
env = Environment("e")
env.python.user_managed_dependencies = True
e = caught(InferenceConfig("absent.py", environment=env).validate_configuration, WebserviceException)
print("no script:", "doesn't exist" in e.message and "should be relative to" in e.message)
e = caught(lambda: LocalWebservice.deploy_configuration(port=99999), WebserviceException)
print("port:", "must be an integer in range [1, 65535]" in e.message)

config = InferenceConfig(entry_script="score.py", environment=env)
service = Model.deploy(ws, "mysvc", [], config, LocalWebservice.deploy_configuration())
service.wait_for_deployment()
e = caught(lambda: service.run("input"), WebserviceException)
print("bad answer:", re.search(r"Response Code: (\\d+)", e.message).group(1), ".get_logs()" in e.message)
print("content:", re.search(r"Content: (.*)", str(e)).group(1), e.status_code)
for ask in (service.get_keys, service.get_token):
    print("no credentials:", type(caught(ask, NotImplementedError)) is not type(None))

open("score.py", "w").write("def init(): open('absent.pkl')\\ndef run(data): pass\\n")
e = caught(lambda: service.update([], config), WebserviceException)
print("init fails:", "FileNotFoundError" in str(e), "absent.pkl" in str(e))
lines = str(caught(lambda: Model(ws, "nothing"), WebserviceException)).splitlines()
print(lines[0], lines[1].partition(":")[0].strip(), [line for line in lines if "InnerException" in line][0].strip())
try:
    raise ComputeTargetException("mine")
except AzureMLException as e:
    print("raised by a script:", e.message, str(e).splitlines()[:2])
service.delete()
service.delete()
print("deleted:", service.state)
"""


@pytest.fixture
def kernel(desk: Desk) -> Desk:
    desk.write("config.json", json.dumps(CONFIG))
    return desk


@pytest.mark.skipif(not shutil.which("python3.6"), reason="v1's environments start from Python 3.6")
def test_a_notebook_of_2020(kernel: Desk) -> None:
    port = own_port()
    said = run_cells(kernel, NOTEBOOK.lstrip().replace("PORT", str(port)))
    assert said[0] == "SDK version: 1.36.0"
    assert said[1] == "aml-ws\naml\nlocal\n0000-1111"
    assert said[3] == "Registering model line\nline\tA straight line\t1"
    assert "- python=3.6.2" in said[5] and "azureml-defaults>=1.0.45" in said[5]
    deployed = said[6].splitlines()
    assert deployed[-1] == f"running {port} True"
    assert deployed[-2] == f"Local webservice is running at http://localhost:{port}"
    assert deployed[-3] == 'Local service creation operation finished, operation "Succeeded"'
    assert said[7] == said[8] == "[3.0, 5.0, 7.0]"
    assert "This is init of Python 3.6" in said[10]
    assert said[10].splitlines()[-1] == "{'result': [2.0, 4.0, 6.0]}"
    assert said[11].splitlines()[-1] == "{'result': [5.0, 10.0, 15.0]} ['line:2']"
    assert said[12].splitlines()[-1] == "True"
    assert said[13].splitlines()[-1] == "{'result': [5.0, 10.0, 15.0]}"
    assert said[14] == "line 2\n[] deleted"


def test_what_scripts_catch_and_look_for(desk: Desk) -> None:
    desk.write("idioms.py", textwrap.dedent(IDIOMS))
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", "idioms.py"],
        cwd=desk.folder,
        env=desk.environ,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line for line in done.stdout.splitlines() if ": " in line and not line.startswith(("Not used", "Register"))]
    text = "\n".join(said)
    assert "False" not in text.replace("no workspace: True False", ""), text
    for line in (
        "no config: True True",
        "no service: True True None",
        "no model: ModelNotFoundException True True",
        "bad answer: 502 True",
        """content: b'no good: input' None""",
        "init fails: True True",
        "raised by a script: mine ['ComputeTargetException:', '\\tMessage: mine']",
        "deleted: deleted",
    ):
        assert line in said, done.stdout
    assert "WebserviceException: Message InnerException None" in done.stdout
