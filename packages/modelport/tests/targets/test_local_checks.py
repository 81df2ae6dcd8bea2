"""What the local target refuses before anything is started."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from modelport.domain.deployments import Autoscale
from modelport.domain.errors import UserErrorException, WebserviceException
from modelport.domain.services import Batching, LocalDeployment
from modelport.targets.local import LocalTarget
from modelport.targets.local.plan import with_hosted
from modelport.targets.serving.settings import scoring_settings
from modelport_scoring import RevisionSettings, ServiceSettings, Traffic

from ..storage import samples


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
        ({"no_such_limit": 1}, "limits: .*no_such_limit"),
        ({"queue_wait_ms": 0}, "settings: limits.queue_wait_ms must be above 0, not 0"),
        ({"max_header_bytes": 10}, "settings: limits.max_header_bytes must be at least 1000, not 10"),
        ({"request_timeout_s": -1}, "settings: limits.request_timeout_s must be above 0, not -1.0"),
        ({"request_timeout_s": float("nan")}, "settings: limits.request_timeout_s must be above 0, not nan"),
        (
            {"drain_timeout_s": float("inf")},
            "settings: limits.drain_timeout_s must be at most 10000000000; leave it out",
        ),
        ({"queue_wait_ms": "soon"}, "limits: queue_wait_ms must be a whole number, not 'soon'"),
        ({"request_timeout_s": "x"}, "limits: request_timeout_s must be a number, not 'x'"),
    ],
)
def test_limits_that_there_are_none_of(target: LocalTarget, limits: Mapping[str, float], said: str) -> None:
    with pytest.raises(UserErrorException, match=f"^Invalid {said}"):
        target.check("svc", LocalDeployment(limits=limits))


def test_an_error_mode_that_there_is_none_of(target: LocalTarget) -> None:
    with pytest.raises(UserErrorException, match="Invalid error_mode 'loud': it must be one of cloud, container, json"):
        target.check("svc", LocalDeployment(error_mode="loud"))


def test_gpus_that_this_machine_does_not_have(target: LocalTarget) -> None:
    with pytest.raises(WebserviceException, match="asks for 1000 GPUs, and this machine has"):
        target.check("svc", LocalDeployment(gpu_cores=1000))


@pytest.mark.parametrize(
    "asked",
    [
        LocalDeployment(workers=1001),
        LocalDeployment(replicas=1001),
        LocalDeployment(replicas=501, workers=2),
        LocalDeployment(autoscale=Autoscale(enabled=True, max_replicas=1001)),
    ],
)
def test_more_workers_than_a_machine_should_start(target: LocalTarget, asked: LocalDeployment) -> None:
    with pytest.raises(WebserviceException, match=r"asks for 100\d workers .*, and a service has 1000 at most"):
        target.check("svc", asked)
    target.check("svc", LocalDeployment(replicas=1000))


@pytest.mark.parametrize(
    ("deployment", "said"),
    [
        (
            LocalDeployment(batching=Batching(max_requests=1)),
            r"batching.max_requests must be between 2 and 1024, not 1",
        ),
        (
            LocalDeployment(batching=Batching(max_wait_ms=-1)),
            r"batching.max_wait_ms must be between 0 and 1000, not -1",
        ),
        (LocalDeployment(worker_start="thread"), "worker_start 'thread': it must be one of spawn, fork"),
        (LocalDeployment(telemetry={"acces_log": True}), "telemetry: there is no setting 'acces_log'"),
        (
            LocalDeployment(telemetry={"log_format": "xml"}),
            "telemetry: log_format must be one of text, json, not 'xml'",
        ),
        (LocalDeployment(telemetry={"tracing": "maybe"}), "telemetry: tracing must be true or false, not 'maybe'"),
        (LocalDeployment(telemetry={"sampling_ratio": 2}), "telemetry.sampling_ratio must be between 0 and 1, not 2"),
        (
            LocalDeployment(telemetry={"otlp_endpoint": "http://127.0.0.1:4318"}),
            "telemetry.tracing is off: switch it on",
        ),
    ],
)
def test_settings_that_no_scoring_server_takes(target: LocalTarget, deployment: LocalDeployment, said: str) -> None:
    with pytest.raises(UserErrorException, match=said):
        target.check("svc", deployment)


@pytest.mark.parametrize(
    "origin", ["https://example.org", "http://localhost:3000", "https://example.org/", "*", "null"]
)
def test_origins(origin: str) -> None:
    assert scoring_settings(LocalDeployment(cors_origins=(origin,)))["cors_origins"] == [origin.rstrip("/")]


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "example.org",
        "https://",
        "https://a.example/page",
        "https://A.example",
        "https://me@a.example",
        "http://a:0",
    ],
)
def test_what_no_browser_would_send_as_an_origin(target: LocalTarget, origin: str) -> None:
    with pytest.raises(UserErrorException, match=r"Invalid cors_origins .*: an origin is a scheme"):
        target.check("svc", LocalDeployment(cors_origins=(origin,)))


def test_defaults_are_those_of_the_scoring_server() -> None:
    bare = ServiceSettings(name="", workspace="", revision=RevisionSettings(number=1, bundle="", interpreter=[]))
    assert scoring_settings(LocalDeployment()) == {
        name: getattr(bare, name) for name in scoring_settings(LocalDeployment())
    }


def test_every_setting_of_the_scoring_server_can_be_asked_for() -> None:
    """But for what the control plane itself decides."""
    own = {"name", "workspace", "revision", "others", "traffic", "format", "port", "path_prefix", "version", "auth"}
    own |= {"front_end", "ends_with_script", "ends_with_process", "health_port", "log_prints"}
    assert {field.name for field in msgspec.structs.fields(ServiceSettings)} - own == set(
        scoring_settings(LocalDeployment())
    )


@pytest.mark.parametrize(
    ("telemetry", "recorded"),
    [
        ({}, ("json", True, False)),
        ({"access_log_format": "text"}, ("text", True, False)),
        ({"otlp_endpoint": "http://127.0.0.1:4318"}, ("json", True, True)),
    ],
)
def test_application_insights_are_the_access_log_and_a_collector(
    telemetry: Mapping[str, str], recorded: tuple[str, bool, bool]
) -> None:
    settings = scoring_settings(LocalDeployment(app_insights_enabled=True, telemetry=telemetry))["telemetry"]
    assert (settings.access_log_format, settings.access_log, settings.tracing) == recorded


def test_a_start_keeps_what_the_scoring_server_has_decided() -> None:
    def revision(number: int, *, workers: int | None = None) -> RevisionSettings:
        return RevisionSettings(number=number, bundle="", interpreter=["python"], workers=workers)

    def settings(number: int, **more: Any) -> ServiceSettings:
        return ServiceSettings(name="svc", workspace="ws", revision=revision(number), **more)

    present = settings(1, others=[revision(2, workers=3), revision(3)], traffic=Traffic(weights={2: 5, 3: 5}))
    assert with_hosted(settings(1), present=None) == settings(1)
    again = with_hosted(settings(1, port=5), present=present)
    assert again == msgspec.structs.replace(present, port=5)
    promoted = with_hosted(settings(2), present=present)
    assert (promoted.revision.workers, [other.number for other in promoted.others]) == (3, [3])
    assert promoted.traffic == Traffic(weights={3: 5})


@pytest.mark.parametrize(
    ("deployment", "names"),
    [
        (LocalDeployment(limits={"scoring_timeout_ms": 1}, error_mode="json", auth_enabled=True), ()),
        (LocalDeployment(workers=1, warm_up=False, batching=Batching(enabled=False), worker_start="SPAWN"), ()),
        (LocalDeployment(batching=Batching(), warm_up=True, worker_start="fork", workers=2), ()),
        (LocalDeployment(telemetry={"metrics": False}, cors_origins=("*",)), ()),
        (LocalDeployment(ssl_enabled=True, host="127.0.0.2"), ("host", "tls")),
    ],
)
def test_only_what_is_really_another_setting_asks_for_a_restart(
    target: LocalTarget, deployment: LocalDeployment, names: tuple[str, ...]
) -> None:
    before = samples.service(deployment=LocalDeployment(), port=1)
    assert target.restarting_changes(before, samples.service(deployment=deployment, port=1)) == names
    assert target.restarting_changes(before, samples.service(deployment=deployment, port=2)) == ("port", *names)
