"""Deploying, updating, rolling back, reloading and deleting services, on the target that runs nothing."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from modelport.cli.errors import Stopped
from modelport.domain.deployments import Batching, ComputeType, Deployment, Placement
from modelport.domain.environments import CondaSpecification, DockerSection, EnvironmentDefinition, PythonSection
from modelport.domain.errors import (
    ConflictException,
    DeploymentFailed,
    ResolutionFailed,
    StoreException,
    UserErrorException,
    WebserviceException,
)
from modelport.domain.failures import Failure, Phase
from modelport.domain.services import DesiredState, LocalDeployment, Service, ServiceFilter, ServiceState
from modelport.environments.memory import MemoryEnvironments
from modelport.targets.interface import Observation
from modelport.targets.memory import MemoryTarget
from modelport.usecases import doctor, run_service, wait
from modelport.usecases.checks import Verdict
from modelport.usecases.context import Context
from modelport.usecases.deploy import DeployRequest, deploy
from modelport.usecases.exclusive import exclusive
from modelport.usecases.keys import get_keys, regenerate_key
from modelport.usecases.reload import reload
from modelport.usecases.roll_back import roll_back
from modelport.usecases.switch_revision import KEPT_REVISIONS
from modelport.usecases.update import ServiceChange, update
from modelport.usecases.validate_inference import validate_inference
from modelport.usecases.wait import observe, wait_for_deployment

from .conftest import Steps, Workbench

INIT_FAILED = Failure(phase=Phase.INIT, message="ValueError: no", traceback="Traceback …\nValueError: no")


def bundles(context: Context) -> set[str]:
    return {path.name for path in context.bundles.iterdir() if not path.name.startswith(".")}


def test_a_deployment_runs_the_models_it_was_given(bench: Workbench, context: Context) -> None:
    model = bench.model()
    bench.service("svc", model)
    service = wait_for_deployment(context, "svc")
    assert service.model_ids == ("line:1",)
    assert service.port == 10_000
    assert bundles(context) == {service.active.bundle_digest}


@pytest.mark.parametrize("name", ["v1", "Upper", "1st", "ends-", "x" * 33, "under_score", ""])
def test_a_bad_service_name_is_refused(bench: Workbench, name: str) -> None:
    with pytest.raises(WebserviceException, match="3 to 32 characters"):
        bench.service(name)


def test_a_taken_name_is_refused_and_overwrite_updates(bench: Workbench, context: Context) -> None:
    bench.service("svc", bench.model())
    with pytest.raises(ConflictException, match="already exists") as caught:
        bench.service("svc")
    assert caught.value.status_code == 409
    assert bench.service("svc", bench.model(), overwrite=True).active_revision == 2
    assert context.service("svc").model_ids == ("line:2",)


def test_a_service_that_is_not_there_names_those_that_are(bench: Workbench, context: Context) -> None:
    bench.service("forecast")
    with pytest.raises(WebserviceException, match=r"^WebserviceNotFound.*'forecasts'") as caught:
        update(context, "forecasts", ServiceChange(description="x"))
    assert "'forecast'" in caught.value.hint


def test_an_update_without_anything_is_refused(bench: Workbench, context: Context) -> None:
    bench.service()
    with pytest.raises(WebserviceException, match="No parameters provided to update"):
        update(context, "svc", ServiceChange())


def test_a_failed_update_keeps_the_old_revision_and_says_why(
    bench: Workbench, context: Context, target: MemoryTarget
) -> None:
    bench.service("svc", bench.model())
    target.failure = INIT_FAILED
    with pytest.raises(DeploymentFailed, match=r"phase 'init': ValueError: no.*revision 1 goes on"):
        update(context, "svc", ServiceChange(revision=bench.revision(bench.model())))
    service, observation = observe(context, "svc")
    assert (service.active_revision, service.model_ids, observation.state) == (1, ("line:1",), ServiceState.RUNNING)
    assert [revision.number for revision in service.revisions] == [1]
    assert service.failure is not None and service.failure.hint
    assert update(context, "svc", ServiceChange(revision=bench.revision())).active_revision == 3


def test_a_failed_first_start_is_raised_with_its_phase_and_kept(
    bench: Workbench, context: Context, target: MemoryTarget
) -> None:
    target.failure = INIT_FAILED
    bench.service()
    with pytest.raises(DeploymentFailed, match="phase 'init'"):
        wait_for_deployment(context, "svc")
    assert context.service("svc").failure is not None


def test_a_service_without_room_is_waited_for_but_not_for_ever(
    bench: Workbench, context: Context, target: MemoryTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.service()
    reason = Failure(phase=Phase.START, message="0/3 nodes are available: 3 Insufficient cpu.")
    no_room = Observation(state=ServiceState.UNSCHEDULABLE, active_revision=1, failure=reason)
    target.observations["svc"] = no_room

    def a_node_comes() -> None:
        target.observations["svc"] = Observation(state=ServiceState.RUNNING, active_revision=1)

    assert wait_for_deployment(context, "svc", tick=a_node_comes).name == "svc"
    target.observations["svc"] = no_room
    monkeypatch.setattr(wait, "_UNSCHEDULABLE_S", 0)
    with pytest.raises(DeploymentFailed, match="3 Insufficient cpu"):
        wait_for_deployment(context, "svc")


def test_rolling_back_goes_to_the_one_before_and_only_to_kept_ones(bench: Workbench, context: Context) -> None:
    bench.service("svc", bench.model())
    for _ in range(KEPT_REVISIONS + 1):
        update(context, "svc", ServiceChange(revision=bench.revision(bench.model())))
    service = context.service("svc")
    assert [revision.number for revision in service.revisions] == [3, 4, 5, 6, 7]
    assert roll_back(context, "svc").active_revision == 6
    assert roll_back(context, "svc", number=3).active_revision == 3
    with pytest.raises(WebserviceException, match="no revision before 3") as caught:
        roll_back(context, "svc")
    assert "3, 4, 5, 6, 7" in caught.value.hint
    with pytest.raises(WebserviceException, match="no revision 1"):
        roll_back(context, "svc", number=1)


def test_every_change_of_revision_is_an_update_in_time(bench: Workbench, context: Context) -> None:
    first = bench.service()
    reloaded = reload(context, "svc")
    rolled_back = roll_back(context, "svc")
    assert first.created_time == reloaded.created_time
    assert first.updated_time < reloaded.updated_time < rolled_back.updated_time
    assert context.service("svc").updated_time == rolled_back.updated_time


def test_a_failed_roll_back_keeps_what_it_went_to(bench: Workbench, context: Context, target: MemoryTarget) -> None:
    bench.service()
    update(context, "svc", ServiceChange(revision=bench.revision()))
    target.failure = INIT_FAILED
    with pytest.raises(DeploymentFailed):
        roll_back(context, "svc")
    assert [revision.number for revision in context.service("svc").revisions] == [1, 2]
    assert roll_back(context, "svc").active_revision == 1


def test_a_registry_password_is_in_no_bundle(bench: Workbench, context: Context) -> None:
    registry = {"address": "registry.example", "username": "me", "password": "a secret"}
    definition = EnvironmentDefinition(name="env", docker=DockerSection(base_image_registry=registry))
    request = replace(bench.revision(), environment=definition)
    service = deploy(context, DeployRequest(name="svc", compute_type="Local", revision=request))
    kept = (context.bundles / service.active.bundle_digest / "environment/environment.json").read_text()
    assert "registry.example" in kept
    assert "a secret" not in kept


def test_reload_ships_the_source_again(bench: Workbench, context: Context) -> None:
    bench.service("svc", bench.model())
    before = context.service("svc").active
    bench.script("def init(): pass\ndef run(other): return other\n")
    after = reload(context, "svc").active
    assert (after.number, after.model_ids) == (2, before.model_ids)
    assert after.bundle_digest != before.bundle_digest


def test_reload_of_a_source_that_is_gone_says_where_it_was(bench: Workbench, context: Context) -> None:
    bench.service()
    bench.script().unlink()
    with pytest.raises(WebserviceException, match=r"score\.py"):
        reload(context, "svc")


def test_bundles_that_no_revision_has_are_removed(bench: Workbench, context: Context) -> None:
    bench.service("one", bench.model())
    bench.service("two", bench.model())
    run_service.delete(context, "one")
    assert bundles(context) == {context.service("two").active.bundle_digest}


def test_a_service_that_its_target_does_not_give_back_is_deleted_by_force(
    bench: Workbench, context: Context, target: MemoryTarget
) -> None:
    bench.service("svc")
    target.refusal = WebserviceException("The engine does not answer.", hint="Start it.")
    with pytest.raises(WebserviceException) as refused:
        run_service.delete(context, "svc")
    assert refused.value.hint == "Start it. Where it is gone for good: modelport service delete --force -n svc"
    assert context.service("svc").desired_state is DesiredState.RUNNING
    target.refusal = WebserviceException("The engine does not answer.")
    told = run_service.delete(context, "svc", force=True)
    assert told == (
        "'svc' could not be removed where it runs: The engine does not answer.",
        "'svc' was in the memory of a program.",
    )
    assert context.registry.services(ServiceFilter()) == [] and bundles(context) == set()
    bench.service("svc")
    assert run_service.delete(context, "svc", force=True) == (), "it was asked for, and not needed"


def test_up_brings_no_service_back_whose_deletion_was_interrupted(
    bench: Workbench, context: Context, target: MemoryTarget
) -> None:
    bench.service("svc")
    target.refusal = Stopped(signal.SIGTERM)
    with pytest.raises(Stopped):
        run_service.delete(context, "svc")
    target.stop(context.service("svc"))
    assert run_service.up(context) == {}
    run_service.delete(context, "svc")
    assert context.registry.services(ServiceFilter()) == []


def test_a_second_operation_on_a_service_is_refused(bench: Workbench, context: Context) -> None:
    bench.service()
    with exclusive(context, "svc"), pytest.raises(ConflictException, match="under way"):
        roll_back(context, "svc")


def test_the_target_is_right_about_which_revision_runs(
    bench: Workbench, context: Context, target: MemoryTarget
) -> None:
    """A program that is killed between the switch and the row leaves them at odds."""
    bench.service()
    update(context, "svc", ServiceChange(revision=bench.revision()))
    context.registry.update_service(replace(context.service("svc"), active_revision=1))
    service, _ = observe(context, "svc")
    assert service.active_revision == context.service("svc").active_revision == 2


def test_a_signal_that_comes_after_the_switch_loses_no_settings(
    bench: Workbench, context: Context, target: MemoryTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.service("svc")
    switch_in_time = target.switch

    def switch_and_stop(service: Service, number: int, bundle: Path) -> None:
        switch_in_time(service, number, bundle)
        raise Stopped(signal.SIGTERM)

    monkeypatch.setattr(target, "switch", switch_and_stop)
    change = ServiceChange(revision=bench.revision(), deployment=LocalDeployment(auth_enabled=True))
    with pytest.raises(Stopped):
        update(context, "svc", change)
    assert context.service("svc").active_revision == 2
    assert get_keys(context.service("svc")).primary


def test_what_is_seen_of_a_service_leaves_what_another_program_has_written(
    bench: Workbench, context: Context, target: MemoryTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It changes the service after this one has read the row, and before it has looked at the target."""
    bench.service("svc")
    update(context, "svc", ServiceChange(revision=bench.revision()))
    roll_back(context, "svc")
    observe_now = target.observe

    def observe_late(service: Service) -> Observation:
        monkeypatch.setattr(target, "observe", observe_now)
        roll_back(context, "svc", number=2)
        update(context, "svc", ServiceChange(deployment=LocalDeployment(auth_enabled=True), tags={"a": "b"}))
        return observe_now(service)

    monkeypatch.setattr(target, "observe", observe_late)
    seen, _ = observe(context, "svc")
    written = context.service("svc")
    assert (seen.active_revision, written.active_revision) == (2, 2)
    assert written.deployment.auth_enabled and written.keys is not None and written.tags == {"a": "b"}


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_wait_ends_with_leaves_what_another_program_has_written(
    bench: Workbench, context: Context, target: MemoryTarget, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    bench.service("svc")
    context.registry.update_service(replace(context.service("svc"), failure=None if fails else INIT_FAILED))
    state = ServiceState.FAILED if fails else ServiceState.RUNNING
    ended = Observation(state=state, active_revision=1, failure=INIT_FAILED if fails else None)

    def observe_late(service: Service) -> Observation:
        context.registry.update_service(replace(context.service("svc"), tags={"a": "b"}))
        return ended

    monkeypatch.setattr(target, "observe", observe_late)
    if fails:
        with pytest.raises(DeploymentFailed, match="ValueError: no"):
            wait_for_deployment(context, "svc")
    else:
        wait_for_deployment(context, "svc")
    assert context.service("svc").tags == {"a": "b"}
    assert (context.service("svc").failure is not None) == fails


def test_keys_are_made_when_asked_for_and_one_changes_at_a_time(bench: Workbench, context: Context) -> None:
    bench.service()
    with pytest.raises(WebserviceException, match="key authentication is off"):
        get_keys(context.service("svc"))
    first = get_keys(update(context, "svc", ServiceChange(deployment=LocalDeployment(auth_enabled=True))))
    second = regenerate_key(context, "svc", "primary")
    assert (second.primary != first.primary, second.secondary) == (True, first.secondary)
    assert regenerate_key(context, "svc", "Secondary", value="mine").secondary == "mine"
    with pytest.raises(WebserviceException, match="Primary, Secondary"):
        regenerate_key(context, "svc", "tertiary")
    assert first.primary not in repr(context.service("svc"))


def test_a_key_that_the_target_does_not_take_is_not_kept(
    bench: Workbench, context: Context, target: MemoryTarget
) -> None:
    first = get_keys(bench.service("svc", deployment=LocalDeployment(auth_enabled=True)))
    target.failure = INIT_FAILED
    with pytest.raises(DeploymentFailed):
        regenerate_key(context, "svc", "primary")
    assert get_keys(context.service("svc")) == first


def test_what_a_user_did_not_wait_for_is_not_kept(
    bench: Workbench, context: Context, target: MemoryTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that does not answer is waited for, and goes on with its old keys and settings."""
    service = bench.service("svc", deployment=LocalDeployment(auth_enabled=True))

    def wait_too_long(_: MemoryTarget, changed: Service) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(MemoryTarget, "configure", wait_too_long)
    with pytest.raises(KeyboardInterrupt):
        regenerate_key(context, "svc", "primary")
    with pytest.raises(KeyboardInterrupt):
        update(context, "svc", ServiceChange(deployment=LocalDeployment(auth_enabled=False)))
    kept = context.service("svc")
    assert (get_keys(kept), kept.deployment) == (get_keys(service), service.deployment)


def test_up_starts_what_should_run_and_nothing_else(bench: Workbench, context: Context, target: MemoryTarget) -> None:
    for name in ("runs", "fell", "rests"):
        bench.service(name)
    run_service.stop(context, "rests")
    target.observations["fell"] = Observation(state=ServiceState.STOPPED)
    assert run_service.up(context) == {"fell": None}
    assert context.service("rests").desired_state is DesiredState.STOPPED


def test_up_starts_what_failed_without_a_process(bench: Workbench, context: Context, target: MemoryTarget) -> None:
    """A supervisor that found its port taken, say; a script that failed has a process, and would fail again."""
    for name in ("port", "script"):
        bench.service(name)
    target.observations["port"] = Observation(state=ServiceState.FAILED, failure=INIT_FAILED)
    target.observations["script"] = Observation(state=ServiceState.FAILED, failure=INIT_FAILED, active_revision=1)
    assert run_service.up(context) == {"port": None}
    assert observe(context, "port")[1].state is ServiceState.RUNNING


def test_up_goes_on_after_one_that_cannot_be_started(bench: Workbench, context: Context, target: MemoryTarget) -> None:
    for name in ("one", "two"):
        bench.service(name, bench.model(name))
        target.observations[name] = Observation(state=ServiceState.STOPPED)
    damaged = context.bundles / context.service("one").active.bundle_digest / "azureml-models/one/1/model.pkl"
    damaged.chmod(0o600)
    damaged.write_text("weightz")
    started = run_service.up(context)
    assert "azureml-models/one/1/model.pkl" in str(started["one"])
    assert started["two"] is None


def test_one_that_cannot_be_asked_hides_no_other(
    bench: Workbench, context: Context, target: MemoryTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("fell", "asked", "old"):
        bench.service(name)
    target.observations["fell"] = Observation(state=ServiceState.STOPPED)
    target.observations["old"] = replace(target.observations["old"], started_by="0.1")
    observe_others = target.observe

    def refuse_one(service: Service) -> Observation:
        if service.name == "asked":
            raise WebserviceException("The engine refused.")
        return observe_others(service)

    monkeypatch.setattr(target, "observe", refuse_one)
    assert run_service.started_by_others(context) == {"old": "0.1"}
    found = {check.name: check for check in doctor._services(context)}
    assert found["service asked"].verdict is Verdict.PROBLEM
    assert "'asked' of the workspace 'ws' is unknown: The engine refused." in found["service asked"].finding
    assert len(found) == 3
    started = run_service.up(context)
    assert str(started["asked"]) == "The engine refused." and started["fell"] is None


def test_a_name_that_is_a_path_makes_no_file(context: Context, tmp_path: Path) -> None:
    for name in ("../../outside", "a/b"):
        with pytest.raises(WebserviceException, match="WebserviceNotFound"):
            run_service.delete(context, name)
    assert not list(tmp_path.rglob("*.lock"))


def test_tags_are_replaced_and_properties_added(bench: Workbench, context: Context) -> None:
    bench.service()
    update(context, "svc", ServiceChange(tags={"a": "1"}, properties={"p": "1"}))
    service = update(context, "svc", ServiceChange(tags={"b": "2"}, properties={"q": "2"}))
    assert (dict(service.tags), dict(service.properties)) == ({"b": "2"}, {"p": "1", "q": "2"})
    assert [found.name for found in context.registry.services(ServiceFilter(tags=(("b", "2"),)))] == ["svc"]


def test_the_same_model_twice_and_too_many_are_refused(bench: Workbench, context: Context) -> None:
    model = bench.model()
    with pytest.raises(WebserviceException, match="given twice: line:1, line:1"):
        deploy(context, DeployRequest(name="svc", compute_type="Local", revision=bench.revision(model, model)))
    with pytest.raises(WebserviceException, match="no target of compute type 'aks'"):
        deploy(context, DeployRequest(name="svc", compute_type="aks", revision=bench.revision(model)))


def test_a_service_of_this_machine_becomes_one_of_a_cloud_where_it_is(
    bench: Workbench, context: Context, steps: Steps
) -> None:
    bench.service("svc", bench.model(), deployment=Deployment(workers=3, batching=Batching()))
    with pytest.raises(ConflictException, match="ServiceExists"):
        bench.service("svc", bench.model(), compute_type=ComputeType.ACI)
    service = bench.service("svc", bench.model(), compute_type=ComputeType.ACI, primary_key="mine", overwrite=True)
    assert (service.compute_type, service.active_revision, service.port) == ("ACI", 2, 10_000)
    assert (service.deployment.auth_enabled, service.deployment.workers, service.deployment.batching) == (
        False,
        None,
        None,
    )
    assert service.keys is not None and service.keys.primary == "mine"
    said = next(text for text in steps.texts if "The Local service 'svc' becomes one of type ACI" in text)
    assert "What it ran is kept as its revision 1, its settings are not; to keep both, deploy under another" in said
    assert service.revision(1)
    assert any("runs on this machine" in text for text in steps.texts)
    assert bench.service("svc", bench.model(), overwrite=True).deployment == Deployment()


def test_a_container_instance_is_where_the_workspace_is(bench: Workbench, context: Context) -> None:
    def location(deployment: Deployment) -> str | None:
        service = bench.service("svc", deployment=deployment, compute_type=ComputeType.ACI, overwrite=True)
        assert service.deployment.placement is not None
        return service.deployment.placement.location

    assert location(Deployment()) == context.record.location
    assert location(Deployment(placement=Placement(location="eastus"))) == "eastus"


def test_a_syntax_error_names_file_line_and_text(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("def init(): pass\ndef run(data)\n    return data\n")
    with pytest.raises(
        UserErrorException, match=r"(?s)phase 'validate': SyntaxError.*score\.py, line 2.*def run\(data\)"
    ):
        validate_inference("score.py", str(tmp_path))


def test_a_script_for_a_newer_python_is_left_to_that_python(tmp_path: Path) -> None:
    """Such as f"{"a"}", which is right from 3.12 on only."""
    (tmp_path / "score.py").write_text("def init(): pass\ndef run(data)\n    return data\n")

    def asking_for(python: str) -> EnvironmentDefinition:
        conda = CondaSpecification(packages=(python,))
        return EnvironmentDefinition(name="env", python=PythonSection(conda=conda))

    assert validate_inference("score.py", str(tmp_path), environment=asking_for("python=3.99"))
    for python in ("python=3.6.2", "python=3.8"):
        with pytest.raises(UserErrorException):
            validate_inference("score.py", str(tmp_path), environment=asking_for(python))


def test_a_path_that_is_misspelt_names_what_is_there_and_what_was_meant(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "score.py").touch()
    with pytest.raises(WebserviceException, match=r"entry script 'scoer\.py' doesn't exist") as caught:
        validate_inference("scoer.py", str(tmp_path / "source"))
    assert caught.value.hint == f"The folder {tmp_path / 'source'} holds: score.py. Did you mean 'score.py'?"
    with pytest.raises(WebserviceException, match=r"source directory .*sourec' doesn't exist") as caught:
        validate_inference("score.py", str(tmp_path / "sourec"))
    assert caught.value.hint == f"The folder {tmp_path} holds: source. Did you mean 'source'?"
    with pytest.raises(WebserviceException, match="doesn't exist") as caught:
        validate_inference("sourec/score.py", str(tmp_path))
    assert caught.value.hint == f"There is no folder {tmp_path / 'sourec'} either. Did you mean 'source'?"


def test_the_script_must_be_python_and_below_the_source(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "score.py").write_text("")
    (tmp_path / "src" / "score.sh").write_text("")
    with pytest.raises(WebserviceException, match="only Python drivers"):
        validate_inference("score.sh", str(tmp_path / "src"))
    with pytest.raises(WebserviceException, match="not below the source directory"):
        validate_inference("../score.py", str(tmp_path / "src"))
    with pytest.raises(WebserviceException, match=r"source directory .* doesn't exist"):
        validate_inference("score.py", str(tmp_path / "nowhere"))


def test_a_failed_update_keeps_the_old_settings_too(bench: Workbench, context: Context, target: MemoryTarget) -> None:
    bench.service()
    before = context.service("svc")
    target.failure = INIT_FAILED
    with pytest.raises(DeploymentFailed):
        update(
            context,
            "svc",
            ServiceChange(
                revision=bench.revision(),
                deployment=LocalDeployment(auth_enabled=True),
                tags={"a": "1"},
                description="x",
            ),
        )
    after = context.service("svc")
    assert (after.deployment, after.keys, after.tags, after.description) == (before.deployment, None, {}, None)


def test_new_settings_come_with_the_new_revision(bench: Workbench, context: Context) -> None:
    bench.service("svc", bench.model())
    change = ServiceChange(
        revision=bench.revision(bench.model()), deployment=LocalDeployment(auth_enabled=True), primary_key="mine"
    )
    assert get_keys(update(context, "svc", change)).primary == "mine"
    service = context.service("svc")
    assert (service.active_revision, service.model_ids, service.deployment.auth_enabled) == (2, ("line:2",), True)


def test_a_restart_that_fails_goes_back_to_the_old_settings(
    bench: Workbench, context: Context, target: MemoryTarget
) -> None:
    bench.service()
    target.failure = INIT_FAILED
    with pytest.raises(DeploymentFailed, match="runs with its old settings again"):
        update(context, "svc", ServiceChange(deployment=LocalDeployment(host="127.0.0.2")))
    assert context.service("svc").deployment.host is None
    assert observe(context, "svc")[1].state is ServiceState.RUNNING


def test_settings_that_the_script_does_not_suit_are_not_kept(
    bench: Workbench, context: Context, target: MemoryTarget
) -> None:
    bench.service()
    target.failure = INIT_FAILED
    with pytest.raises(DeploymentFailed, match="goes on with its old settings"):
        update(context, "svc", ServiceChange(deployment=LocalDeployment(batching=Batching())))
    assert context.service("svc").deployment.batching is None
    assert observe(context, "svc")[1].state is ServiceState.RUNNING


def test_a_service_that_could_not_start_at_all_is_mended_by_an_update(
    bench: Workbench, context: Context, target: MemoryTarget
) -> None:
    bench.service()
    target.observations["svc"] = Observation(state=ServiceState.FAILED, failure=INIT_FAILED)  # and no process is left
    update(context, "svc", ServiceChange(revision=bench.revision()))
    assert wait_for_deployment(context, "svc").active_revision == 2


def test_limits_are_added_to_those_that_were_set(bench: Workbench, context: Context) -> None:
    bench.service()
    for name in ("max_body_bytes", "queue_wait_ms"):
        update(context, "svc", ServiceChange(deployment=LocalDeployment(limits={name: 5})))
    assert context.service("svc").deployment.limits == {"max_body_bytes": 5, "queue_wait_ms": 5}


def test_what_an_update_does_not_say_stays(bench: Workbench, context: Context) -> None:
    bench.service(
        deployment=LocalDeployment(batching=Batching(max_requests=32), telemetry={"access_log": True}, warm_up=True)
    )
    given = LocalDeployment(batching=Batching(max_wait_ms=2), telemetry={"log_format": "json"}, cors_origins=("*",))
    update(context, "svc", ServiceChange(deployment=given))
    assert context.service("svc").deployment == LocalDeployment(
        batching=Batching(max_requests=32, max_wait_ms=2),
        telemetry={"access_log": True, "log_format": "json"},
        cors_origins=("*",),
        warm_up=True,
    )
    off = LocalDeployment(batching=Batching(enabled=False), cors_origins=(), warm_up=False)
    deployment = update(context, "svc", ServiceChange(deployment=off)).deployment
    assert (deployment.cors_origins, deployment.warm_up) == ((), False)
    assert deployment.batching == Batching(enabled=False, max_requests=32, max_wait_ms=2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (LocalDeployment(limits={"scoring_timeout_ms": 5}, auth_enabled=True, error_mode="json"), None),
        (LocalDeployment(batching=Batching(), warm_up=True, workers=2), None),
        (LocalDeployment(port=4711, host="127.0.0.2"), "a change of port and host needs"),
    ],
)
def test_a_restart_is_announced_with_what_it_is_for(
    bench: Workbench, context: Context, steps: Steps, given: LocalDeployment, said: str | None
) -> None:
    bench.service()
    update(context, "svc", ServiceChange(deployment=given))
    announced = [text for text in steps.texts if "Restarting" in text]
    assert announced == ([] if said is None else [f"Restarting 'svc', as {said}"])


def test_a_stopped_service_takes_new_settings_without_being_started(bench: Workbench, context: Context) -> None:
    bench.service()
    run_service.stop(context, "svc")
    update(context, "svc", ServiceChange(deployment=LocalDeployment(workers=3)))
    assert observe(context, "svc")[1].state is ServiceState.STOPPED
    assert context.service("svc").deployment.workers == 3


@pytest.mark.parametrize("refusal", [StoreException("No space left."), KeyboardInterrupt()])
def test_a_start_that_is_refused_or_interrupted_leaves_no_service(
    bench: Workbench, context: Context, target: MemoryTarget, refusal: BaseException
) -> None:
    target.refusal = refusal
    with pytest.raises(type(refusal)) as caught:
        bench.service("svc")
    assert isinstance(refusal, KeyboardInterrupt) or "phase 'start': No space left." in str(caught.value)
    assert context.registry.services(ServiceFilter()) == []
    assert bundles(context) == set()
    assert bench.service("svc").active_revision == 1


def test_what_a_start_leaves_where_nobody_answers_is_told(
    bench: Workbench, context: Context, target: MemoryTarget, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_gone(service: Service) -> None:
        raise WebserviceException("The engine does not answer.")

    monkeypatch.setattr(target, "delete", is_gone)
    target.refusal = StoreException("No space left.")
    with pytest.raises(StoreException, match="No space left"):
        bench.service("svc")
    assert steps.texts[-2:] == [
        "'svc' could not be removed where it was started: The engine does not answer.",
        "'svc' was in the memory of a program.",
    ]
    assert context.registry.services(ServiceFilter()) == []


def test_an_environment_that_cannot_be_resolved_names_the_phase(
    bench: Workbench, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MemoryEnvironments, "resolve", _contradicting)
    with pytest.raises(ResolutionFailed, match=r"^Deployment failed in phase 'resolve': a contradicts b"):
        bench.service("svc")
    assert context.registry.services(ServiceFilter()) == []


def _contradicting(*_: object, **__: object) -> NoReturn:
    raise ResolutionFailed("a contradicts b")
