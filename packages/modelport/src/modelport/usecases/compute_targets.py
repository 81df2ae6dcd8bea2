"""Make, find, change and remove compute targets: rows of the workspace, and the certificate of a cluster's services."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelport.domain.compute import KIND, Compute, ComputeTls, check_compute_name, without_secrets
from modelport.domain.deployments import ComputeType, Deployment, Placement
from modelport.domain.errors import ComputeTargetException, StoreException
from modelport.domain.services import Service, ServiceFilter
from modelport.targets.kubernetes.settings import Expose
from modelport.usecases.cluster_settings import cluster_settings
from modelport.usecases.context import Context
from modelport.usecases.register_model import current_user
from modelport.usecases.update import ServiceChange, update

_CERTIFICATE, _KEY = "certificate.pem", "key.pem"


@dataclass(frozen=True, kw_only=True)
class TlsRequest:
    """What a cluster's services are to show: the texts of a certificate and its key, or the label of the vendor's."""

    status: str | None = None
    """None: ``Enabled`` with a certificate, ``Auto`` with a label."""
    certificate: str | None = None
    key: str | None = field(default=None, repr=False)
    cname: str | None = None
    leaf_domain_label: str | None = None
    overwrite_existing_domain: bool | None = None


def find_compute(context: Context, name: str) -> Compute:
    """The target. Raises ComputeTargetException (``ComputeTargetNotFound``)."""
    asset = context.registry.asset(KIND, name)
    if asset is None:
        known = ", ".join(repr(compute.name) for compute in list_compute(context))
        raise ComputeTargetException(
            f"ComputeTargetNotFound: Compute Target with name {name} not found in provided workspace "
            f"{context.record.name!r}.",
            hint=f"It has: {known}." if known else "It has no compute targets: ComputeTarget.create(…) makes one.",
        )
    return Compute.from_asset(asset)


def list_compute(context: Context) -> list[Compute]:
    """All targets of the workspace, by name."""
    return [Compute.from_asset(asset) for asset in context.registry.assets(KIND)]


def keep_compute(
    context: Context,
    name: str,
    type: str,
    settings: Mapping[str, Any],
    *,
    is_attached: bool,
    tls: TlsRequest | None = None,
    tags: Mapping[str, str] | None = None,
    description: str | None = None,
) -> Compute:
    """Make the target, or give the one of that name and type these settings.

    Raises ComputeTargetException for a wrong name, a name that a target of another type has, or a certificate that
    cannot be used.
    """
    check_compute_name(name, type)
    present = context.registry.asset(KIND, name)
    if present is not None and present.body["type"] != type:
        raise ComputeTargetException(
            f"The compute target {name!r} exists, and is of type {present.body['type']}, not {type}.",
            hint="Choose another name, or delete it first: ComputeTarget(workspace, name).delete().",
        )
    compute = Compute(
        name=name,
        type=type,
        is_attached=is_attached,
        settings=without_secrets(settings),
        tls=_keep_tls(context, name, tls, settings) if tls is not None else _issued_tls(context, settings),
        tags=dict(tags or {}),
        description=description,
    )
    if present is None:
        context.registry.add_asset(KIND, name, compute.to_body(), created_by=current_user(), unique=True)
    else:
        context.registry.replace_asset(KIND, name, present.version, compute.to_body())
    return compute


def change_compute(context: Context, name: str, **changes: Any) -> Compute:
    """Replace fields of the target. Raises ComputeTargetException where there is none."""
    compute = replace(find_compute(context, name), **changes)
    asset = context.registry.asset(KIND, name)
    assert asset is not None
    context.registry.replace_asset(KIND, name, asset.version, compute.to_body())
    return compute


def change_tls(context: Context, name: str, request: TlsRequest) -> Compute:
    """Have the cluster's services show another certificate, which they take over without a restart, or none.

    Raises ComputeTargetException for a certificate that cannot be used; what an update of a service raises.
    """
    settings = find_compute(context, name).settings
    compute = change_compute(context, name, tls=_keep_tls(context, name, request, settings))
    for service in services_of(context, name):
        update(context, service.name, ServiceChange(deployment=tls_deployment(context, compute)))
    return compute


def tls_deployment(context: Context, compute: Compute) -> Deployment:
    """What the cluster says of its services' certificates."""
    if compute.tls.status != "Enabled":
        return Deployment(ssl_enabled=False)
    folder = _folder(context, compute.name)
    if _is_issued(compute.settings) and not (folder / _CERTIFICATE).is_file():
        return Deployment(ssl_enabled=True, ssl_cname=compute.tls.cname)
    return Deployment(
        ssl_enabled=True,
        ssl_cert_pem_file=str(folder / _CERTIFICATE),
        ssl_key_pem_file=str(folder / _KEY),
        ssl_cname=compute.tls.cname,
    )


def services_of(context: Context, name: str) -> list[Service]:
    """The services that were deployed to the target."""
    kinds = (ComputeType.AKS, ComputeType.AKS_ENDPOINT)
    found = [service for kind in kinds for service in context.registry.services(ServiceFilter(compute_type=kind))]
    return [service for service in found if (service.deployment.placement or Placement()).compute_name == name]


def delete_compute(context: Context, name: str) -> None:
    """Delete the target; nothing happens where there is none. Raises ComputeTargetException, which lists them, while
    services are deployed to it."""
    names = [repr(service.name) for service in services_of(context, name)]
    if names:
        are, them = ("web service is", "it") if len(names) == 1 else ("web services are", "them")
        raise ComputeTargetException(
            f"The compute target {name!r} is in use: {len(names)} {are} deployed to it: {', '.join(names)}.",
            hint=f"Delete {them} first: Webservice(workspace, name).delete(). Or detach the target: its services go on "
            "then.",
        )
    _forget(context, name)


def detach_compute(context: Context, name: str) -> None:
    """Forget the target, of which its owner has the rest; nothing happens where there is none. Its services go on, and
    are named: TLS was changed by detaching a cluster and attaching it again (azureml-v1 reference, 2.11)."""
    for service in services_of(context, name):
        _settle(context, service, name)
        context.progress.step(
            f"The service {service.name!r} was deployed to {name!r} and goes on: delete it where it is not needed any "
            "more"
        )
    _forget(context, name)


def _settle(context: Context, service: Service, name: str) -> None:
    """Have the service know by itself what it knew from its cluster: in which namespace it is."""
    namespace = find_compute(context, name).settings.get("namespace")
    place = service.deployment.place
    if namespace and place.context and not place.namespace:
        settled = replace(service.deployment, placement=replace(place, namespace=namespace))
        context.registry.update_service(replace(service, deployment=settled))


def _forget(context: Context, name: str) -> None:
    context.registry.delete_asset(KIND, name)
    shutil.rmtree(_folder(context, name), ignore_errors=True)


def _issued_tls(context: Context, settings: Mapping[str, Any]) -> ComputeTls:
    """What an issuer of cert-manager alone says: services have certificates of that for the host name."""
    if not settings.get("cert_issuer"):
        return ComputeTls()
    host = settings.get("host")
    if _is_issued(settings) and host and not _is_address(host):
        return ComputeTls(status="Enabled", cname=host)
    context.progress.step(
        "cert_issuer has no effect: it makes certificates of services in a cluster, for the name that host or "
        "ssl_cname gives, where neither a Gateway nor KServe is before them"
    )
    return ComputeTls()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_issued(settings: Mapping[str, Any]) -> bool:
    """Whether cert-manager makes the certificates of services that have none of their own."""
    if not (settings.get("cert_issuer") and settings.get("context")):
        return False
    asked = cluster_settings(settings)
    return asked.expose is not Expose.GATEWAY and not asked.kserve


def _keep_tls(context: Context, name: str, request: TlsRequest, settings: Mapping[str, Any]) -> ComputeTls:
    status = request.status or (
        "Enabled" if request.certificate else "Auto" if request.leaf_domain_label else "Disabled"
    )
    if status == "Auto":
        context.progress.step(
            f"leaf_domain_label {request.leaf_domain_label!r} is kept and shown: nobody issues a certificate for it "
            f"here, and the services of {name!r} speak plain HTTP. Give a certificate of your own to have HTTPS"
        )
    has_files = bool(request.certificate or request.key) or (_folder(context, name) / _CERTIFICATE).is_file()
    if status == "Enabled" and (has_files or not request.cname or not _is_issued(settings)):
        if not (request.certificate and request.key and request.cname):
            raise ComputeTargetException(
                "TLS needs a certificate, its key and the host name in it.",
                hint="Give ssl_cert_pem_file, ssl_key_pem_file and ssl_cname (cert, key and cname, as texts).",
            )
        _write(_folder(context, name), {_CERTIFICATE: request.certificate, _KEY: request.key})
    return ComputeTls(
        status=status,
        cname=request.cname,
        leaf_domain_label=request.leaf_domain_label,
        overwrite_existing_domain=request.overwrite_existing_domain,
    )


def _folder(context: Context, name: str) -> Path:
    return context.folder / "compute" / name


def _write(folder: Path, files: Mapping[str, str]) -> None:
    """Readable by their owner only, each whole or not at all."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in files.items():
            descriptor, aside = tempfile.mkstemp(dir=folder)
            with contextlib.ExitStack() as undo:
                undo.callback(Path(aside).unlink, missing_ok=True)
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                Path(aside).replace(folder / name)
    except OSError as error:
        raise StoreException(f"The certificate cannot be kept in {folder}: {error}.") from error
