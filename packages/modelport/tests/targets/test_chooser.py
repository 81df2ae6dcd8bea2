"""Where a service runs, and which target it has for that."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelport.domain.deployments import Placement, RunsOn
from modelport.domain.errors import WebserviceException
from modelport.targets.chooser import TargetChooser
from modelport.targets.container.addresses import find_engine, host_of
from modelport.targets.container.engine import Engine
from modelport.targets.interface import Target
from modelport.targets.memory import MemoryTarget

ENGINE = {"MODELPORT_CONTAINER_ENGINE": "tcp://engine:2376"}
IN_CONTAINER = Placement(runs_on=RunsOn.CONTAINER, engine="tcp://engine:2376")


def chooser(**environ: str) -> TargetChooser:
    return TargetChooser({}, environ={"XDG_RUNTIME_DIR": "/nowhere", **environ})


@pytest.mark.parametrize(
    ("environ", "of_workspace", "placement"),
    [
        (ENGINE, None, IN_CONTAINER),
        (ENGINE, "auto", IN_CONTAINER),
        (ENGINE, "container", IN_CONTAINER),
        (ENGINE, "process", Placement()),
        ({**ENGINE, "MODELPORT_ACI": "process"}, "container", Placement()),
        ({**ENGINE, "MODELPORT_ACI": "Container"}, "process", IN_CONTAINER),
        ({"DOCKER_HOST": "tcp://engine:2376"}, None, IN_CONTAINER),
        ({**ENGINE, "DOCKER_HOST": "tcp://other:2376"}, None, IN_CONTAINER),
    ],
)
def test_a_container_instance(environ: dict[str, str], of_workspace: str | None, placement: Placement) -> None:
    placed = chooser(**environ).place("ACI", Placement(), aci=of_workspace)
    assert (placed.placement, placed.notes) == (placement, ())


def test_what_was_decided_stays() -> None:
    assert chooser(MODELPORT_ACI="process").place("ACI", IN_CONTAINER).placement is IN_CONTAINER


@pytest.mark.parametrize("kind", ["Local", "AKS", "AKSENDPOINT"])
def test_other_services_of_this_machine(kind: str) -> None:
    assert chooser(**ENGINE, MODELPORT_ACI="container").place(kind, Placement()).placement == Placement()


def test_a_cluster_that_a_context_leads_to() -> None:
    placed = chooser().place("AKS", Placement(context="prod"))
    assert placed.placement == Placement(context="prod", runs_on=RunsOn.KUBERNETES)


def test_an_unknown_word() -> None:
    with pytest.raises(WebserviceException, match="Invalid MODELPORT_ACI 'docker': it must be one of container"):
        chooser(MODELPORT_ACI="docker").place("ACI", Placement())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One whose usual sockets are below a folder."""
    monkeypatch.setattr("modelport.targets.container.addresses.FOR_ALL_USERS", (tmp_path / "docker.sock",))
    yield tmp_path


def test_a_machine_without_an_engine(machine: Path) -> None:
    placed = chooser().place("ACI", Placement())
    assert placed.placement == Placement()
    assert "No container engine is set up on this machine, so that it runs as processes." in placed.notes[0]
    with pytest.raises(WebserviceException, match="no container engine is set up") as refused:
        chooser().place("ACI", Placement(), aci="container")
    assert "MODELPORT_ACI=process, which counts first, or " in refused.value.hint
    assert "--aci process" in refused.value.hint


def test_the_usual_sockets(machine: Path) -> None:
    (machine / "podman").mkdir()
    with socket.socket(socket.AF_UNIX) as of_user, socket.socket(socket.AF_UNIX) as of_all:
        of_user.bind(str(machine / "podman" / "podman.sock"))
        environ = {"XDG_RUNTIME_DIR": str(machine)}
        assert find_engine(environ) == f"unix://{machine}/podman/podman.sock"
        of_all.bind(str(machine / "docker.sock"))
        assert find_engine(environ) == f"unix://{machine}/docker.sock"
        assert (
            find_engine({**environ, "MODELPORT_CONTAINER_ENGINE": "podman"}) == f"unix://{machine}/podman/podman.sock"
        )
        assert find_engine({**environ, "DOCKER_HOST": "/named.sock"}) == "unix:///named.sock"


@pytest.mark.parametrize(
    ("engine", "host"),
    [
        ("unix:///run/docker.sock", None),
        ("tcp://10.0.0.1:2376", "10.0.0.1"),
        ("ssh://me@engine", "engine"),
        ("tcp://127.0.0.1:2375", None),
        ("tcp://localhost", None),
        ("https://[::1]:2376", None),
        ("ssh://me@localhost", None),
        ("ssh://localhost:22/run/podman/podman.sock", None),
        ("ssh://me@127.0.0.1:2222", "127.0.0.1"),
        ("tcp://localhost.example:2376", "localhost.example"),
    ],
)
def test_where_an_engine_is(engine: str, host: str | None) -> None:
    assert host_of(engine) == host
    assert Engine(engine).host == host


def test_a_target_is_made_once_for_each_place() -> None:
    made: list[Placement] = []

    def make(placement: Placement) -> Target:
        made.append(placement)
        return MemoryTarget()

    targets = TargetChooser({RunsOn.PROCESS: make, RunsOn.CONTAINER: make})
    assert targets.of("ACI", Placement(location="a")) is targets.of("Local", Placement())
    assert targets.of("ACI", IN_CONTAINER) is targets.of("ACI", IN_CONTAINER)
    assert len(made) == 2
    for kind, place in (("Quantum", Placement()), ("AKS", Placement(runs_on=RunsOn.KUBERNETES))):
        with pytest.raises(WebserviceException, match="There is no target of compute type"):
            targets.of(kind, place)
