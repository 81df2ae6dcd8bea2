"""What a user sees who makes a mistake: the phase, the cause, one thing to try, and never a traceback of ours."""

from __future__ import annotations

import socket

import pytest

from .conftest import Desk

GOOD_RUN = "\n\ndef run(data):\n    return data\n"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param("def init(:\n    pass\n", ["phase 'validate'", "SyntaxError", "line 1"], id="syntax error"),
        pytest.param(
            f"import not_there\n\ndef init():\n    pass\n{GOOD_RUN}",
            ["phase 'import'", "No module named 'not_there'", "wrong.py", "line 1", "Add not_there to"],
            id="missing import",
        ),
        pytest.param(
            f"def init():\n    raise ValueError('the model is odd')\n{GOOD_RUN}",
            ["phase 'init'", "ValueError: the model is odd", "wrong.py", "line 2"],
            id="init raises",
        ),
        pytest.param(
            f"import os\n\ndef init():\n    open(os.environ['AZUREML_MODEL_DIR'] + '/gone.pkl')\n{GOOD_RUN}",
            ["phase 'init'", "FileNotFoundError", "azureml-models/factor/1/factor.json"],
            id="missing model file",
        ),
        pytest.param(
            f"def init():\n    raise OSError(30, 'Read-only file system', 'cache.txt')\n{GOOD_RUN}",
            ["phase 'init'", "Read-only file system: 'cache.txt'", "wrong.py", "write there (tempfile.mkdtemp())"],
            id="read-only file system",
        ),
        pytest.param(
            f"import os\n\ndef init():\n    os._exit(7)\n{GOOD_RUN}", ["phase 'init'", "exit status 7"], id="init exits"
        ),
    ],
)
def test_scripts_that_do_not_start(shop: Desk, script: str, expected: list[str]) -> None:
    (shop.folder / "wrong.py").write_text(script)
    failed = shop.run("modelport model deploy -n wrong -m factor:1 --es wrong.py", code=1)
    assert failed.stderr.count("ERROR: ") == 1
    for part in expected:
        assert part in failed.stderr
    assert failed.stdout == ""


def test_a_run_that_raises_shows_the_scripts_traceback(shop: Desk) -> None:
    shop.write("bad.py", "def init():\n    pass\n\ndef run(data):\n    return 1 / 0\n")
    shop.run("modelport model deploy -n bad --es bad.py")
    failed = shop.run("modelport service run -n bad -d '{}'", code=1)
    assert "Response Code: 502" in failed.stderr
    assert "ZeroDivisionError" in failed.stderr


def test_a_taken_port(shop: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        failed = shop.run(f"modelport model deploy -n times --es score.py --port {port}", code=1)
    assert f"Port {port}" in failed.stderr
    assert "Choose another port" in failed.stderr
    assert shop.run("modelport service list").json == []


def test_a_taken_name(deployed: Desk) -> None:
    failed = deployed.run("modelport model deploy -n times -m factor:1 --es score.py", code=1)
    assert "times already exists" in failed.stderr
    assert "--overwrite" in failed.stderr


def test_names_that_there_are_none_of(shop: Desk) -> None:
    assert "no service named 'nope'" in shop.run("modelport service show -n nope", code=1).stderr
    assert "no model named 'nope'" in shop.run("modelport model show -n nope", code=1).stderr
    missing = shop.run("modelport model list -w nope", code=1).stderr
    assert "no workspace named 'nope'" in missing
    assert "shop" in missing
    nothing = shop.run("modelport model register -n x -p nope.pkl", code=1).stderr
    assert "nope.pkl" in nothing
    assert "factor.json" in nothing, "what is there is listed"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("ic.json", '{"entryScript": "score.py",\n "condaFile": }', ["valid JSON or YAML", "line 2"]),
        ("ic.json", '{"sourceDirectory": null}', ["no entry script", "--entry-script"]),
    ],
)
def test_inference_files_that_are_wrong(shop: Desk, name: str, text: str, expected: list[str]) -> None:
    (shop.folder / name).write_text(text)
    failed = shop.run(f"modelport model deploy -n wrong --ic {name}", code=1)
    for part in expected:
        assert part in failed.stderr


def test_a_cluster_that_is_not_named(shop: Desk) -> None:
    shop.write("dc.json", '{"computeType": "Aks", "numReplicas": 3}')
    failed = shop.run("modelport model deploy -n far --es score.py --dc dc.json", code=1)
    assert "type AKS needs a compute target" in failed.stderr
    assert "az-ml computetarget create aks" in failed.stderr
    refused = shop.run("modelport model deploy -n far --es score.py --autoscale-enabled true", code=1)
    assert "--autoscale-enabled" in refused.stderr
    assert "aks" in refused.stderr


def test_calls_that_are_wrong(desk: Desk) -> None:
    assert "No such option: --nope" in desk.run("modelport model list --nope", code=2).stderr
    assert "No such command 'models'" in desk.run("modelport models", code=2).stderr
    lost = desk.run("modelport model list", code=1).stderr
    assert "config.json" in lost
    assert "--workspace-name" in lost
    desk.run("modelport workspace create -w shop")
    assert "not valid JMESPath" in desk.run("modelport model list -w shop --query 'a['", code=1).stderr


def test_an_unwritable_home(desk: Desk) -> None:
    desk.write("home-is-a-file", "")
    desk.environ["MODELPORT_HOME"] = str(desk.folder / "home-is-a-file")
    failed = desk.run("modelport workspace create -w shop", code=1)
    assert "MODELPORT_HOME" in failed.stderr


def test_a_corrupt_database(shop: Desk) -> None:
    for file in (shop.home / "workspaces/shop").glob("workspace.db*"):
        file.unlink()
    (shop.home / "workspaces/shop/workspace.db").write_bytes(b"this was a database once" * 500)
    failed = shop.run("modelport model list", code=1)
    assert "workspace.db" in failed.stderr
    seen = shop.run("modelport doctor -o json", code=1).json
    assert "workspace shop" in [check["name"] for check in seen if check["verdict"] == "problem"]
