"""What the container target would do: containers, settings, names, and the words for what went wrong."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from docker.errors import APIError
from docker.types import DeviceRequest

from modelport.domain.deployments import Deployment, Placement, Resources
from modelport.domain.errors import WebserviceException
from modelport.domain.failures import Failure, Phase
from modelport.domain.services import Keys, Service
from modelport.packages.plan import USER
from modelport.targets.container.archives import File, first_file, packed
from modelport.targets.container.failures import explained, failure_of
from modelport.targets.container.holder import holder_archive
from modelport.targets.container.names import Names, check_label
from modelport.targets.container.patience import patiently
from modelport.targets.container.plan import creation, holder_spec, server_spec
from modelport.targets.container.settings import container_settings, encoded, own_files
from modelport_scoring import RevisionSettings, read_settings

from ..storage import samples

NAMES = Names("ws", "0b0c7e5a", "Shop")
OF_IMAGE = RevisionSettings(number=1, bundle=".", interpreter=["../../opt/modelport/environment/bin/python"])


def service(**asked: Any) -> Service:
    deployment = Deployment(**{"resources": Resources(cpu=0.5, memory_gb=1.5), "auth_enabled": True, **asked})
    revision = samples.revision(3, "m:1")
    row = samples.service()
    return replace(
        row,
        compute_type="ACI",
        deployment=deployment,
        revisions=(revision,),
        active_revision=3,
        versions=(),
        keys=Keys(primary="hush", secondary="hushed"),
    )


def test_a_server_can_do_little() -> None:
    made = creation(server_spec(service(), 3, NAMES, image="i"))
    assert (made["read_only"], made["cap_drop"], made["security_opt"]) == (True, ["ALL"], ["no-new-privileges"])
    assert (made["user"], made["nano_cpus"]) == (f"{USER}:{USER}", 500_000_000)
    assert made["mem_limit"] == made["memswap_limit"] == 1536 * 1024**2
    assert made["network_mode"] == f"container:{NAMES.holder}"
    assert made["restart_policy"]["Name"] == "on-failure", "one whose place is taken ends, and must not come back"
    assert set(made["volumes"]) == {NAMES.server(3), NAMES.base}
    assert "hush" not in json.dumps(made)
    assert set(made["environment"]) == {"HOME"}


def test_no_limits_where_none_are_asked_for() -> None:
    made = creation(server_spec(service(resources=None), 3, NAMES, image="i"))
    assert not {"mem_limit", "nano_cpus"} & set(made)


def test_gpus_are_asked_for_as_devices() -> None:
    asked = creation(server_spec(service(gpu_cores=2), 3, NAMES, image="i"))["device_requests"]
    assert DeviceRequest(**asked[0])["Count"] == 2 and asked[0]["Capabilities"] == [["gpu"]]
    assert "device_requests" not in creation(server_spec(service(), 3, NAMES, image="i"))


def test_an_address_that_stands_for_all_is_left_to_the_engine() -> None:
    made = creation(holder_spec(service(), NAMES, image="i", published=("0.0.0.0", 8890)))
    assert made["ports"] == {"5001/tcp": 8890}


def test_a_holder_has_the_address() -> None:
    made = creation(holder_spec(service(), NAMES, image="i", published=("127.0.0.1", 8890)))
    assert made["ports"] == {"5001/tcp": ("127.0.0.1", 8890)}
    assert "network" not in made
    assert made["stop_signal"] == "SIGKILL", "an engine that stops does not wait for it"
    spec = holder_spec(service(placement=Placement(dns_name_label="shop")), NAMES, image="i", published=("::", 1))
    assert (spec.network, spec.alias) == (NAMES.network, "shop")


def test_names_of_two_workspaces_do_not_meet() -> None:
    other = Names("ws", "another", "Shop")
    for name in ("base", "holder", "network", "images"):
        assert getattr(NAMES, name) != getattr(other, name)
    assert NAMES.image("sha256:" + "a" * 64) == f"{NAMES.images}:{'a' * 16}" and NAMES.images.islower()


def test_what_a_server_is_told(tmp_path: Path) -> None:
    told = container_settings(service(ssl_enabled=True), 3, workspace="ws", of_image=OF_IMAGE, trust=None)
    files = {file.path: file for file in own_files(encoded(told), (b"certificate", b"key"))}
    settings = files["settings/service.json"]
    assert settings.content is not None and b"hush" not in settings.content
    assert (settings.mode, settings.user, settings.group) == (0o440, 0, USER), "read by the server, changed by nobody"
    assert files["settings/tls/key.pem"].mode == 0o440
    assert (files["run"].user, files["run"].content) == (USER, None)
    (tmp_path / "service.json").write_bytes(settings.content)
    assert read_settings(tmp_path) == told
    assert (told.host, told.port, told.ends_with_script, told.revision.number) == ("0.0.0.0", 5001, True, 3)
    assert told.revision.interpreter == OF_IMAGE.interpreter
    assert told.tls is not None and told.tls.key == "/var/modelport/own/settings/tls/key.pem"
    assert encoded(told) == encoded(told)


@pytest.mark.parametrize("architecture", ["x86_64", "amd64", "aarch64", "arm64"])
def test_the_holders_image(architecture: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(holder_archive(architecture))) as archive:
        content = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    (row,) = json.loads(content["manifest.json"])
    assert set(row["Layers"]) | {row["Config"]} < set(content)
    assert json.loads(content["config.json"])["architecture"] in ("amd64", "arm64")


def test_the_holders_program_sleeps(tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(holder_archive("x86_64"))) as archive:
        layer = archive.extractfile("layer.tar")
        assert layer is not None
        program = first_file(layer.read())
    assert program is not None and len(program) < 200
    file = tmp_path / "pause"
    file.write_bytes(program)
    file.chmod(0o700)
    with subprocess.Popen([file]) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        process.terminate()
        assert process.wait(5) == -15


def test_an_architecture_that_nobody_has() -> None:
    with pytest.raises(WebserviceException, match="architecture mips"):
        holder_archive("mips")


def ended(code: int, *, memory: int = 0, killed: bool = False) -> dict[str, Any]:
    return {"State": {"ExitCode": code, "OOMKilled": killed}, "HostConfig": {"Memory": memory}}


def test_why_a_container_ended() -> None:
    written = json.dumps({"phase": "init", "message": "no such luck", "type": "ValueError", "traceback": "T"}).encode()
    told = failure_of(ended(3, memory=1024**3), written=written, log="L")
    assert (told.phase, told.message, told.traceback, told.log) == (Phase.INIT, "ValueError: no such luck", "T", "L")
    assert failure_of(ended(3), written=None, log="").message == "The container ended: exit status 3"
    assert failure_of(ended(1), written=b"{", log="").phase is Phase.START
    killed = failure_of(ended(137, memory=1024**3), written=None, log="")
    assert killed.message == "The container ended: it was killed (exit status 137) (the container has 1 GB of memory)"
    known = failure_of(ended(137, memory=2**29, killed=True), written=None, log="")
    assert "it used more than the container's 0.5 GB of memory" in known.message and "memory_gb" in known.hint
    worker = json.dumps({"phase": "init", "message": "killed by signal 9 (SIGKILL)"}).encode()
    assert "the container has 1 GB" in failure_of(ended(3, memory=1024**3), written=worker, log="").message


def test_a_worker_that_is_killed_while_its_container_goes_on() -> None:
    """An engine may have started the container again by the time that it is looked at."""
    killed = Failure(phase=Phase.INIT, message="killed by signal 9 (SIGKILL)")
    told = explained(killed, ended(0, memory=2**29))
    assert told.message.endswith("(the container has 0.5 GB of memory)") and "memory_gb" in told.hint
    other = Failure(phase=Phase.INIT, message="ValueError: no")
    assert explained(other, ended(0, memory=2**29)) == other


@pytest.mark.parametrize("label", ["My_Label", "a" * 64, "-a", "größe", ""])
def test_a_label_that_none_can_ask_for(label: str) -> None:
    with pytest.raises(WebserviceException, match=r"DNS label .*63 lower-case letters.*\n.*another dns_name_label"):
        check_label(label)


def test_labels_that_can_be_asked_for() -> None:
    for label in (None, "a", "my-shop-1", "1" * 63):
        check_label(label)


def test_archives_come_back() -> None:
    files = [File("a", mode=0o700, user=5), File("a/b", b"content")]
    assert first_file(packed(files)) == b"content"
    assert packed(files) == packed(files) != packed(files, written_at=7.5)
    assert first_file(packed([File("a")])) is None


def answered(status: int) -> APIError:
    response = requests.Response()
    response.status_code = status
    return APIError("said so", response=response)


def test_a_question_that_is_lost_is_asked_again_and_a_refusal_is_not() -> None:
    ends: list[Exception] = [requests.ConnectionError("lost"), answered(500)]

    def ask() -> str:
        if ends:
            raise ends.pop(0)
        return "answer"

    assert patiently(ask) == "answer"
    ends = [answered(409), answered(500)]
    with pytest.raises(APIError):
        patiently(ask)
    assert len(ends) == 1
