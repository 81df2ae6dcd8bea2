"""Values with every field filled."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

from modelport.domain.deployments import Autoscale, Batching, Deployment, Placement, Probe, Resources, RunsOn
from modelport.domain.endpoints import EndpointVersion, VersionType
from modelport.domain.environments import CondaSpecification, DockerSection, EnvironmentDefinition, PythonSection
from modelport.domain.failures import Failure, Phase
from modelport.domain.models import ModelDraft, ModelFile, ResourceConfiguration
from modelport.domain.services import DesiredState, InferenceConfiguration, Keys, Revision, Service
from modelport.domain.tokens import SigningKey
from modelport.domain.workspaces import WorkspaceRecord

NOW = dt.datetime(2021, 3, 4, 5, 6, 7, 89, tzinfo=dt.UTC)


def digest(letter: str) -> str:
    return letter * 64


def record(name: str) -> WorkspaceRecord:
    return WorkspaceRecord(
        name=name,
        id="0b0c7e5a-0000-4000-8000-000000000001",
        created_time=NOW,
        subscription_id="s",
        resource_group="g",
        location="here",
        friendly_name="Frau Müller's",
        description="d",
        sku="enterprise",
        tags={"z": "1", "a": "2"},
        aci="container",
    )


def draft(name: str = "ridge", **changes: Any) -> ModelDraft:
    whole = ModelDraft(
        name=name,
        files=(ModelFile("m/a.pkl", 2**40, digest("a")), ModelFile("m/b.sh", 0, digest("b"), True)),
        is_folder=True,
        description="ünïcode 🚲",
        tags={"z": "1", "area": "health"},
        properties={"mse": "0.1"},
        framework="ScikitLearn",
        framework_version="1.5",
        resource_configuration=ResourceConfiguration(cpu=0.5, memory_in_gb=1.5, gpu=1),
        sample_input="[1]",
        sample_output="[2]",
        run_id="run",
        experiment_name="exp",
        created_by="me",
    )
    return dataclasses.replace(whole, **changes)


def definition(name: str = "sklearn", **changes: Any) -> EnvironmentDefinition:
    conda = CondaSpecification(
        name="c", channels=("conda-forge",), packages=("python=3.8",), pip=("numpy", "# why"), source="/env.yml"
    )
    whole = EnvironmentDefinition(
        name=name,
        environment_variables={"B": "1", "A": "2"},
        python=PythonSection(user_managed_dependencies=True, interpreter_path="/usr/bin/python", conda=conda),
        docker=DockerSection(
            enabled=True,
            base_image="i",
            base_dockerfile="FROM i",
            base_image_registry={"a": None},
            shm_size=None,
            arguments=("-x",),
        ),
        inferencing_stack_version="latest",
    )
    return dataclasses.replace(whole, **changes)


def revision(number: int, *model_ids: str) -> Revision:
    return Revision(
        number=number,
        bundle_digest=digest("c"),
        model_ids=model_ids,
        inference=InferenceConfiguration(
            entry_script="score.py",
            source_directory="/src",
            description="d",
            generated_for="ScikitLearn",
            batches=True,
            companions={"data.json": "/src/data.json"},
        ),
        environment_name="sklearn",
        environment_version="2",
        lock_digest=digest("d"),
        interpreter=("/usr/bin/python", "-X", "utf8"),
        keeps_python_path=True,
        environment_variables={"Z": "1", "A": "2"},
        created_time=NOW,
        image_id="image:3",
    )


def version(name: str, number: int) -> EndpointVersion:
    return EndpointVersion(
        name=name,
        revision=number,
        deployment=Deployment(replicas=2, limits={"queue_wait_ms": 5}),
        traffic_percentile=12.5,
        version_type=VersionType.CONTROL,
        description="d",
        tags={"z": "1", "a": "2"},
        properties={"p": "q"},
        created_time=NOW,
        updated_time=NOW,
    )


def service(name: str = "diabetes", *revisions: Revision, **changes: Any) -> Service:
    whole = Service(
        name=name,
        compute_type="LOCAL",
        deployment=Deployment(
            port=8890,
            host="127.0.0.1",
            auth_enabled=True,
            token_auth_enabled=True,
            ssl_enabled=True,
            ssl_cert_pem_file="/certificate.pem",
            ssl_key_pem_file="/key.pem",
            ssl_cname="models.example.org",
            workers=2,
            error_mode="2021",
            limits={"scoring_timeout_ms": 1.5},
            replicas=3,
            autoscale=Autoscale(enabled=False, min_replicas=2, max_replicas=5, refresh_s=1.5, target_utilization=150.0),
            requests_per_replica=4,
            resources=Resources(cpu=0.1, cpu_limit=1.5, memory_gb=0.5, memory_gb_limit=2.5),
            gpu_cores=1,
            probe=Probe(period_s=1.5, initial_delay_s=310.5, timeout_s=2.5, success_threshold=2, failure_threshold=3),
            placement=Placement(
                runs_on=RunsOn.CONTAINER,
                engine="unix:///run/docker.sock",
                context="c",
                compute_name="aks",
                namespace="n",
                location="eastus",
                dns_name_label="d",
                vnet_name="v",
                subnet_name="s",
                cmk_vault_base_url="u",
                cmk_key_name="k",
                cmk_key_version="1",
            ),
            batching=Batching(enabled=False, max_requests=32, max_wait_ms=1.5),
            warm_up=True,
            worker_start="fork",
            server_processes=2,
            cors_origins=("https://a.example", "*"),
            telemetry={"access_log": True, "sampling_ratio": 0.5, "log_format": "json", "otlp_endpoint": None},
            app_insights_enabled=True,
            collects_model_data=True,
        ),
        desired_state=DesiredState.STOPPED,
        revisions=revisions or (revision(1),),
        active_revision=(revisions or (revision(1),))[-1].number,
        versions=(version("blue", revisions[-1].number if revisions else 1),),
        created_time=NOW,
        updated_time=NOW + dt.timedelta(days=1),
        last_number=7,
        port=8891,
        keys=Keys(primary="p", secondary="s"),
        description="d",
        tags={"z": "1", "area": "health"},
        properties={"p": "q"},
        created_by="me",
        failure=Failure(phase=Phase.INIT, message="m", traceback="t", hint="h", log="l"),
    )
    return dataclasses.replace(whole, **changes)


def signing_key(id: str = "first", **changes: Any) -> SigningKey:
    whole = SigningKey(id=id, private_key="p", x="x", y="y", created_time=NOW, accepted_until=None)
    return dataclasses.replace(whole, **changes)


def fields_left_at_default(value: Any) -> list[str]:
    """The names of the fields, also of values within, that a sample forgot to fill."""
    forgotten: list[str] = []
    for field in dataclasses.fields(value):
        held = getattr(value, field.name)
        factory = field.default_factory
        default = factory() if factory is not dataclasses.MISSING else field.default
        if held == default:
            forgotten.append(f"{type(value).__name__}.{field.name}")
        elif dataclasses.is_dataclass(held):
            forgotten += fields_left_at_default(held)
    return forgotten
