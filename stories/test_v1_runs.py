"""Training notebooks of 2019, cell by cell: record runs, register the best model from its run, deploy it."""

from __future__ import annotations

import subprocess
import sys

from .conftest import Desk

SCORE = """
    import json
    import numpy as np
    import os
    import joblib

    def init():
        global model
        model_path = os.path.join(os.getenv("AZUREML_MODEL_DIR"), "ridge.pkl")
        model = joblib.load(model_path)

    def run(raw_data):
        data = np.array(json.loads(raw_data)["data"])
        return model.predict(data).tolist()
"""

IN_THE_NOTEBOOK = """
    # In[1]
    import azureml.core
    from azureml.core import Experiment, Workspace
    print("This notebook was created using version 1.0.2 of the Azure ML SDK. You have", azureml.core.VERSION)
    ws = Workspace.from_config()
    experiment = Experiment(workspace=ws, name="train-within-notebook")

    # In[2]
    import os
    import joblib
    import numpy as np
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import Ridge
    from sklearn.metrics import mean_squared_error
    from sklearn.model_selection import train_test_split
    X, y = load_diabetes(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
    data = {"train": {"X": X_train, "y": y_train}, "test": {"X": X_test, "y": y_test}}

    # In[3]: one run
    run = experiment.start_logging(snapshot_directory=None)
    run.log("alpha", 0.03)
    reg = Ridge(alpha=0.03)
    reg.fit(data["train"]["X"], data["train"]["y"])
    preds = reg.predict(data["test"]["X"])
    run.log("mse", mean_squared_error(preds, data["test"]["y"]))
    model_name = "model.pkl"
    with open(model_name, "wb") as file:
        joblib.dump(value=reg, filename=file)
    run.upload_file(name="outputs/" + model_name, path_or_stream=model_name)
    run.complete()
    print(run)
    print(run.get_portal_url().startswith("file://"))

    # In[4]: many runs
    os.makedirs("outputs", exist_ok=True)
    for alpha in np.arange(0.0, 1.0, 0.25):
        with experiment.start_logging(snapshot_directory=None) as run:
            run.log("alpha", alpha)
            reg = Ridge(alpha=alpha)
            reg.fit(data["train"]["X"], data["train"]["y"])
            run.log("mse", mean_squared_error(reg.predict(data["test"]["X"]), data["test"]["y"]))
            run.log_row("coefficients", first=reg.coef_[0], last=reg.coef_[-1])
            run.tag("alpha", str(alpha))
            joblib.dump(reg, "outputs/ridge.pkl")

    # In[5]: the best of them
    runs, run_metrics = {}, {}
    for r in experiment.get_runs():
        metrics = r.get_metrics()
        if "mse" in metrics.keys():
            runs[r.id] = r
            run_metrics[r.id] = metrics
    best_run_id = min(run_metrics, key=lambda k: run_metrics[k]["mse"])
    best_run = runs[best_run_id]
    print(len(runs), "runs; the best alpha is", run_metrics[best_run_id]["alpha"])
    print(best_run.get_file_names())
    best_run.tag("Best")
    print([r.id == best_run.id for r in experiment.get_runs(tags="Best")])
    from azureml.widgets import RunDetails
    RunDetails(best_run).show()

    # In[6]
    model = best_run.register_model(model_name="best_model", model_path="outputs/ridge.pkl")
    print(model.name, model.version, model.run_id == best_run.id, model.experiment_name, sep="|")
    from azureml.core.model import Model
    print([m.id for m in Model.list(ws, run_id=best_run.id)])
    model.download(target_dir="downloaded")

    # In[7]
    from azureml.core.model import InferenceConfig
    from azureml.core.webservice import LocalWebservice
    service = Model.deploy(ws, "ridge-service", [model], InferenceConfig(entry_script="score.py"),
                           LocalWebservice.deploy_configuration())
    service.wait_for_deployment(show_output=True)
    import json
    result = service.run(json.dumps({"data": data["test"]["X"][0:2].tolist()}))
    print(np.allclose(result, joblib.load("downloaded/ridge.pkl").predict(data["test"]["X"][0:2])))
    service.delete()
"""


def test_train_within_a_notebook(desk: Desk) -> None:
    said = _run_notebook(desk, IN_THE_NOTEBOOK)
    assert "You have 1.36.0\n" in said
    assert "Run(Experiment: train-within-notebook,\n" in said
    assert "\nType: None,\nStatus: Completed)\nTrue\n" in said
    assert "5 runs; the best alpha is " in said
    assert "['outputs/ridge.pkl']\n[True]\n" in said
    assert "best_model|1|True|train-within-notebook\n['best_model:1']\n" in said
    assert said.endswith("\nTrue\n")


TRAIN = """
    import argparse
    import os
    import joblib
    import numpy as np
    from azureml.core import Run
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import Ridge
    import mylib

    parser = argparse.ArgumentParser()
    parser.add_argument("--data-folder", type=str, dest="data_folder")
    parser.add_argument("--alpha", type=float, dest="alpha", default=0.5)
    args = parser.parse_args()
    X = np.loadtxt(os.path.join(args.data_folder, "X.csv"), delimiter=",")
    y = np.loadtxt(os.path.join(args.data_folder, "y.csv"), delimiter=",")

    run = Run.get_context()
    print("Train a ridge regression with alpha", args.alpha, mylib.get_note())
    reg = Ridge(alpha=args.alpha).fit(X, y)
    run.log("alpha", np.float64(args.alpha))
    run.log("score", np.float64(reg.score(X, y)))
    os.makedirs("outputs", exist_ok=True)
    joblib.dump(value=reg, filename="outputs/ridge.pkl")
    if run.id.startswith("OfflineRun"):
        print("offline")
    else:
        run.upload_file("extra/note.txt", "mylib.py")
"""

ON_THE_MACHINE = """
    # In[1]
    from azureml.core import Experiment, ScriptRunConfig, Workspace
    from azureml.core.conda_dependencies import CondaDependencies
    from azureml.core.runconfig import RunConfiguration
    ws = Workspace.from_config()
    exp = Experiment(workspace=ws, name="train-on-local")

    # In[2]
    import numpy as np
    import os
    from sklearn.datasets import load_diabetes
    X, y = load_diabetes(return_X_y=True)
    os.makedirs("data", exist_ok=True)
    np.savetxt("data/X.csv", X, delimiter=",")
    np.savetxt("data/y.csv", y, delimiter=",")
    ds = ws.get_default_datastore()
    print(ds.datastore_type)
    ds.upload(src_dir="./data", target_path="diabetes", overwrite=True, show_progress=True)

    # In[3]
    run_config_user_managed = RunConfiguration()
    run_config_user_managed.environment.python.user_managed_dependencies = True
    src = ScriptRunConfig(source_directory="./train", script="train.py", run_config=run_config_user_managed,
                          arguments=["--data-folder", ds.path("diabetes").as_mount(), "--alpha", 0.1])
    run = exp.submit(src)
    run.wait_for_completion(show_output=True)

    # In[4]
    print(run.get_status(), sorted(run.get_metrics()), run.get_metrics()["alpha"])
    print(run.get_file_names())
    details = run.get_details()
    print(details["status"], details["runDefinition"]["script"])
    model = run.register_model(model_name="ridge", model_path="outputs/ridge.pkl",
                               tags={"area": "diabetes"}, properties={"score": run.get_metrics()["score"]})
    print(model.name, model.id, model.version, sep="|")
    print(ws.models["ridge"].run.id == run.id, model.properties.keys())

    # In[5]: the estimator of those days
    from azureml.train.sklearn import SKLearn
    est = SKLearn(source_directory="./train", script_params={"--data-folder": ds.path("diabetes").as_mount()},
                  compute_target="local", entry_script="train.py", user_managed=True)
    run = exp.submit(est, tags={"kind": "estimator"})
    run.wait_for_completion()
    print(run.get_metrics()["alpha"], run.tags)

    # In[6]: the script as a program of its own
    import subprocess, sys
    ended = subprocess.run([sys.executable, "train/train.py", "--data-folder", "data"], capture_output=True)
    print(ended.stdout.decode())
"""


def test_train_on_this_machine(desk: Desk) -> None:
    desk.write("train/train.py", TRAIN)
    desk.write("train/mylib.py", 'def get_note():\n    return "and a note"\n')
    said = _run_notebook(desk, ON_THE_MACHINE)
    assert said.startswith("AzureBlob\nUploading an estimated of 2 files\n")
    assert "Streaming azureml-logs/70_driver_log.txt\n" in said
    assert "Train a ridge regression with alpha 0.1 and a note\n" in said
    assert "Completed ['alpha', 'score'] 0.1\n" in said
    assert "'azureml-logs/70_driver_log.txt', 'extra/note.txt', 'outputs/ridge.pkl']\n" in said
    assert "Completed train.py\nridge|ridge:1|1\nTrue dict_keys(['score'])\n" in said
    assert "0.5 {'kind': 'estimator'}\n" in said
    assert "Attempted to log scalar metric alpha:\n0.5\n" in said
    assert said.endswith("offline\n\n")


def _run_notebook(desk: Desk, notebook: str) -> str:
    """Run it in a workspace of its own, and return what it prints."""
    desk.write("score.py", SCORE)
    desk.write("config.json", '{"subscription_id": "s", "resource_group": "g", "workspace_name": "notebooks"}')
    desk.write("notebook.py", notebook)
    ended = subprocess.run(
        [sys.executable, "notebook.py"], cwd=desk.folder, env=desk.environ, capture_output=True, text=True, timeout=110
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
