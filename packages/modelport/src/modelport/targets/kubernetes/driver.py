"""Running services in a cluster: the plan is applied there, and what becomes of it is read back."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
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
from modelport.targets.kubernetes.plan import KubernetesPlan
from modelport.targets.kubernetes.planning import Place, Planning
from modelport.targets.kubernetes.reaching import Reaching
from modelport.targets.kubernetes.rollout import Rollout
from modelport.targets.kubernetes.settings import ClusterSettings
from modelport.targets.kubernetes.settling import Settling
from modelport.targets.kubernetes.subject import REVISION_LABEL
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
    def _planning(self) -> Planning:
        return Planning(
            self._cluster,
            self._facts,
            folder=self._folder,
            workspace=self._workspace,
            workspace_id=self._workspace_id,
            images=self._images,
            settings=self._settings,
            trust=self._trust,
            data_path=self._data_path,
        )

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
        wanted = self._planning.plan(service, starts=True)
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
        wanted = self._planning.plan(service)
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
        wanted = self._planning.plan(service)
        self._applied(wanted).apply(wanted)

    def split(self, service: Service) -> None:
        """Have the router, or the Gateway, divide the requests so; and all else be as the versions say."""
        self._roll_out(service)

    def configure(self, service: Service) -> None:
        """Apply everything. What only the scoring servers are told needs no other pods: they look at the file.

        Raises WebserviceException where the cluster does not answer: that is no service that does not run, whose next
        start would apply everything."""
        if self._observed(service).has_process:
            self._roll_out(service)

    def _roll_out(self, service: Service, *, only: Sequence[Name] | None = None) -> None:
        """Apply the plan, wait until its pods take requests, and take away what it has no more.

        Raises DeploymentFailed, and then everything is as it was; or the error says what is not.
        """
        wanted = self._planning.plan(service)
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
        place = self._planning.place(service)
        seen, tls = self._rollout(place).observe(service), bool(service.deployment.ssl_enabled)
        return self._reaching.told(seen, self._applied(place), name=place.names.base, tls=tls)

    def logs(self, service: Service, *, lines: int, revision: int | None = None) -> str:
        """Of every container of the revision's pods, those of init containers and of earlier ones among them."""
        place = self._planning.place(service)
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
        self._applied(self._planning.place(service)).delete_all(*_RUNNING)

    def delete(self, service: Service) -> None:
        """Delete every object, and the workspace's namespace with the last service, where nobody else is in it."""
        place = self._planning.place(service)
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

    def _applied(self, place: KubernetesPlan | Place) -> Applied:
        return Applied(self._cluster, self._facts, namespace=place.namespace, selector=place.selector)

    def _rollout(self, place: KubernetesPlan | Place) -> Rollout:
        return Rollout(
            cluster=self._cluster,
            namespace=place.namespace,
            selector=place.selector,
            is_inferring=self._settings.kserve,
        )


_RUNNING = ("InferenceService", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Deployment")


def _names(wanted: KubernetesPlan) -> list[Name]:
    return [name_of(manifest) for manifest in (wanted.owner, *wanted.belongings)]


def _divides(name: Name, wanted: KubernetesPlan) -> bool:
    """Whether the object says who gets which requests."""
    kind, called = name
    return kind == "HTTPRoute" or (kind == "Secret" and called == f"{wanted.name}-router")
