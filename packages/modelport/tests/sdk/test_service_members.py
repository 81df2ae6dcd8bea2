"""Members of ``Webservice`` and ``LocalWebservice`` beyond the main job (azureml-v1 reference, 2.6, 2.7, 4.7)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelport import Environment, LocalWebservice, Model, Webservice, Workspace
from modelport.domain.errors import (
    ConflictException,
    ModelPathNotFoundException,
    UserErrorException,
    WebserviceException,
)
from modelport.domain.services import Keys, LocalDeployment, ServiceFilter
from modelport.sdk.dots import Dots
from modelport.sdk.legacy_deployment import LegacyDeployment
from modelport.sdk.v1.model import Model as V1Model
from modelport.sdk.webservice import UnknownWebservice
from modelport.usecases.score_again import PAUSES_S, score_again
from modelport.usecases.update import ServiceChange, update

from .conftest import Deployer

COUNTING = """
import os


def init():
    pass


def run(data):
    with open({counter!r}, "a") as file:
        file.write("x")
    if data == "recover" and os.path.getsize({counter!r}) > 2:
        return "recovered"
    raise ValueError("no")
"""


@pytest.fixture
def counter(tmp_path: Path) -> Path:
    return tmp_path / "executions"


@pytest.fixture
def service(deployer: Deployer) -> Iterator[LocalWebservice]:
    service = deployer.deploy()
    service.wait_for_deployment()
    assert isinstance(service, LocalWebservice)
    yield service


# --- run --------------------------------------------------------------------------------------------------------------


def test_a_failing_script_runs_up_to_four_times_for_a_client_in_the_cloud(deployer: Deployer, counter: Path) -> None:
    service = deployer.deploy(script=COUNTING.format(counter=str(counter)))
    service.wait_for_deployment()
    context, pauses = deployer.workspace.context, list[float]()
    with pytest.raises(WebserviceException, match="Response Code: 502") as raised:
        score_again(context, "svc", "{}", pause=pauses.append)
    assert raised.value.status_code is None
    assert (counter.read_text(), tuple(pauses)) == ("xxxx", PAUSES_S[502])
    counter.unlink()
    with pytest.raises(WebserviceException):
        service.run("{}")
    assert counter.read_text() == "x", "a local service is asked once"
    counter.unlink()
    assert score_again(context, "svc", "recover", pause=pauses.append) == "recovered"
    assert counter.read_text() == "xxx"
    with pytest.raises(WebserviceException, match="Response Code: 413"):
        score_again(context, "svc", b"x" * (101 << 20), pause=pauses.append)
    assert len(pauses) == 5, "what cannot get better is not tried again"


def test_how_long_a_status_is_tried() -> None:
    assert {status: sum(pauses) for status, pauses in PAUSES_S.items()} == {429: 140, 500: 14, 502: 3, 503: 28, 504: 3}
    assert {len(pauses) for pauses in PAUSES_S.values()} == {3}


def test_new_keys_are_fetched_once_where_the_old_ones_are_refused(service: LocalWebservice) -> None:
    context = service.workspace.context
    change = ServiceChange(deployment=LocalDeployment(auth_enabled=True), primary_key="right-key-000000")
    update(context, "svc", change)
    right = context.service("svc")
    context.registry.update_service(dataclasses.replace(right, keys=Keys(primary="wrong-key", secondary="wrong")))
    paused: list[float] = []

    def correct(seconds: float) -> None:
        paused.append(seconds)
        context.registry.update_service(right)

    assert score_again(context, "svc", "[1]", pause=correct)["data"] == [1]
    assert paused == [0.0]
    context.registry.update_service(dataclasses.replace(right, keys=Keys(primary="wrong-key", secondary="wrong")))
    with pytest.raises(WebserviceException, match="Response Code: 401"):
        score_again(context, "svc", "[1]", pause=paused.append)
    assert len(paused) == 2
    context.registry.update_service(right)


def test_a_service_that_does_not_run_says_so_in_the_words_of_v1(service: LocalWebservice) -> None:
    service.stop()
    with pytest.raises(WebserviceException, match=r"scoring_uri unavailable.*\nCurrent State: stopped\nErrors:"):
        service.run("{}")


def test_keys_and_tokens_of_a_service_that_has_none(service: LocalWebservice) -> None:
    for ask in (service.get_keys, service.get_token, lambda: service.regen_key("Primary")):
        for error in (NotImplementedError, WebserviceException):
            with pytest.raises(error, match="is off"):
                ask()


# --- what it shows ----------------------------------------------------------------------------------------------------


def test_everything_that_v1_serialized_is_there(deployer: Deployer) -> None:
    environment = Environment("mine")
    environment.python.user_managed_dependencies = True
    environment.docker.base_image_registry.password = "hidden"
    environment.environment_variables = {"A": "1"}
    deployer.script()
    config = deployer.config()
    config.environment = environment
    service = Model.deploy(deployer.workspace, "svc", [deployer.model()], config)
    service.wait_for_deployment()
    said = json.loads(json.dumps(service.serialize()))
    names = "name description tags properties state createdTime updatedTime createdBy error computeType workspaceName"
    more = "imageId imageDigest imageDetails scoringUri environmentDetails modelDetails authEnabled appInsightsEnabled"
    assert {*names.split(), *more.split(), "containerResourceRequirements"} <= set(said)
    assert (said["environmentDetails"]["name"], said["environmentDetails"]["version"]) == ("mine", "1")
    assert "hidden" not in json.dumps(said)
    assert said["modelDetails"] == [deployer.workspace.models["answer"].serialize()]
    assert service.environment is not None and service.environment.environment_variables == {"A": "1"}
    assert (service.image, service.image_id, service.image_digest) == (None, None, None)


def test_a_service_comes_back_by_its_payload(service: LocalWebservice) -> None:
    again = Webservice.deserialize(service.workspace, service.serialize())
    assert type(again) is LocalWebservice and again.name == "svc"
    with pytest.raises(WebserviceException, match="no name"):
        Webservice.deserialize(service.workspace, {})
    with pytest.raises(NotImplementedError):
        LocalWebservice.deserialize(service.workspace, service.serialize())


def test_a_service_of_another_modelport_is_shown(service: LocalWebservice) -> None:
    registry = service.workspace.registry
    row = service.workspace.context.service("svc")
    registry.create_service(dataclasses.replace(row, name="other", compute_type="Quantum"))
    try:
        other = service.workspace.webservices["other"]
        assert isinstance(other, UnknownWebservice)
        assert (other.state, other.compute_type, other.description) == ("unknown", "Unknown", None)
        with pytest.raises(WebserviceException, match="no target of compute type 'Quantum'"):
            other.run("{}")
    finally:
        registry.delete_service("other")


def test_logs_of_what_is_before_the_script(service: LocalWebservice) -> None:
    assert "init of first" in service.get_logs(num_lines=100, raw=True)
    assert Webservice.get_logs(service, init=True).startswith("There is no init container")


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_the_lines_of_a_deployment(service: LocalWebservice, capsys: pytest.CaptureFixture[str]) -> None:
    loud = LocalWebservice(Workspace.get("ws"), "svc")
    loud.wait_for_deployment(show_output=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Running")
    assert lines[1:] == [
        "Succeeded",
        'Local service creation operation finished, operation "Succeeded"',
        f"Local webservice is running at http://localhost:{service.port}",
    ]


@pytest.mark.parametrize(
    ("raised", "outcome"), [(UserErrorException("wrong"), "Failed"), (WebserviceException("TimedOut: …"), "TimedOut")]
)
def test_the_lines_of_a_deployment_that_ends_badly(
    raised: Exception, outcome: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(type(raised)), Dots(shown=True, operation="ACI service creation operation"):
        raise raised
    said = capsys.readouterr().out
    assert said == f'Running\n{outcome}\nACI service creation operation finished, operation "{outcome}"\n'


def test_a_local_deployment_that_fails_has_the_log(deployer: Deployer) -> None:
    service = deployer.deploy(script="def init():\n    print('here')\n    raise KeyError('x')\ndef run(data): pass\n")
    with pytest.raises(WebserviceException) as raised:
        service.wait_for_deployment()
    assert "KeyError: 'x'" in raised.value.message and "here" in raised.value.message


# --- other ways to deploy ---------------------------------------------------------------------------------------------


def test_the_ways_of_2018(deployer: Deployer, workspace: Workspace) -> None:
    deployer.script()
    model = deployer.model()
    path = Path("model.txt")
    path.write_text("by path")
    config, local = deployer.config(), LocalWebservice.deploy_configuration()
    by_path = Webservice.deploy(workspace, "by-path", [str(path)], config, local)
    by_path.wait_for_deployment()
    assert by_path.run("1")["model"] == "by path"
    assert "model.txt" in workspace.models
    with pytest.raises(ConflictException):
        Webservice.deploy(workspace, "by-path", [str(path)], config, local)
    assert workspace.models["model.txt"].version == 1, "nothing is registered for a name that is taken"
    by_model = Webservice.deploy_local_from_model(workspace, "by-model", [model], config, wait=True)
    assert by_model.state == "running"
    with pytest.raises(ConflictException, match="by-model already exists"):
        Webservice.deploy_from_model(workspace, "by-model", [model], config, local)
    again = Webservice.deploy_from_model(workspace, "by-model", [model], config, local, overwrite=True)
    again.wait_for_deployment()
    assert len(workspace.registry.services(ServiceFilter())) == 2


def test_images_and_their_configurations_are_asked_to_deploy(workspace: Workspace) -> None:
    said: list[str] = []

    class Image:
        """As far as ``deploy_from_image`` looks at one."""

        def wait_for_creation(self, show_output: bool) -> None:
            said.append("waited")

        def deploy_service(self, name: str, config: object, target: object, *, overwrite: bool) -> str:
            said.append(f"deployed {name} {overwrite}")
            return "service"

    class Configuration:
        """As far as ``deploy_from_model`` looks at one."""

        def create_image(self, workspace: Workspace, name: str, models: list[Model]) -> Image:
            said.append(f"created {name}")
            return Image()

    deployed: Callable[..., object] = LegacyDeployment.deploy_from_model
    assert deployed(workspace, "svc", [], Configuration(), overwrite=True) == "service"
    assert said == ["created svc", "waited", "deployed svc True"]


def test_a_local_service_is_replaced_without_being_told_to_under_v1_s_name(
    deployer: Deployer, capsys: pytest.CaptureFixture[str]
) -> None:
    deployer.script()
    model, config, local = deployer.model(), deployer.config(), LocalWebservice.deploy_configuration()
    with_old_name = V1Model.deploy(deployer.workspace, "svc", [model], config, local)
    with_old_name.wait_for_deployment()
    with pytest.raises(ConflictException):
        Model.deploy(deployer.workspace, "svc", [model], config, local)
    deployer.workspace = Workspace.get("ws")  # one that shows its progress
    capsys.readouterr()
    V1Model.deploy(deployer.workspace, "svc", [model], config, local).wait_for_deployment()
    assert Webservice(deployer.workspace, "svc").revision == 2
    said = capsys.readouterr().out
    assert "The service 'svc' of this machine is replaced, although overwrite was not given" in said


def test_labels_are_kept_as_texts_and_one_text_is_one_key(deployer: Deployer, service: LocalWebservice) -> None:
    model = deployer.model()
    for labelled in (service, model):
        labelled.add_tags({"run": 7, "r": "kept", "un": True})  # type: ignore[dict-item]
        labelled.add_properties({"auc": 0.9})  # type: ignore[dict-item]
        labelled.add_properties({"auc": 0.9})  # type: ignore[dict-item]
        assert (labelled.tags["run"], labelled.tags["un"], labelled.properties["auc"]) == ("7", "True", "0.9")
        labelled.remove_tags("run")
        assert {"run", "r", "un"} & labelled.tags.keys() == {"r", "un"}, "not the letters of the one key"
        with pytest.raises(WebserviceException, match=r"tags must be a dictionary; it is \['a'\]"):
            labelled.add_tags(["a"])  # type: ignore[arg-type]
        with pytest.raises(WebserviceException, match="properties must be a dictionary"):
            labelled.add_properties("a")  # type: ignore[arg-type]
    service.update(tags={"n": 1})  # type: ignore[dict-item]
    assert service.tags == {"n": "1"}
    assert [found.name for found in Webservice.list(deployer.workspace, tags=[["n", "1"]])] == ["svc"]


def test_a_model_is_not_registered_from_nothing(workspace: Workspace) -> None:
    with pytest.raises(ModelPathNotFoundException, match="model_path must not be empty"):
        Model.register(workspace, None, "m")  # type: ignore[arg-type]
    with pytest.raises(WebserviceException, match="tags must be a dictionary"):
        Model.register(workspace, "score.py", "m", tags=["a"])  # type: ignore[arg-type]
