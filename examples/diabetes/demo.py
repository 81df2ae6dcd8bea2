"""The main job, end to end: train a model, register it, deploy it on this machine, score it.

Run it with ``make demo``. The second run updates the service in place, without dropping a request.
"""

import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from modelport import CondaDependencies, Environment, InferenceConfig, LocalWebservice, Model, Workspace

HERE = Path(__file__).parent
OUTPUTS = HERE.parent.parent / ".demo"
MODEL_FILE = OUTPUTS / "sklearn_regression_model.pkl"


def environment() -> Environment:
    """What score.py imports; scikit-learn in the version that wrote the model."""
    packages = [f"scikit-learn=={version('scikit-learn')}", "joblib", "inference-schema[numpy-support]"]
    needed = Environment("diabetes")
    needed.python.conda_dependencies = CondaDependencies.create(pip_packages=packages)
    return needed


def trained_model() -> None:
    """Train once; a second run has the file."""
    if not MODEL_FILE.exists():
        OUTPUTS.mkdir(exist_ok=True)
        subprocess.run([sys.executable, str(HERE / "train.py"), str(MODEL_FILE)], check=True)


def main() -> None:
    began = time.monotonic()
    print("Training a ridge regression on the diabetes data set", flush=True)
    trained_model()
    ws = Workspace.create("demo", exist_ok=True, show_output=True)
    model = Model.register(ws, model_path=MODEL_FILE, model_name="diabetes", tags={"data": "diabetes"})
    print(f"Registered {model.id}")

    config = InferenceConfig(entry_script="score.py", source_directory=str(HERE), environment=environment())
    service = Model.deploy(ws, "diabetes", [model], config, LocalWebservice.deploy_configuration(), overwrite=True)
    service.wait_for_deployment(show_output=True)

    patient = {"data": [[0.038, 0.051, 0.062, 0.022, -0.044, -0.035, -0.043, -0.003, 0.02, -0.018]]}
    prediction = service.run(json.dumps(patient))
    print(f"\nPrediction: {prediction}   ({time.monotonic() - began:.1f} s)")
    print(f"Scoring URI: {service.scoring_uri}")
    print(f"Swagger URI: {service.swagger_uri}")
    print(WHAT_NEXT.format(uri=service.scoring_uri, body=json.dumps(patient), bin=bin_folder()))


def bin_folder() -> str:
    """Where the modelport command is, as one would type it here."""
    return os.path.relpath(Path(sys.executable).parent)


WHAT_NEXT = """
Try next:
  curl -s {uri} -H 'Content-Type: application/json' -d '{body}'
  {bin}/modelport service list -w demo -o table      the service and its state
  {bin}/modelport service get-logs -w demo -n diabetes   what the script printed
  edit examples/diabetes/score.py, then
  {bin}/modelport service reload -w demo -n diabetes     the new code, without dropping a request
  {bin}/modelport service rollback -w demo -n diabetes   and back
  make demo                                            again: the service is updated in place
  {bin}/modelport service delete -w demo -n diabetes     when you are done
"""


if __name__ == "__main__":
    main()
