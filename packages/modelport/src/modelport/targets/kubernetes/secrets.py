"""What pods are told and nobody else: Secrets. And the ConfigMap that owns everything of a service."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from modelport.domain.errors import UserErrorException
from modelport.targets.kubernetes.scoring import FETCH_FILE, SETTINGS_FILE, document, fetch_settings, unit_settings
from modelport.targets.kubernetes.settings import Certificate, Expose
from modelport.targets.kubernetes.subject import Manifest, Subject, Unit
from modelport.targets.serving.service import Trust

DESCRIPTION = "modelport.json"


def owner(subject: Subject) -> Manifest:
    """Says what runs here, nothing secret. Every other object of the service belongs to it and goes with it."""
    service = subject.service
    told = {
        "service": service.name,
        "workspace": subject.workspace,
        "computeType": service.compute_type,
        "activeRevision": service.active_revision,
        "revisions": [_described(unit) for unit in subject.units],
    }
    return subject.manifest("ConfigMap", subject.names.base, data={DESCRIPTION: document(told).decode()})


def _described(unit: Unit) -> dict[str, Any]:
    version = unit.version
    return {
        "number": unit.revision.number,
        **_given(
            bundle=unit.revision.bundle_digest,
            models=list(unit.revision.model_ids),
            environment=unit.revision.environment_name,
        ),
        "image": unit.image.reference,
        "deployment": unit.name,
        **({} if version is None else {"version": version.name, "trafficPercentile": version.traffic_percentile}),
    }


def _given(**told: object) -> dict[str, object]:
    return {name: value for name, value in told.items() if value}


def settings_secrets(subject: Subject, *, trust: Trust | None) -> Iterator[Manifest]:
    """One for each revision that runs: digests of keys, the script's variables, signed addresses of archives."""
    if subject.settings.settings_secret is not None:
        return
    for unit in subject.units:
        told = {SETTINGS_FILE: document(unit_settings(subject, unit, trust=trust))}
        if unit.image.fetch is not None:
            told[FETCH_FILE] = document(fetch_settings(unit))
        yield secret(subject, unit.settings_secret, told, labels=subject.unit_labels(unit))


def certificate(subject: Subject, given: Certificate | None) -> Iterator[Manifest]:
    """The Secret with the service's certificate, or whom cert-manager is to ask for one.

    Raises UserErrorException where TLS is asked for and there is neither.
    """
    if not subject.deployment.ssl_enabled or subject.settings.kserve or subject.settings.expose is Expose.GATEWAY:
        return
    if given is not None:
        files = {"tls.crt": given.certificate, "tls.key": given.key}
        yield secret(subject, subject.names.tls_secret, files, type="kubernetes.io/tls")
    elif subject.settings.cert_issuer is None:
        raise UserErrorException(
            f"The service {subject.service.name!r} is to speak TLS, and there is no certificate for it.",
            hint="Give ssl_cert_pem_file and ssl_key_pem_file, or name an issuer of cert-manager (cert_issuer).",
        )
    elif subject.settings.expose is not Expose.INGRESS:  # of an Ingress, an annotation says it
        yield _requested(subject, subject.settings.cert_issuer)


def _requested(subject: Subject, issuer: str) -> Manifest:
    host = subject.deployment.ssl_cname or subject.settings.host
    if host is None:
        raise UserErrorException(
            "cert-manager makes certificates for host names, and there is none.", hint="Give ssl_cname."
        )
    kind, _, name = issuer.rpartition("/")
    return subject.manifest(
        "Certificate",
        subject.names.tls_secret,
        spec={
            "secretName": subject.names.tls_secret,
            "dnsNames": [host],
            "issuerRef": {"kind": kind or "ClusterIssuer", "name": name},
        },
    )


def secret(
    subject: Subject,
    name: str,
    files: Mapping[str, bytes],
    *,
    type: str = "Opaque",
    labels: Mapping[str, str] | None = None,
) -> Manifest:
    """A Secret with these files. (``stringData`` would be easier to read, but server-side apply loses track of it.)"""
    data = {name: base64.b64encode(content).decode("ascii") for name, content in sorted(files.items())}
    return subject.manifest("Secret", name, labels=labels, type=type, data=data)
