"""Certificates that cert-manager makes are its own to renew, and go with the service."""

from __future__ import annotations

import base64
from pathlib import Path

from modelport.domain.deployments import Deployment

from .api_server import ApiServer, target
from .services import CERTIFICATE, planned, service

TLS = service(deployment=Deployment(ssl_enabled=True, ssl_cname="models.example.org"))
NAMESPACE = planned(service()).namespace
DATA = {
    "tls.crt": base64.b64encode(CERTIFICATE.certificate).decode(),
    "tls.key": base64.b64encode(CERTIFICATE.key).decode(),
}


def test_what_an_issuer_has_made_is_not_taken_for_a_certificate_of_ours(api: ApiServer, tmp_path: Path) -> None:
    """The next change would make a Secret of ours of it, which nobody renews, and take the Certificate away."""
    cluster = target(tmp_path, cert_issuer="letsencrypt")
    cluster.start(TLS, tmp_path)
    api.put("secrets", "diabetes-tls", namespace=NAMESPACE, type="kubernetes.io/tls", data=DATA)
    cluster.start(TLS, tmp_path)
    assert api.names("certificates") == ["diabetes-tls"]
    assert "labels" not in api.objects["secrets", NAMESPACE, "diabetes-tls"]["metadata"]
    cluster.delete(TLS)
    assert "diabetes-tls" not in api.names("secrets")
    assert api.names("namespaces") == []


def test_what_another_machine_has_put_there_is_read_back(api: ApiServer, tmp_path: Path) -> None:
    ours = planned(TLS, certificate=CERTIFICATE).selector
    api.put("secrets", "diabetes-tls", namespace=NAMESPACE, metadata={"labels": ours}, data=DATA)
    target(tmp_path, cert_issuer="letsencrypt").start(TLS, tmp_path)
    assert api.names("certificates") == []
    assert api.objects["secrets", NAMESPACE, "diabetes-tls"]["data"] == DATA
