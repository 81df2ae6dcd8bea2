"""What holds for every plan: rules of the API server that no schema has, and what an owner of a cluster looks for."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from modelport.domain.deployments import Autoscale, Deployment, Placement, Probe, Resources
from modelport.domain.errors import UserErrorException
from modelport.targets.kubernetes.plan import KubernetesPlan
from modelport.targets.kubernetes.settings import ClusterSettings, Expose, Fetch
from modelport_scoring.fetch.settings import FetchSettings, check_digests
from modelport_scoring.router.settings import decode_router_settings
from modelport_scoring.service_folder import decode_settings

from .services import CERTIFICATE, CLUSTERS, DEPLOYMENTS, FETCH, NEWEST, OLDEST, endpoint, planned, revision, service

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")

Manifest = Mapping[str, Any]


def every_plan() -> Iterator[KubernetesPlan]:
    for settings in CLUSTERS.values():
        for deployment in (*DEPLOYMENTS.values(), Deployment(ssl_enabled=True, ssl_cname="models.example.org")):
            for one in (service(deployment=deployment), endpoint(deployment=deployment)):
                yield planned(one, settings=settings, certificate=CERTIFICATE)
    for fetch in (FETCH, Fetch(bundle=FETCH.bundle)):
        yield planned(service(), fetch=fetch, version=OLDEST)


PLANS = tuple(every_plan())


def of_kind(plan: KubernetesPlan, kind: str) -> list[Any]:
    return [manifest for manifest in plan.objects if manifest["kind"] == kind]


def one_of(plan: KubernetesPlan, kind: str) -> Any:
    (found,) = of_kind(plan, kind)
    return found


def pods(plan: KubernetesPlan) -> list[Any]:
    return [deployment["spec"]["template"] for deployment in of_kind(plan, "Deployment")]


def containers(pod: Manifest) -> list[Any]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def settings_of(plan: KubernetesPlan, secret: str = "diabetes-r1", file: str = "service.json") -> Any:
    (found,) = [one for one in of_kind(plan, "Secret") if one["metadata"]["name"] == secret]
    return json.loads(base64.b64decode(found["data"][file]))


# --- what the API server checks beside the schema ---------------------------------------------------------------------


def test_names_are_labels_and_no_two_objects_are_one() -> None:
    for plan in PLANS:
        names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in plan.objects]
        assert len(set(names)) == len(names)
        assert all(DNS_LABEL.fullmatch(name) for _, name in names)


def test_labels_can_be_labels() -> None:
    for plan in PLANS:
        for manifest in plan.objects:
            for value in manifest["metadata"]["labels"].values():
                assert LABEL_VALUE.fullmatch(value)
                assert len(value) <= 63


def test_selectors_find_their_own_pods_and_no_others() -> None:
    for plan in PLANS:
        deployments = of_kind(plan, "Deployment")
        for deployment in deployments:
            selector = deployment["spec"]["selector"]["matchLabels"].items()
            found = [
                other["metadata"]["name"]
                for other in deployments
                if selector <= other["spec"]["template"]["metadata"]["labels"].items()
            ]
            assert found == [deployment["metadata"]["name"]]


def test_services_find_pods_and_a_port_of_theirs() -> None:
    for plan in PLANS:
        for found in of_kind(plan, "Service"):
            behind = [
                pod for pod in pods(plan) if found["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
            ]
            assert len(behind) == 1
            (port,) = found["spec"]["ports"]
            (open_port,) = behind[0]["spec"]["containers"][0]["ports"]
            assert port["targetPort"] == open_port["name"]


def test_everything_that_is_named_is_there() -> None:
    for plan in PLANS:
        secrets = {one["metadata"]["name"] for one in of_kind(plan, "Secret") + of_kind(plan, "Certificate")}
        claims = {one["metadata"]["name"] for one in of_kind(plan, "PersistentVolumeClaim")}
        accounts = {one["metadata"]["name"] for one in of_kind(plan, "ServiceAccount")}
        for pod in pods(plan):
            assert pod["spec"]["serviceAccountName"] in accounts
            volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
            for container in containers(pod):
                assert {mount["name"] for mount in container["volumeMounts"]} <= set(volumes)
                assert len({mount["mountPath"] for mount in container["volumeMounts"]}) == len(
                    container["volumeMounts"]
                )
            for volume in volumes.values():
                if "secret" in volume and not volume["secret"]["secretName"].startswith("models-settings"):
                    assert volume["secret"]["secretName"] in secrets
                if "persistentVolumeClaim" in volume:
                    assert volume["persistentVolumeClaim"]["claimName"] in claims


def test_autoscalers_and_budgets_are_of_deployments_that_are_there() -> None:
    for plan in PLANS:
        names = {deployment["metadata"]["name"]: deployment for deployment in of_kind(plan, "Deployment")}
        for scaler in of_kind(plan, "HorizontalPodAutoscaler"):
            deployment = names[scaler["spec"]["scaleTargetRef"]["name"]]
            assert "replicas" not in deployment["spec"]
            assert scaler["spec"]["minReplicas"] <= scaler["spec"]["maxReplicas"]
            assert deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"]
        selectors = [deployment["spec"]["selector"] for deployment in names.values()]
        for budget in of_kind(plan, "PodDisruptionBudget"):
            assert budget["spec"]["selector"] in selectors


# --- what an owner of a cluster looks for -----------------------------------------------------------------------------


def test_pods_are_restricted() -> None:
    """By the rules of Kubernetes' restricted standard, which the namespace enforces."""
    for plan in PLANS:
        for pod in pods(plan):
            assert pod["spec"]["automountServiceAccountToken"] is False
            assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert pod["spec"]["securityContext"]["runAsUser"] == 10001
            for container in containers(pod):
                assert container["securityContext"] == {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "runAsNonRoot": True,
                    "capabilities": {"drop": ["ALL"]},
                }
            kinds = {kind for volume in pod["spec"]["volumes"] for kind in volume if kind != "name"}
            assert kinds <= {"secret", "emptyDir", "persistentVolumeClaim"}


def test_updates_never_take_a_pod_away_before_another_is_ready() -> None:
    for plan in PLANS:
        for deployment in of_kind(plan, "Deployment"):
            assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
            for container in deployment["spec"]["template"]["spec"]["containers"]:
                assert {"startupProbe", "readinessProbe", "livenessProbe", "lifecycle"} <= set(container)
                assert container["livenessProbe"]["successThreshold"] == 1


def test_no_secret_is_anywhere_but_in_secrets() -> None:
    for plan in PLANS:
        text = json.dumps([manifest for manifest in plan.objects if manifest["kind"] != "Secret"])
        for secret in ("primary", "secondary", "signature=secret", "PRIVATE", "hello"):
            assert secret not in text


def test_keys_are_there_as_digests_only() -> None:
    text = json.dumps(settings_of(planned(service())))
    assert "primary" not in text
    assert settings_of(planned(service()))["auth"]["enabled"]


def test_every_object_is_labelled_for_whoever_looks_for_it() -> None:
    for plan in PLANS:
        for manifest in (plan.owner, *plan.belongings):
            assert plan.selector.items() <= manifest["metadata"]["labels"].items()
        for pod in pods(plan):
            assert plan.selector.items() <= pod["metadata"]["labels"].items()


def test_everything_but_namespace_and_claims_is_owned() -> None:
    for plan in PLANS:
        owned = plan.owned("uid-1")
        for manifest in owned:
            (reference,) = manifest["metadata"]["ownerReferences"]
            assert reference == {"apiVersion": "v1", "kind": "ConfigMap", "name": plan.name, "uid": "uid-1"}
            assert manifest["metadata"]["namespace"] == plan.owner["metadata"]["namespace"]
        assert all("ownerReferences" not in manifest["metadata"] for manifest in plan.belongings)
        rest = {manifest["kind"] for manifest in plan.objects} - {manifest["kind"] for manifest in owned}
        assert rest <= {"Namespace", "PersistentVolumeClaim", "ConfigMap"}


def test_the_same_service_gives_the_same_manifests() -> None:
    assert planned(endpoint()).objects == planned(endpoint()).objects


def test_settings_that_need_no_restart_change_no_pod() -> None:
    """Another key, another timeout, another share: a running server takes them over from its Secret."""
    before, after = service(), service(deployment=Deployment(limits={"scoring_timeout_ms": 1}, auth_enabled=False))
    assert pods(planned(before)) == pods(planned(after))
    assert settings_of(planned(before)) != settings_of(planned(after))
    assert pods(planned(endpoint())) == pods(planned(endpoint(shares={"blue": 0, "green": 50})))


def test_settings_that_need_a_restart_change_the_pods() -> None:
    before = service()
    for after in (
        service(deployment=Deployment(server_processes=2)),
        service(revisions=(revision(environment_variables={"GREETING": "bye"}),)),
    ):
        assert pods(planned(before)) != pods(planned(after))


# --- what a deployment asks for ---------------------------------------------------------------------------------------


def test_resources() -> None:
    asked = Resources(cpu=0.1, cpu_limit=1.5, memory_gb=0.5, memory_gb_limit=2)
    plan = planned(service(deployment=Deployment(resources=asked, gpu_cores=1)))
    (pod,) = pods(plan)
    assert pod["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "100m", "memory": "512Mi"},
        "limits": {"cpu": "1500m", "memory": "2Gi", "nvidia.com/gpu": "1"},
    }
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod["spec"]["tolerations"]


def test_probes_count_whole_seconds_and_successes_count_for_readiness() -> None:
    asked = Probe(period_s=0.4, initial_delay_s=0, timeout_s=2.5, success_threshold=3, failure_threshold=7)
    (pod,) = pods(planned(service(deployment=Deployment(probe=asked))))
    container = pod["spec"]["containers"][0]
    assert container["readinessProbe"]["successThreshold"] == 3
    liveness = container["livenessProbe"]
    assert (liveness["periodSeconds"], liveness["timeoutSeconds"], liveness["failureThreshold"]) == (1, 3, 7)
    assert liveness["initialDelaySeconds"] == 0
    assert liveness["httpGet"] == {"path": "/api/v1/service/diabetes/", "port": "http", "scheme": "HTTP"}


def test_no_roll_back_is_offered_to_a_revision_whose_settings_are_gone() -> None:
    (deployment,) = of_kind(planned(service()), "Deployment")
    assert deployment["spec"]["revisionHistoryLimit"] == 0


def test_a_pod_has_time_to_finish_what_it_holds() -> None:
    plan = planned(service(deployment=Deployment(limits={"drain_timeout_s": 120})))
    (pod,) = pods(plan)
    supervisor_s = 5 + 120 + 5
    assert pod["spec"]["terminationGracePeriodSeconds"] == 5 + supervisor_s + 5, "it ends them before the kubelet does"
    (old,) = pods(planned(service(), version=OLDEST))
    assert old["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][0].startswith("/opt/modelport")


def test_a_replica_is_a_pod() -> None:
    plan = planned(service(deployment=Deployment(replicas=3, workers=2)))
    (deployment,) = of_kind(plan, "Deployment")
    assert deployment["spec"]["replicas"] == 3
    assert settings_of(plan)["workers"] == 2
    assert not of_kind(plan, "HorizontalPodAutoscaler")
    assert of_kind(plan, "PodDisruptionBudget")


def test_a_single_replica_has_no_disruption_budget() -> None:
    plan = planned(service(deployment=Deployment(replicas=1)))
    assert not of_kind(plan, "PodDisruptionBudget")


def test_autoscaling() -> None:
    scale = Autoscale(enabled=True, min_replicas=2, max_replicas=5, target_utilization=50, refresh_s=30)
    plan = planned(service(deployment=Deployment(autoscale=scale)))
    spec = one_of(plan, "HorizontalPodAutoscaler")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 5)
    assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 50
    assert spec["behavior"]["scaleUp"]["policies"][0]["periodSeconds"] == 30
    assert "autoscale" not in settings_of(plan)


def test_what_the_server_is_told() -> None:
    told = settings_of(planned(service()))
    assert told["path_prefix"] == "/api/v1/service/diabetes"
    assert (told["host"], told["port"], told["front_end"]) == ("0.0.0.0", 5001, "aks")
    assert told["revision"]["interpreter"] == ["/opt/modelport/environment/bin/python"]
    assert told["revision"]["app_root"] == "/var/azureml-app"
    assert told["revision"]["environment_variables"]["GREETING"] == "hello"
    assert told["ends_with_script"]


def test_the_servers_take_what_they_are_told() -> None:
    """By their own readers: of a scoring server, of a router, and of what fetches."""
    for plan in PLANS:
        for secret in of_kind(plan, "Secret"):
            for file, read in READERS.items():
                if file in secret["data"]:
                    read(base64.b64decode(secret["data"][file]), path=Path(file))


def test_a_router_waits_for_the_slowest_version() -> None:
    plan = planned(endpoint(deployment=Deployment(limits={"scoring_timeout_ms": 600_000, "max_body_bytes": 1000})))
    limits = settings_of(plan, "diabetes-router", "router.json")["limits"]
    assert (limits["scoring_timeout_ms"], limits["max_body_bytes"]) == (600_000, 1000)


def decode_fetch_settings(content: bytes, *, path: Path) -> None:
    check_digests(msgspec.json.decode(content, type=FetchSettings), path=path)


READERS: dict[str, Callable[..., object]] = {
    "service.json": decode_settings,
    "fetch.json": decode_fetch_settings,
    "router.json": decode_router_settings,
}


def test_collected_model_data_goes_into_a_claim_that_outlives_the_service() -> None:
    plan = planned(service(deployment=Deployment(collects_model_data=True)))
    told = settings_of(plan)["revision"]["environment_variables"]
    assert told["AML_MODEL_DC_STORAGE_ENABLED"] == "true"
    (pod,) = pods(plan)
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["spec"]["containers"][0]["volumeMounts"]}
    assert told["AZUREML_MODEL_DATA_DIR"] == mounts["modeldata"]
    assert told["AZUREML_MODEL_DATA_WORKSPACE"] == "main"
    (claim,) = plan.lasting
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert claim not in plan.belongings


def test_the_stock_image_fetches_what_it_serves() -> None:
    plan = planned(service(), fetch=FETCH)
    (pod,) = pods(plan)
    (init,) = pod["spec"]["initContainers"]
    assert init["image"] == pod["spec"]["containers"][0]["image"]
    assert init["envFrom"] == [{"secretRef": {"name": "store"}}]
    fetched = settings_of(plan, file="fetch.json")
    assert fetched["bundle"]["digest"] == "b" * 64
    told = settings_of(plan)
    assert told["revision"]["bundle"] == fetched["bundle"]["to"]
    assert told["revision"]["interpreter"][0].startswith(fetched["environment"]["to"])
    written = {mount["mountPath"] for mount in init["volumeMounts"] if not mount.get("readOnly")}
    assert any(fetched["bundle"]["to"].startswith(path) for path in written)
    read = {mount["mountPath"] for mount in pod["spec"]["containers"][0]["volumeMounts"] if mount.get("readOnly")}
    assert written - {"/tmp"} <= read


# --- how it is reached ------------------------------------------------------------------------------------------------


def test_an_endpoint_has_a_router_unless_a_gateway_divides_its_requests() -> None:
    plan = planned(endpoint(shares={"blue": 0, "green": 20.5}))
    told = settings_of(plan, "diabetes-router", "router.json")
    assert told["traffic"]["weights"] == {"2": 20.5}
    assert [upstream["revision"] for upstream in told["upstreams"]] == [1, 2]
    services = {one["metadata"]["name"] for one in of_kind(plan, "Service")}
    for upstream in told["upstreams"]:
        assert upstream["url"].removeprefix("http://").split(".")[0] in services

    gated = planned(endpoint(shares={"blue": 0, "green": 20.5}), settings=CLUSTERS["gateway"])
    assert len(of_kind(gated, "Deployment")) == 2
    rules = one_of(gated, "HTTPRoute")["spec"]["rules"]
    assert [backend["weight"] for backend in rules[-1]["backendRefs"]] == [7950, 2050]
    assert rules[0]["matches"][0]["headers"][0]["value"] == "1"


def test_versions_behind_a_router_take_requests_from_it_alone() -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in of_kind(planned(endpoint()), "NetworkPolicy")}
    (rule,) = policies["diabetes-versions"]["ingress"]
    assert rule["from"] == [
        {"podSelector": {"matchLabels": policies["diabetes-entrance"]["podSelector"]["matchLabels"]}}
    ]


def test_inside_the_cluster_only_named_namespaces_reach_a_service() -> None:
    (policy,) = of_kind(planned(service(), expose=Expose.CLUSTER_IP, callers=("web",)), "NetworkPolicy")
    (rule,) = policy["spec"]["ingress"]
    assert rule["from"][0] == {"podSelector": {}}
    assert rule["from"][1]["namespaceSelector"]["matchExpressions"][0]["values"] == ["web"]


def test_who_is_named_does_not_close_a_load_balancer() -> None:
    (policy,) = of_kind(planned(service(), callers=("web",)), "NetworkPolicy")
    assert "from" not in policy["spec"]["ingress"][0]


def test_scripts_do_not_reach_the_metadata_service() -> None:
    (policy,) = of_kind(planned(service()), "NetworkPolicy")
    blocks = [to["ipBlock"] for to in policy["spec"]["egress"][0]["to"] if "ipBlock" in to]
    assert blocks[0] == {"cidr": "0.0.0.0/0", "except": ["169.254.169.254/32"]}
    (open_policy,) = of_kind(planned(service(), reaches_metadata_service=True), "NetworkPolicy")
    assert open_policy["spec"]["egress"] == [{}]


def test_who_shows_the_certificate() -> None:
    tls = service(deployment=Deployment(ssl_enabled=True, ssl_cname="models.example.org"))
    own = planned(tls, certificate=CERTIFICATE)
    assert settings_of(own)["tls"]["certificate"] == "/var/modelport/tls/tls.crt"
    assert one_of(own, "Service")["spec"]["ports"][0]["port"] == 443
    (pod,) = pods(own)
    assert pod["spec"]["containers"][0]["livenessProbe"]["httpGet"]["scheme"] == "HTTPS"

    at_ingress = planned(tls, certificate=CERTIFICATE, settings=CLUSTERS["ingress"])
    assert "tls" not in settings_of(at_ingress)
    assert one_of(at_ingress, "Ingress")["spec"]["tls"] == [
        {"hosts": ["models.example.org"], "secretName": "diabetes-tls"}
    ]


@pytest.mark.parametrize("ingress_class", [None, "public", "nginx"])
def test_nginx_knows_the_limits_of_the_service_whatever_its_class_is_called(ingress_class: str | None) -> None:
    """The default class of a cluster has no name here: bodies over 1 MB would be refused."""
    limited = service(deployment=Deployment(limits={"max_body_bytes": 5_000_000, "scoring_timeout_ms": 30_000}))
    annotations = one_of(planned(limited, expose=Expose.INGRESS, ingress_class=ingress_class), "Ingress")["metadata"][
        "annotations"
    ]
    assert annotations["nginx.ingress.kubernetes.io/proxy-body-size"] == "5m"
    assert int(annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"]) >= 35


def test_cert_manager_is_asked_by_an_annotation_or_an_object() -> None:
    tls = service(deployment=Deployment(ssl_enabled=True, ssl_cname="models.example.org"))
    annotated = planned(tls, expose=Expose.INGRESS, cert_issuer="letsencrypt")
    annotations = one_of(annotated, "Ingress")["metadata"]["annotations"]
    assert annotations["cert-manager.io/cluster-issuer"] == "letsencrypt"
    assert "diabetes-tls" not in {one["metadata"]["name"] for one in of_kind(annotated, "Secret")}

    spec = one_of(planned(tls, cert_issuer="Issuer/own"), "Certificate")["spec"]
    assert spec == {
        "secretName": "diabetes-tls",
        "dnsNames": ["models.example.org"],
        "issuerRef": {"kind": "Issuer", "name": "own"},
    }


def test_what_cannot_be_says_what_to_do() -> None:
    tls = service(deployment=Deployment(ssl_enabled=True))
    with pytest.raises(UserErrorException, match="no certificate") as caught:
        planned(tls)
    assert "ssl_cert_pem_file" in caught.value.hint
    with pytest.raises(UserErrorException, match="HTTPRoute") as caught:
        planned(service(), settings=CLUSTERS["gateway"], optional=frozenset())
    assert "Gateway API" in caught.value.hint
    with pytest.raises(UserErrorException, match="names none"):
        planned(service(), expose=Expose.GATEWAY)


# --- several workspaces, one cluster ----------------------------------------------------------------------------------


def test_workspaces_of_one_name_do_not_meet() -> None:
    one, other = planned(service(), workspace_id="1"), planned(service(), workspace_id="2")
    assert one.namespace != other.namespace


@pytest.mark.parametrize(
    "settings", [ClusterSettings(namespace="science"), ClusterSettings()], ids=["of the cluster", "of the service"]
)
def test_workspaces_in_one_namespace_do_not_meet(settings: ClusterSettings) -> None:
    given = service(deployment=Deployment(placement=Placement(namespace="science")))
    one, other = (planned(given, workspace_id=id, settings=settings) for id in ("1", "2"))
    assert one.namespace == other.namespace == "science"
    assert one.namespace_object is None
    names, others = ({(each["kind"], each["metadata"]["name"]) for each in plan.objects} for plan in (one, other))
    assert not names & others
    (deployment,), pods_of_other = of_kind(one, "Deployment"), pods(other)
    selector = deployment["spec"]["selector"]["matchLabels"].items()
    assert not any(selector <= pod["metadata"]["labels"].items() for pod in pods_of_other)


def test_a_namespace_refuses_pods_that_are_not_restricted() -> None:
    plan = planned(service(), version=NEWEST)
    assert plan.namespace_object is not None
    assert plan.namespace_object["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_scripts_collect_where_the_claim_is_mounted() -> None:
    plan = planned(service(deployment=Deployment(collects_model_data=True)))
    told = settings_of(plan)["revision"]["environment_variables"]
    deployment = next(each for each in plan.objects if each["kind"] == "Deployment")
    mounts = [each for container in _pod(deployment)["containers"] for each in container["volumeMounts"]]
    assert told["AZUREML_MODEL_DATA_DIR"] in [each["mountPath"] for each in mounts if each["name"] == "modeldata"]
    assert told["AML_MODEL_DC_STORAGE_ENABLED"] == "true"
    assert "AZUREML_MODEL_DATA_DIR" not in settings_of(planned(service()))["revision"]["environment_variables"]


def _pod(deployment: Any) -> Any:
    return deployment["spec"]["template"]["spec"]
