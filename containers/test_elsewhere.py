"""Engines that are reached as those of other machines are: by TLS with certificates of both sides, and by ssh."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from containers.engines import PATIENCE_S, Engine, write_certificates
from containers.instances import BODY, Instances
from containers.ssh import SshServer, ssh_server
from modelport.domain.errors import WebserviceException
from modelport.targets.container.engine import Engine as Client


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshServer]:
    if shutil.which("sshd") is None:
        pytest.fail("There is no sshd: tools/test_containers.sh installs it (Debian: openssh-server).")
    folder = tmp_path / "ssh"
    folder.mkdir()
    with ssh_server(folder) as server:
        monkeypatch.setenv("PATH", f"{server.programs}{os.pathsep}{os.environ['PATH']}")
        yield server


def its_life(instances: Instances, host: str) -> None:
    """Deployed, asked, changed and deleted, over there."""
    service = instances.deploy("far", instances.code(), auth_enabled=True)
    service.wait_for_deployment()
    assert service.scoring_uri == f"http://{host}:{service.port}/score", "the engine's machine"
    assert service.run(BODY) == [2, 4]
    service.update(models=[instances.model(3)], inference_config=instances.code())
    assert service.run(BODY) == [3, 6]
    assert "the factor is 3" in service.get_logs()
    service.regen_key("primary")
    assert service.run(BODY) == [3, 6]
    service.delete()
    assert instances.everything() == set()


def test_by_ssh(instances: Instances, ssh: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    path = instances.engine.address.removeprefix("unix://")
    monkeypatch.setenv("MODELPORT_CONTAINER_ENGINE", f"ssh://by-its-name{path}")
    its_life(instances, "127.0.0.1")
    assert ssh.logins == 1, "one serves all that is asked"


def test_nothing_is_left_of_a_program_that_was_killed(engine: Engine, ssh: SshServer) -> None:
    address = ssh.address(engine.address.removeprefix("unix://"))
    code = f"from modelport.targets.container.engine import Engine\nengine = Engine({address!r})\n"
    code += "with engine.connected(): import os; os.kill(os.getpid(), 9)"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", code], check=False, env={**os.environ, "TMPDIR": folder})
    deadline = time.monotonic() + PATIENCE_S
    while ssh.connections:
        assert time.monotonic() < deadline, "ssh goes on"
        time.sleep(0.05)
    assert ssh.logins == 1


def test_by_tls(instances: Instances, monkeypatch: pytest.MonkeyPatch) -> None:
    secure = instances.engine.secure
    if secure is None:
        pytest.skip("Podman speaks no TLS")
    monkeypatch.setenv("MODELPORT_CONTAINER_ENGINE", secure.address)
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(secure.folder))
    its_life(instances, "localhost")


def test_what_is_said_of_a_wrong_login(engine: Engine, ssh: SshServer) -> None:
    path = engine.address.removeprefix("unix://")
    assert refusal(ssh.address(path)) == ""
    assert f"there is no {path}.no. " in refusal(ssh.address(f"{path}.no"))
    log = engine.folder / "log"
    assert f"on that machine nobody listens at {log}. " in refusal(ssh.address(str(log)))
    ssh.forget_host()
    said = refusal(ssh.address(path))
    assert "Host key verification failed" in said and f"ssh -p {ssh.port} root@127.0.0.1 true" in said
    ssh.know_host()
    ssh.new_user_key()
    said = refusal(ssh.address(path))
    assert "Permission denied (publickey" in said and "ssh-agent" in said


def test_what_is_said_of_wrong_certificates(engine: Engine, tmp_path: Path) -> None:
    secure = engine.secure
    if secure is None:
        pytest.skip("Podman speaks no TLS")
    known = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(secure.folder)}
    assert refusal(secure.address, **known) == ""
    assert "speaks TLS: set DOCKER_TLS_VERIFY=1" in refusal(secure.address)
    none = {**known, "DOCKER_CERT_PATH": str(tmp_path)}
    assert f"there is no {tmp_path}/ca.pem" in refusal(secure.address, **none)
    write_certificates(tmp_path)
    said = refusal(secure.address, **none)
    assert "certificate verify failed" in said and "is not ca.pem's authority's" in said
    shutil.copy(secure.folder / "ca.pem", tmp_path)
    said = refusal(secure.address, **none)
    assert "certificate" in said and "DOCKER_CERT_PATH names the folder" in said and "cert.pem and key.pem" in said


def test_what_is_said_without_the_right_to_a_socket(engine: Engine) -> None:
    assert refusal(engine.address) == ""
    os.seteuid(65534)
    try:
        said = refusal(engine.address)
    finally:
        os.seteuid(0)
    assert "does not answer: Permission denied." in said and "usermod -aG docker" in said


def refusal(address: str, **environ: str) -> str:
    """What is said of the engine; nothing where it answers."""
    try:
        with Client(address, environ=environ).connected() as client:
            client.ping()
    except WebserviceException as error:
        return f"{error.message} {error.hint}"
    return ""
