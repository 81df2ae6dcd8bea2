"""A notebook of 2019, by the names that it used: a model, an image, a service from the image.

It runs as a program of its own, as a notebook's kernel does, with nothing changed but the names of the workspace.
"""

from __future__ import annotations

import json
import subprocess
import sys

from .conftest import Desk

SCORE = """
    import json
    import os
    import pickle

    from azureml.core.model import Model
    from plain_model import Line  # the pickle needs it


    def init():
        global model
        model_path = Model.get_model_path("line.pkl")
        with open(model_path, "rb") as file:
            model = pickle.load(file)


    def run(raw_data):
        try:
            data = json.loads(raw_data)["data"]
            with open("units/units.txt") as file:
                unit = file.read().strip()
            return json.dumps({"result": model.predict(data), "unit": unit})
        except Exception as e:
            return json.dumps({"error": str(e)})
"""

PLAIN_MODEL = """
    class Line:
        def __init__(self, slope, intercept):
            self.slope, self.intercept = slope, intercept

        def predict(self, data):
            return [self.slope * x + self.intercept for x in data]
"""

NOTEBOOK = """
    # %%
    import azureml.core
    print("SDK version:", azureml.core.VERSION)

    # %%
    from azureml.core import Workspace
    ws = Workspace.from_config()
    print(ws.name, ws.resource_group, ws.location, ws.subscription_id, sep="\\n")

    # %%
    import pickle
    from plain_model import Line
    with open("line.pkl", "wb") as file:
        pickle.dump(Line(2.0, 1.0), file)

    # %%
    from azureml.core.model import Model
    model = Model.register(model_path="line.pkl", model_name="line.pkl", tags={"area": "lines", "type": "regression"},
                           description="A straight line", workspace=ws)

    # %%
    from azureml.core.conda_dependencies import CondaDependencies
    import platform
    myenv = CondaDependencies.create(pip_packages=["azureml-defaults"], python_version=platform.python_version())
    with open("myenv.yml", "w") as f:
        f.write(myenv.serialize_to_string())

    # %%
    from azureml.core.image import Image, ContainerImage
    image_config = ContainerImage.image_configuration(runtime="python",
                                                      execution_script="score.py",
                                                      conda_file="myenv.yml",
                                                      dependencies=["plain_model.py", "units"],
                                                      tags={"area": "lines", "type": "regression"},
                                                      description="Image with a straight line")
    image = Image.create(name="line-image",
                         models=[model],
                         image_config=image_config,
                         workspace=ws)
    image.wait_for_creation(show_output=True)

    # %%
    for i in Image.list(workspace=ws, tags=["area"]):
        print("{}(v.{} [{}]) stored at {} with build log {}".format(
            i.name, i.version, i.creation_state, i.image_location, i.image_build_log_uri))

    # %%
    import json
    test_sample = json.dumps({"data": [1, 2, 3]})
    print("the image says", image.run(input_data=test_sample))

    # %%
    from azureml.core.webservice import AciWebservice, Webservice
    from azureml.exceptions import WebserviceException
    service_name = "line-service"
    try:
        Webservice(ws, service_name).delete()
    except WebserviceException as e:
        print(e.message)
    aciconfig = AciWebservice.deploy_configuration(cpu_cores=1,
                                                   memory_gb=1,
                                                   tags={"area": "lines", "type": "regression"},
                                                   description="Predicts points of a line")
    service = Webservice.deploy_from_image(deployment_config=aciconfig,
                                           image=image,
                                           name=service_name,
                                           workspace=ws)
    service.wait_for_deployment(show_output=True)
    print(service.state, service.image_id)

    # %%
    prediction = service.run(input_data=test_sample)
    print("the service says", json.loads(prediction)["result"])

    # %%
    import urllib.request
    request = urllib.request.Request(service.scoring_uri, data=test_sample.encode(),
                                     headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        print("over HTTP", json.loads(json.loads(answer.read()))["result"])

    # %%
    try:
        image.delete()
    except WebserviceException as e:
        print(e.message)
    service.delete()
    print(len(ws.images), "image is left,", ws.images["line-image"].id)
    image.delete()
    print("and", len(ws.images), "after that")
"""


def test_from_a_model_to_a_service_by_an_image(desk: Desk) -> None:
    names = {"subscription_id": "0000-1111", "resource_group": "my-group", "workspace_name": "lines"}
    desk.write("config.json", json.dumps(names))
    desk.write("score.py", SCORE)
    desk.write("plain_model.py", PLAIN_MODEL)
    desk.write("units/units.txt", "cm\n")
    desk.write("notebook.py", NOTEBOOK)
    ended = subprocess.run(
        [sys.executable, "-W", "error", "notebook.py"],
        cwd=desk.folder,
        env=desk.environ,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    said = ended.stdout
    assert "lines\nmy-group\nlocal\n0000-1111" in said
    assert "Creating image line-image:1" in said
    assert 'Image creation operation finished for image line-image:1, operation "Succeeded"' in said
    assert "line-image(v.1 [Succeeded]) stored at " in said
    assert """the image says {"result": [3.0, 5.0, 7.0], "unit": "cm"}""" in said
    assert "WebserviceNotFound: the workspace 'lines' has no service named 'line-service'." in said
    assert 'ACI service creation operation finished, operation "Succeeded"' in said
    assert "Healthy line-image:1" in said
    assert "the service says [3.0, 5.0, 7.0]" in said
    assert "over HTTP [3.0, 5.0, 7.0]" in said
    assert "The image line-image:1 is used by the services line-service." in said
    assert "1 image is left, line-image:1" in said
    assert "and 0 after that" in said
