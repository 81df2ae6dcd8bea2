"""A service that another version of Modelport started: what refuses it, what is said, and what helps."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import modelport_scoring
from modelport import Webservice, Workspace
from modelport.cli.main import run
from modelport.domain.errors import DeploymentFailed, WebserviceException
from modelport.usecases.run_service import started_by_others, up

from .conftest import Deployer


@pytest.fixture
def older(deployer: Deployer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Webservice:
    """A service whose scoring server is of a version that cannot change origins, and does not say which one it is."""
    package = tmp_path / "older" / "modelport_scoring"
    shutil.copytree(Path(modelport_scoring.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    settings = package / "settings" / "service.py"
    text, without = settings.read_text(), "    cors_origins: list[str] | UnsetType = UNSET\n"
    assert text.count(without) == 1
    settings.write_text(text.replace(without, ""))
    leading = package / "control" / "leading.py"
    text, told = leading.read_text(), ", version=__version__, dialect=dialect()"
    assert text.count(told) == 1
    leading.write_text(text.replace(told, ""))
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(package.parent))
        service = deployer.deploy()
        service.wait_for_deployment()
    return service


def test_a_service_of_an_older_version_is_told_of_and_started_again(
    older: Webservice, deployer: Deployer, capsys: pytest.CaptureFixture[str]
) -> None:
    context = deployer.workspace.context
    assert started_by_others(context) == {"svc": "an earlier version"}
    assert older.run('{"a": 1}') == {"model": "first", "data": {"a": 1}}
    run(["service", "show", "-w", "ws", "-n", "svc"])
    assert "may refuse changes until it is started again" in capsys.readouterr().err

    with pytest.raises(DeploymentFailed, match=r"started by another Modelport \(an earlier version; this") as caught:
        older.update(models=[deployer.model("second")])
    assert "unknown field" in caught.value.message
    assert "goes on serving" in caught.value.message
    assert "modelport service restart -n svc" in caught.value.hint
    assert older.run("1") == {"model": "first", "data": 1}

    assert up(context) == {}
    assert up(context, restarting=True) == {"svc": None}
    older.wait_for_deployment()
    assert started_by_others(context) == {}
    older.update(models=[deployer.model("third")])
    assert older.run("1") == {"model": "third", "data": 1}
    assert Webservice(Workspace.get("ws"), "svc").started_by is None


def test_a_restart_leaves_everything_as_it_is(deployer: Deployer) -> None:
    service = deployer.deploy()
    service.wait_for_deployment()
    port = service.port
    service.restart()
    service.wait_for_deployment()
    assert (service.port, service.revision, service.state) == (port, 1, "running")
    service.stop()
    with pytest.raises(WebserviceException, match="is stopped") as caught:
        service.restart()
    assert "modelport service start -n svc" in caught.value.hint
