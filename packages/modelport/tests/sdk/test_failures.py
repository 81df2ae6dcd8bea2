"""What somebody sees when something is wrong: the phase, the cause, one thing to try, when it happens."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import joblib
import pytest
import sklearn.base
from sklearn.linear_model import Ridge

from modelport import Environment, InferenceConfig, LocalWebservice, Model, Workspace
from modelport.domain.errors import (
    DeploymentFailed,
    ResolutionFailed,
    StoreException,
    UserErrorException,
    WebserviceException,
    WorkspaceException,
)
from modelport.domain.failures import Phase

from .conftest import SCRIPT, Deployer

RUN = "\ndef run(data): return data\n"


def failure_of(deployer: Deployer, script: str, models: list[Model] | None = None) -> DeploymentFailed:
    """It is told when it happens: the timeout is an hour."""
    service = deployer.deploy("svc", script, models)
    with pytest.raises(DeploymentFailed) as caught:
        service.wait_for_deployment()
    service.update_deployment_state()
    assert service.state == "failed"
    return caught.value


def test_a_syntax_error_is_found_before_anything_is_built(deployer: Deployer) -> None:
    with pytest.raises(UserErrorException, match=r"phase 'validate'.*score\.py, line 2"):
        deployer.deploy("svc", "def init(): pass\ndef run(data)\n    return data\n")
    assert deployer.workspace.webservices == {}


def test_a_missing_import_names_the_package_to_add(deployer: Deployer) -> None:
    error = failure_of(deployer, f"import cv2_that_is_not_there\ndef init(): pass{RUN}")
    assert error.failure.phase is Phase.IMPORT
    assert f'File "{deployer.source}/score.py", line 1' in error.message
    assert "No module named 'cv2_that_is_not_there'" in error.message
    assert "Add cv2_that_is_not_there to" in error.hint


def test_a_decorator_that_is_not_imported_says_from_where(deployer: Deployer) -> None:
    error = failure_of(deployer, f"def init(): pass\n@rawhttp{RUN}")
    assert error.hint == "Import it in the script: from azureml.contrib.services.aml_request import rawhttp"


def test_init_that_raises_shows_the_users_own_traceback(deployer: Deployer) -> None:
    error = failure_of(deployer, f"def init():\n    print('so far')\n    raise ValueError('no weights')\n{RUN}")
    assert error.failure.phase is Phase.INIT
    assert "ValueError: no weights" in error.message
    assert f'File "{deployer.source}/score.py", line 3, in init' in error.message
    assert "so far" in error.message
    assert "modelport_worker" not in error.failure.traceback


def test_a_failed_service_says_why_in_the_users_own_files_whoever_asks(deployer: Deployer) -> None:
    service = deployer.deploy("svc", f"def init():\n    raise ValueError('no weights')\n{RUN}")  # nobody waits
    deadline = time.monotonic() + 60
    while service.state != "failed":
        assert time.monotonic() < deadline
        service.update_deployment_state()
    assert service.error is not None
    assert service.error.startswith("Deployment failed in phase 'init': ValueError: no weights")
    assert f'File "{deployer.source}/score.py", line 2, in init' in service.error
    assert "modelport service reload" in service.error, "one thing to try"


def test_a_failed_request_shows_the_scripts_line_or_how_its_process_ended(deployer: Deployer) -> None:
    script = "import os\ndef init(): pass\ndef run(data):\n    return os._exit(1) if 'die' in data else 1 / 0\n"
    service = deployer.deploy("svc", script)
    with pytest.raises(WebserviceException) as caught:
        service.run("{}")
    assert f'File "{deployer.source}/score.py", line 4, in run' in caught.value.hint
    with pytest.raises(WebserviceException, match="Response Code: 502") as caught:
        service.run("die")
    assert re.fullmatch(r"The log says: worker \d+ ended \(exit status 1\)", caught.value.hint)


def test_a_missing_model_file_lists_what_is_there(deployer: Deployer) -> None:
    error = failure_of(deployer, SCRIPT.replace("model.txt", "modle.txt"))
    assert error.failure.phase is Phase.INIT
    assert "modle.txt" in error.message
    assert "azureml-models/answer/1/model.txt" in error.hint


def test_get_model_path_of_a_wrong_name_lists_what_is_there(deployer: Deployer) -> None:
    script = f"from azureml.core.model import Model\ndef init(): Model.get_model_path('anwser')\n{RUN}"
    error = failure_of(deployer, script)
    assert "anwser" in error.message
    assert "azureml-models/answer/1/model.txt" in error.hint


def test_a_process_that_ends_in_init_tells_how(deployer: Deployer) -> None:
    error = failure_of(deployer, f"import os\ndef init(): os._exit(7)\n{RUN}")
    assert (error.failure.phase, "exit status 7" in error.message) == (Phase.INIT, True)


@pytest.fixture
def old_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A real estimator as scikit-learn 0.20.0 would have marked it."""
    path = tmp_path / "ridge.pkl"
    with monkeypatch.context() as patched:
        patched.setattr(sklearn.base, "__version__", "0.20.0")
        path.write_bytes(pickle.dumps(Ridge().fit([[0.0], [1.0]], [0.0, 1.0])))
    return path


def test_a_pickle_of_another_scikit_learn_names_its_writer(
    deployer: Deployer, old_pickle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deployer.workspace = Workspace.get("ws")  # one that shows its progress
    model = Model.register(deployer.workspace, str(old_pickle), "ridge")
    script = """
        import os, pickle, warnings
        def init():
            warnings.simplefilter("error")
            pickle.load(open(os.environ["AZUREML_MODEL_DIR"] + "/ridge.pkl", "rb"))
        def run(data): return data
    """
    error = failure_of(deployer, script, [model])
    assert "was written by scikit-learn 0.20.0" in error.hint
    assert "scikit-learn==0.20.0" in error.hint
    assert re.search(
        r"Warning: ridge\.pkl was written by scikit-learn 0\.20\.0 and will be read by", capsys.readouterr().out
    )
    deployer.workspace.registry.close()


def test_a_pickle_of_the_same_scikit_learn_is_not_blamed(deployer: Deployer, tmp_path: Path) -> None:
    (tmp_path / "ridge.pkl").write_bytes(pickle.dumps(Ridge().fit([[0.0], [1.0]], [0.0, 1.0])))
    model = Model.register(deployer.workspace, str(tmp_path / "ridge.pkl"), "ridge")
    error = failure_of(deployer, f"import sklearn\ndef init(): raise ValueError('of pickle')\n{RUN}", [model])
    assert error.hint.startswith("Correct init()")


def test_what_joblib_wrote_and_pickle_reads_says_so(deployer: Deployer, tmp_path: Path) -> None:
    joblib.dump(Ridge().fit([[0.0], [1.0]], [0.0, 1.0]), tmp_path / "ridge.pkl")
    model = Model.register(deployer.workspace, str(tmp_path / "ridge.pkl"), "ridge")
    script = """
        import os, pickle
        def init(): pickle.load(open(os.environ["AZUREML_MODEL_DIR"] + "/ridge.pkl", "rb"))
        def run(data): return data
    """
    error = failure_of(deployer, script, [model])
    assert "UnpicklingError" in error.message
    assert "azureml-models/ridge/1/ridge.pkl was written by joblib: read it with joblib.load()" in error.hint


@pytest.mark.parametrize(
    ("module", "hint"),
    [("azureml.automl.core", "Correct the script"), ("azureml.nothing", "Modelport has no azureml.nothing")],
)
def test_no_package_of_that_name_has_what_is_missing_of_azureml(deployer: Deployer, module: str, hint: str) -> None:
    error = failure_of(deployer, f"import {module}\ndef init(): pass{RUN}")
    assert "No module named 'azureml." in error.message
    assert error.hint.startswith(hint)
    assert "Add azureml" not in error.hint
    assert "to the pip dependencies" not in error.hint  # they are left out of the environments that are built


def test_a_failed_service_is_mended_by_an_update(deployer: Deployer) -> None:
    failure_of(deployer, f"def init(): raise ValueError('no')\n{RUN}")
    deployer.script()
    service = LocalWebservice(deployer.workspace, "svc")
    service.update(models=[deployer.model("second")], inference_config=deployer.config())
    service.wait_for_deployment()
    assert service.run("1") == {"model": "second", "data": 1}
    assert service.error is None


def test_an_index_that_cannot_be_reached_is_named(deployer: Deployer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_INDEX", "")
    monkeypatch.setenv("UV_FIND_LINKS", "")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    deployer.script()
    requirements = deployer.source / "requirements.txt"
    requirements.write_text("a-package-that-is-in-no-cache==1.0\n")
    environment = Environment.from_pip_requirements("env", str(requirements))
    config = InferenceConfig("score.py", source_directory=str(deployer.source), environment=environment)
    with pytest.raises(ResolutionFailed, match=r"127\.0\.0\.1"):
        Model.deploy(deployer.workspace, "svc", [], config, LocalWebservice.deploy_configuration())
    assert deployer.workspace.webservices == {}


def test_a_corrupt_database_is_named(workspace: Workspace) -> None:
    path = workspace.folder / "workspace.db"
    workspace.registry.close()
    for log in workspace.folder.glob("workspace.db-*"):
        log.unlink()
    content = path.read_bytes()
    path.write_bytes(b"x" * 4096)
    with pytest.raises(StoreException, match=r"workspace\.db"):
        Workspace.get("ws")
    path.write_bytes(content)


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in-the-way").write_text("")
    monkeypatch.setenv("MODELPORT_HOME", str(tmp_path / "in-the-way"))
    with pytest.raises(WorkspaceException, match="in-the-way") as caught:
        Workspace.create("ws")
    assert "MODELPORT_HOME" in caught.value.hint


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_named_and_nothing_is_lost(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELPORT_HOME", str(small_disk))
    ws = Workspace.create("ws", show_output=False)
    small, large = tmp_path / "small.bin", tmp_path / "large.bin"
    small.write_bytes(b"s")
    large.write_bytes(os.urandom(8 * 1024 * 1024))
    assert Model.register(ws, str(small), "m").version == 1
    with pytest.raises(StoreException, match=r"(?i)no space left|full"):
        Model.register(ws, str(large), "m")
    assert [model.version for model in Model.list(ws)] == [1]
    assert Model.register(ws, str(small), "m").version == 2
    ws.registry.close()


def test_a_flipped_byte_is_never_served(deployer: Deployer, tmp_path: Path) -> None:
    model = deployer.model("right")
    stored = next((deployer.workspace.folder / "objects").glob(f"*/{model.record.files[0].sha256}"))
    stored.chmod(0o600)
    stored.write_text("wrong")
    with pytest.raises(StoreException, match=r"'model\.txt' of the model answer:1"):
        model.download(tmp_path / "out")
    assert not (tmp_path / "out" / "model.txt").exists()
    with pytest.raises(StoreException, match=r"'model\.txt' of the model answer:1"):
        deployer.deploy(models=[model])
    assert deployer.workspace.webservices == {}


@pytest.mark.parametrize("port", [-1, 65536, "8890", 1.5, True])
def test_a_port_out_of_range_is_refused(port: object) -> None:
    with pytest.raises(WebserviceException, match=r"port must be an integer in range \[1, 65535\]"):
        LocalWebservice.deploy_configuration(port=port)  # type: ignore[arg-type]


def test_a_ctrl_c_here_does_not_reach_the_service(deployer: Deployer) -> None:
    """The service is in a session of its own."""
    deployer.script()
    deployer.model()
    program = f"""
import os, signal
from modelport import *
ws = Workspace.get("ws")
config = InferenceConfig("score.py", source_directory={str(deployer.source)!r})
Model.deploy(ws, "svc", ["answer:1"], config).wait_for_deployment()
os.killpg(os.getpgrp(), signal.SIGINT)
"""
    subprocess.run([sys.executable, "-c", program], start_new_session=True, stderr=subprocess.DEVNULL, check=False)
    assert LocalWebservice(deployer.workspace, "svc").run("1") == {"model": "first", "data": 1}


def test_a_connection_that_ends_before_the_answer_is_one_short_error(deployer: Deployer) -> None:
    script = "import os, signal\ndef init(): pass\ndef run(data): os.kill(os.getppid(), signal.SIGKILL)\n"
    service = deployer.deploy("svc", script)
    service.wait_for_deployment()
    with pytest.raises(WebserviceException, match=r"connection to the service 'svc' at http.*/score ended") as caught:
        service.run("{}")
    assert "service.get_logs()" in caught.value.hint
    assert isinstance(caught.value.inner_exception, ConnectionError)
    shown = "".join(traceback.format_exception(caught.value))
    assert "site-packages" not in shown, "no frame of the HTTP client's"
