"""``modelport deploy``: a script and a model are all that somebody has."""

from __future__ import annotations

import shlex
import signal
import subprocess

import pytest

from .conftest import SCORE, Desk


def test_a_script_and_a_model(desk: Desk) -> None:
    desk.write("score.py", SCORE)
    desk.write("factor.json", "2")
    said = desk.run("""modelport deploy score.py factor.json --input '{"data": [21]}'""")
    assert "using 'default'" in said.stderr
    assert "Prediction:   [42]" in said.stdout
    uri = desk.run("modelport service show -w default -n factor --query scoringUri -o tsv").stdout.strip()
    assert f"Scoring URI:  {uri}" in said.stdout
    curl = next(line for line in said.stdout.splitlines() if line.startswith("  curl "))
    answer = subprocess.run([*shlex.split(curl), "--silent", "--noproxy", "*"], capture_output=True, text=True)
    assert answer.stdout == "[42]"
    for line in said.stdout.splitlines():
        if line.startswith("  modelport service delete"):
            desk.run(line.split("    ")[0].strip())
    assert desk.run("modelport service list -w default").json == []


def test_a_second_time_needs_to_be_meant(desk: Desk) -> None:
    desk.write("score.py", SCORE)
    desk.write("factor.json", "2")
    desk.run("modelport deploy score.py factor.json --name twice")
    refused = desk.run("modelport deploy score.py factor.json --name twice", code=1)
    assert "twice already exists" in refused.stderr
    assert "--overwrite" in refused.stderr
    versions = desk.run("modelport model list -w default --query '[].version'").json
    assert versions == [1], "nothing is registered for a deployment that is refused"
    desk.write("factor.json", "5")
    again = desk.run(
        """modelport deploy score.py factor.json --name twice --overwrite -d '{"data": [1]}' -o json"""
    ).json
    assert (again["prediction"], again["revision"]) == ([5], 2)


def test_the_line_to_copy_fetches_the_key_and_does_not_show_it(desk: Desk) -> None:
    desk.write("score.py", SCORE)
    desk.write("factor.json", "2")
    said = desk.run("modelport deploy score.py factor.json --auth-enabled true")
    key = desk.run("modelport service get-keys -w default -n factor --query primaryKey -o tsv").stdout.strip()
    assert key
    assert key not in said.stdout + said.stderr
    curl = next(line for line in said.stdout.splitlines() if line.startswith("  curl "))
    line = f"{curl} --silent --noproxy '*'".replace('{"data": []}', '{"data": [21]}')
    answer = subprocess.run(line, shell=True, env=desk.environ_with_command, capture_output=True, text=True)
    assert answer.stdout == "[42]", answer.stderr


def test_a_first_score_that_fails_names_the_phase_and_the_line(desk: Desk) -> None:
    script = desk.write("score.py", "def init(): pass\n\ndef run(data):\n    return 1 / 0\n")
    said = desk.run("modelport deploy score.py --name zero -d '{}'", code=1)
    assert "Deployment failed in phase 'first score'" in said.stderr
    assert f'File "{script}", line 4, in run' in said.stderr
    assert "ZeroDivisionError" in said.stderr


def test_an_interrupted_wait_says_that_the_service_goes_on(desk: Desk) -> None:
    desk.write("score.py", "import time\ndef init(): time.sleep(60)\ndef run(data): return data\n")
    with desk.start("modelport deploy score.py --name slow") as process:
        assert process.stderr is not None
        while "Waiting until the service" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert "The service 'slow' goes on starting" in said
    assert said.endswith("Interrupted.\n")
    assert desk.run("modelport service show -n slow --query state -o tsv").stdout.strip() == "deploying"


def test_a_folder_and_a_config_file_are_used(shop: Desk) -> None:
    shop.write(
        "code/main.py", SCORE.replace("value * factor", "value * factor + extra()") + "\n\n    from more import extra\n"
    )
    shop.write("code/more.py", "def extra():\n    return 100\n")
    said = shop.run("""modelport deploy main.py factor.json --source-directory code -d '{"data": [1]}' -o json""").json
    assert (said["prediction"], said["workspaceName"]) == ([102], "shop")


def test_a_model_of_scikit_learn(desk: Desk) -> None:
    joblib = pytest.importorskip("joblib")
    linear_model = pytest.importorskip("sklearn.linear_model")
    joblib.dump(
        linear_model.LinearRegression().fit([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [1.0, 3.0, 4.0]),
        desk.folder / "plane.pkl",
    )
    desk.write(
        "score.py",
        """
        import os

        import joblib
        import numpy as np
        from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
        from inference_schema.schema_decorators import input_schema, output_schema


        def init():
            global model
            model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "plane.pkl"))


        @input_schema("data", NumpyParameterType(np.array([[0.5, 0.25]])))
        @output_schema(NumpyParameterType(np.array([2.75])))
        def run(data):
            return model.predict(data).round(6).tolist()
        """,
    )
    said = desk.run("""modelport deploy score.py plane.pkl -d '{"data": [[1, 1], [2, 0]]}'""")
    assert "Prediction:   [6.0, 5.0]" in said.stdout
    without_input = desk.run("modelport deploy score.py plane.pkl --overwrite")
    assert """-d '{"data": [[0.5, 0.25]]}'""" in without_input.stdout, "the line to copy holds the script's own sample"
