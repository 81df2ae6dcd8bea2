"""Running services in a cluster: the plan is applied there, and what becomes of it is read back."""

from __future__ import annotations

import base64
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from modelport.domain.deployments import Deployment
from modelport.domain.errors import WebserviceException
from modelport.domain.failures import Failure, Phase
from modelport.domain.services import Service, ServiceState
from modelport.targets.interface import NONE_BESIDE, Observation, Target
from modelport.targets.kubernetes.applying import Applied, Name, name_of, not_restored
from modelport.targets.kubernetes.cluster import Cluster, names_of
from modelport.targets.kubernetes.facts import ClusterFacts
from modelport.targets.kubernetes.images import Images
from modelport.targets.kubernetes.leftovers import leftovers
from modelport.targets.kubernetes.logs import log_of
from modelport.targets.kubernetes.names import Names
from modelport.targets.kubernetes.plan import KubernetesPlan, plan
from modelport.targets.kubernetes.reaching import Reaching
from modelport.targets.kubernetes.rollout import Rollout
from modelport.targets.kubernetes.settings import Certificate, ClusterSettings
from modelport.targets.kubernetes.settling import Settling
from modelport.targets.kubernetes.subject import REVISION_LABEL, ROUTER, SERVICE_LABEL, WORKSPACE_ID_LABEL, Subject
from modelport.targets.serving.certificates import COPIES, check_certificate, copy_certificate
from modelport.targets.serving.service import Trust
from modelport.targets.serving.settings import check_deployment, shown_settings


class KubernetesTarget:
    """Services of one workspace in the cluster that a context of the kubeconfig names."""

    def __init__(
        self,
        context: str,
        folder: Path,
        *,
        workspace: str,
        workspace_id: str,
        images: Images,
        settings: ClusterSettings | None = None,
        trust: Trust | None = None,
        data_path: str = "",
    ) -> None:
        """``folder``: where certificates are kept until the cluster has them, below a folder for each service;
        ``data_path``: the workspace's part of a volume for collected model data."""
        self._context = context
        self._folder = folder
        self._workspace = workspace
        self._workspace_id = workspace_id
        self._images = images
        self._settings = settings or ClusterSettings()
        self._trust = trust
        self._data_path = data_path

    @cached_property
    def _cluster(self) -> Cluster:
        return Cluster.of_context(self._context)

    @cached_property
    def _facts(self) -> ClusterFacts:
        return ClusterFacts(served=self._cluster.served, version=self._cluster.version)

    @cached_property
    def _reaching(self) -> Reaching:
        return Reaching(cluster=self._cluster, facts=self._facts, settings=self._settings)

    # --- before it is there -------------------------------------------------------------------------------------------

    def check(self, name: str, deployment: Deployment) -> None:
        """Raise WebserviceException where the cluster does not answer; UserErrorException for settings that no scoring
        server would take, or a certificate that cannot be used."""
        check_deployment(deployment)
        check_certificate(deployment)
        self._images.check(name)
        _ = self._facts

    def keep_certificate(self, name: str, deployment: Deployment) -> None:
        """Copy it into the service's folder, from where it goes into a Secret with the next change."""
        copy_certificate(deployment, self._folder / name)

    def certificate(self, service: Service) -> Path | None:
        """The copy; None also where the cluster's own issuer makes it, or it was deployed from another machine."""
        copy = self._folder / service.name / COPIES.certificate
        return copy if service.deployment.ssl_enabled and copy.is_file() else None

    # --- what runs ----------------------------------------------------------------------------------------------------

    def start(self, service: Service, bundle: Path, *, beside: Mapping[int, Path] = NONE_BESIDE) -> Observation:
        """Apply everything; pods are not waited for."""
        wanted = self._plan(service, starts=True)
        applied = self._applied(wanted)
        applied.apply(wanted)
        applied.prune(_names(wanted))
        return self.observe(service)

    def switch(self, service: Service, number: int, bundle: Path, *, replacing: int | None = None) -> None:
        """Have the pods replaced one after the other: each new one takes requests before an old one goes. Where a new
        one does not come up, all is put back as it was."""
        self._roll_out(service)

    def host(self, service: Service, number: int, bundle: Path) -> None:
        """Add the pods of the version; who gets which requests stays as it is."""
        wanted = self._plan(service)
        self._roll_out(service, only=[name for name in _names(wanted) if not _divides(name, wanted)])

    def promote(self, service: Service, number: int) -> None:
        """Have the router give what no other version gets to that one."""
        self._roll_out(replace(service, active_revision=number))

    def release(self, service: Service, number: int) -> None:
        """Have the router forget it, then delete its pods, which finish what they hold."""
        kept = tuple(version for version in service.versions if version.revision != number)
        self._roll_out(replace(service, versions=kept))

    def scale(self, service: Service, number: int) -> None:
        """Pods that are added are not waited for."""
        wanted = self._plan(service)
        self._applied(wanted).apply(wanted)

    def split(self, service: Service) -> None:
        """Have the router, or the Gateway, divide the requests so; and all else be as the versions say."""
        self._roll_out(service)

    def configure(self, service: Service) -> None:
        """Apply everything. What only the scoring servers are told needs no other pods: they look at the file."""
        if self.observe(service).has_process:
            self._roll_out(service)

    def _roll_out(self, service: Service, *, only: Sequence[Name] | None = None) -> None:
        """Apply the plan, wait until its pods take requests, and take away what it has no more.

        Raises DeploymentFailed, and then everything is as it was; or the error says what is not.
        """
        wanted = self._plan(service)
        applied = self._applied(wanted)
        applied.check(wanted)
        rollout = self._rollout(wanted)
        before, pods, since = applied.objects(), names_of(rollout.pods()), time.monotonic()
        names = _names(wanted)
        held_back = [] if only is None else [name for name in names if name not in only]
        try:
            applied.apply(wanted, but=held_back)
            rollout.wait(self._awaited(wanted), before=before)
            self._reaching.wait(applied, name=wanted.name)
            settling = Settling(cluster=self._cluster, rollout=rollout, pods=pods, since=since)
            settling.wait(before, applied.objects("Secret"))
        except BaseException as error:  # also where somebody presses Ctrl-C: the half of two plans is nobody's
            failed = applied.restore(before)
            if failed:
                raise not_restored(failed, after=error) from error.__cause__
            raise
        applied.prune(names)

    def _awaited(self, wanted: KubernetesPlan) -> dict[str, int | None]:
        """The Deployments of the plan, or its InferenceService, and whose they are."""
        found: dict[str, int | None] = {name: number for number, name in wanted.deployments.items()}
        for kind, name in _names(wanted):
            if kind == "Deployment":
                found.setdefault(name, None)
        return found

    # --- how it is ----------------------------------------------------------------------------------------------------

    def observe(self, service: Service) -> Observation:
        """By the objects that the cluster has. ``UNKNOWN``, with the reason, where the cluster does not answer."""
        try:
            return self._observed(service)
        except WebserviceException as error:
            failure = Failure(phase=Phase.START, message=error.message, hint=error.hint)
            return Observation(state=ServiceState.UNKNOWN, failure=failure)

    def _observed(self, service: Service) -> Observation:
        place = self._place(service)
        seen, tls = self._rollout(place).observe(service), bool(service.deployment.ssl_enabled)
        return self._reaching.told(seen, self._applied(place), name=place.names.base, tls=tls)

    def logs(self, service: Service, *, lines: int, revision: int | None = None) -> str:
        """Of every container of the revision's pods, those of init containers and of earlier ones among them."""
        place = self._place(service)
        wanted = str(revision or service.active_revision)
        pods = [pod for pod in self._rollout(place).pods() if pod["metadata"]["labels"].get(REVISION_LABEL) == wanted]
        return log_of(self._cluster, place.namespace, pods, lines=lines)

    def settings(self, service: Service) -> dict[str, Any]:
        """By the names of docs/settings.md; workers are those of one pod."""
        return shown_settings(service.deployment)

    def restarting_changes(self, before: Service, after: Service) -> tuple[str, ...]:
        """None: whatever needs other pods gets them one after the other."""
        return ()

    def briefly(self) -> AbstractContextManager[Target]:
        """Raises WebserviceException: nothing in a cluster ends with this process."""
        raise WebserviceException(
            "A cluster runs nothing just for a moment.", hint="Deploy a service, score with it, and delete it."
        )

    # --- its end ------------------------------------------------------------------------------------------------------

    def stop(self, service: Service) -> None:
        """Delete what runs; the Service keeps its address, and the Secrets stay. Nothing happens where nothing runs."""
        self._applied(self._place(service)).delete_all(*_RUNNING)

    def delete(self, service: Service) -> None:
        """Delete every object, and the workspace's namespace with the last service, where nobody else is in it."""
        place = self._place(service)
        applied = self._applied(place)
        applied.delete_all()
        if self._settings.cert_issuer:  # cert-manager leaves what it has made, which has no labels of ours
            self._cluster.delete("v1/Secret", place.names.tls_secret, namespace=place.namespace)
        applied.delete_empty_namespace()
        shutil.rmtree(self._folder / service.name, ignore_errors=True)

    def forget(self, service: Service) -> tuple[str, ...]:
        """The certificate's copies go. What the cluster has, its labels find."""
        shutil.rmtree(self._folder / service.name, ignore_errors=True)
        return leftovers(
            service.name,
            context=self._context,
            workspace=self._workspace,
            workspace_id=self._workspace_id,
            namespace=service.deployment.place.namespace or self._settings.namespace,
        )

    # --- parts --------------------------------------------------------------------------------------------------------

    def _plan(self, service: Service, *, starts: bool = False) -> KubernetesPlan:
        hosted = {version.revision for version in service.versions} or {service.active_revision}
        return plan(
            service,
            workspace=self._workspace,
            workspace_id=self._workspace_id,
            images={number: self._images.image(service, number, starts=starts) for number in sorted(hosted)},
            cluster=self._facts,
            settings=self._settings_for(service),
            trust=self._trust,
            data_path=self._data_path,
            certificate_files=self._certificate(service),
        )

    def _settings_for(self, service: Service) -> ClusterSettings:
        """The target's. A router that runs keeps its image, whichever version is the default one: pods that end while a
        version goes would still send requests to it."""
        if not service.versions or self._settings.router_image is not None:
            return self._settings
        place = self._place(service)
        running = self._cluster.get("apps/v1/Deployment", place.names.base, namespace=place.namespace)
        containers = [] if running is None else running["spec"]["template"]["spec"]["containers"]
        image = next((each["image"] for each in containers if each["name"] == ROUTER), None)
        return replace(self._settings, router_image=image)

    def _certificate(self, service: Service) -> Certificate | None:
        """The files that were kept here; on another machine, those that the cluster has. What cert-manager has made is
        its own to renew."""
        if not service.deployment.ssl_enabled:
            return None
        folder = self._folder / service.name
        if (folder / COPIES.certificate).is_file():
            return Certificate(
                certificate=(folder / COPIES.certificate).read_bytes(), key=(folder / COPIES.key).read_bytes()
            )
        place = self._place(service)
        secret = self._cluster.get("v1/Secret", place.names.tls_secret, namespace=place.namespace)
        is_ours = secret is not None and place.selector.items() <= secret["metadata"].get("labels", {}).items()
        return None if secret is None or (self._settings.cert_issuer and not is_ours) else _certificate_in(secret)

    def _place(self, service: Service) -> _Place:
        subject = Subject(
            service=service,
            workspace=self._workspace,
            workspace_id=self._workspace_id,
            images={},
            cluster=self._facts,
            settings=self._settings,
        )
        selector = {WORKSPACE_ID_LABEL: self._workspace_id, SERVICE_LABEL: service.name}
        return _Place(namespace=subject.names.namespace, selector=selector, names=subject.names)

    def _applied(self, place: KubernetesPlan | _Place) -> Applied:
        return Applied(self._cluster, self._facts, namespace=place.namespace, selector=place.selector)

    def _rollout(self, place: KubernetesPlan | _Place) -> Rollout:
        return Rollout(
            cluster=self._cluster,
            namespace=place.namespace,
            selector=place.selector,
            is_inferring=self._settings.kserve,
        )


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where the objects of a service are."""

    namespace: str
    selector: Mapping[str, str]
    names: Names


def _certificate_in(secret: Mapping[str, Any]) -> Certificate:
    files = {name: base64.b64decode(text) for name, text in secret["data"].items()}
    return Certificate(certificate=files["tls.crt"], key=files["tls.key"])


_RUNNING = ("InferenceService", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Deployment")


def _names(wanted: KubernetesPlan) -> list[Name]:
    return [name_of(manifest) for manifest in (wanted.owner, *wanted.belongings)]


def _divides(name: Name, wanted: KubernetesPlan) -> bool:
    """Whether the object says who gets which requests."""
    kind, called = name
    return kind == "HTTPRoute" or (kind == "Secret" and called == f"{wanted.name}-router")
