"""What the local target refuses before anything is started."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from modelport.domain.errors import UserErrorException, WebserviceException
from modelport.domain.services import LocalDeployment
from modelport.targets.local import LocalTarget


@pytest.fixture
def target(tmp_path: Path) -> LocalTarget:
    return LocalTarget(tmp_path, workspace="ws")


@pytest.mark.parametrize("host", [None, "127.0.0.1", "0.0.0.0", "localhost"])
def test_what_is_possible_passes(target: LocalTarget, host: str | None) -> None:
    target.check("svc", LocalDeployment(host=host, limits={"queue_wait_ms": 10}, error_mode="JSON"))


@pytest.mark.parametrize("port", [None, 8890])
@pytest.mark.parametrize("host", ["192.0.2.1"])
def test_an_address_that_is_not_of_this_machine(target: LocalTarget, host: str, port: int | None) -> None:
    with pytest.raises(WebserviceException, match=host) as caught:
        target.check("svc", LocalDeployment(host=host, port=port))
    assert caught.value.hint


def test_a_taken_port_names_the_process_that_has_it(target: LocalTarget) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(WebserviceException, match=rf"^Port {port} of 127.0.0.1 .*\(process \d+, .*has it\)"):
            target.check("svc", LocalDeployment(port=port))


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"no_such_limit": 1}, "no_such_limit"),
        ({"queue_wait_ms": 0}, "queue_wait_ms must be above 0, not 0"),
        ({"queue_wait_ms": "soon"}, "queue_wait_ms"),
    ],
)
def test_limits_that_there_are_none_of(target: LocalTarget, limits: Mapping[str, float], said: str) -> None:
    with pytest.raises(UserErrorException, match=f"Invalid limits: .*{said}"):
        target.check("svc", LocalDeployment(limits=limits))


def test_an_error_mode_that_there_is_none_of(target: LocalTarget) -> None:
    with pytest.raises(UserErrorException, match="Invalid error mode 'loud': it must be one of cloud, container, json"):
        target.check("svc", LocalDeployment(error_mode="loud"))


def test_gpus_that_this_machine_does_not_have(target: LocalTarget) -> None:
    with pytest.raises(WebserviceException, match="asks for 1000 GPUs, and this machine has"):
        target.check("svc", LocalDeployment(gpu_cores=1000))
