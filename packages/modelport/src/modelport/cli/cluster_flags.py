"""What a cluster is like and where images come from, as options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from modelport.domain.errors import UserErrorException
from modelport.targets.kubernetes.facts import ClusterFacts
from modelport.targets.kubernetes.settings import (
    ENVIRONMENT_PYTHON,
    Archive,
    BundleArchive,
    Certificate,
    Expose,
    Fetch,
    ServingImage,
)

_CLUSTER, _IMAGE = "Cluster", "Image"
_OLDEST = (1, 20)
_INSTALLED = frozenset(("HTTPRoute", "Certificate", "InferenceService"))
"""Printed where they are asked for: no cluster is asked whether it has them."""


def _option(*names: str, help: str, panel: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help, metavar=metavar, case_sensitive=False, rich_help_panel=panel)


@dataclass(frozen=True, kw_only=True)
class ImageFlags:
    """The images of the pods."""

    image: Annotated[
        list[str],
        _option(
            "--image",
            metavar="[VERSION=]REFERENCE",
            help="Image of the service, with its digest; of an endpoint, of each version. Repeatable.",
            panel=_IMAGE,
        ),
    ]
    python: Annotated[
        str | None,
        _option("--python", help="The script's Python in it; that of Modelport's images without.", panel=_IMAGE),
    ] = None
    bundle_url: Annotated[
        str | None,
        _option(
            "--bundle-url",
            help="The image is a stock serving image: an init container fetches the bundle's archive from here.",
            panel=_IMAGE,
        ),
    ] = None
    bundle_digest: Annotated[
        str | None,
        _option("--bundle-digest", help="The bundle's digest, by which what is fetched is verified.", panel=_IMAGE),
    ] = None
    bundle_sha256: Annotated[
        str | None, _option("--bundle-sha256", help="The archive's own SHA-256, if it is to be checked.", panel=_IMAGE)
    ] = None
    environment_url: Annotated[
        str | None, _option("--environment-url", help="The archive of the script's environment.", panel=_IMAGE)
    ] = None
    environment_sha256: Annotated[str | None, _option("--environment-sha256", help="Its digest.", panel=_IMAGE)] = None
    store_secret: Annotated[
        str | None,
        _option(
            "--store-secret",
            help="A Secret of the namespace whose keys are variables for fetching: credentials of the object store.",
            panel=_IMAGE,
        ),
    ] = None

    def images(self) -> dict[str | None, ServingImage]:
        """By the versions that they are for; None: by no name. Raises UserErrorException."""
        return dict(self._images(self._fetch()))

    def _images(self, fetch: Fetch | None) -> Iterator[tuple[str | None, ServingImage]]:
        python = ENVIRONMENT_PYTHON if self.python is None else self.python
        for given in self.image:
            version, separator, reference = given.rpartition("=")
            yield (
                (version if separator else None),
                ServingImage(reference=reference, fetch=fetch, interpreter=(python,)),
            )

    def _fetch(self) -> Fetch | None:
        if self.bundle_url is None:
            return None
        sha256, environment = self.bundle_sha256, None
        bundle = BundleArchive(
            url=self.bundle_url,
            digest=_digest(self.bundle_digest, flag="--bundle-digest"),
            sha256=None if sha256 is None else _digest(sha256, flag="--bundle-sha256"),
        )
        if self.environment_url is not None:
            digest = _digest(self.environment_sha256, flag="--environment-sha256")
            environment = Archive(url=self.environment_url, sha256=digest)
        return Fetch(bundle=bundle, environment=environment, credentials_secret=self.store_secret)


def _digest(given: str | None, *, flag: str) -> str:
    if given is None or not re.fullmatch(r"[0-9a-f]{64}", given):
        raise UserErrorException(
            f"{flag} must be a SHA-256 digest, 64 hexadecimal digits, not {given!r}.",
            hint="What a pod fetches has to be what was meant: without a digest nobody knows.",
        )
    return given


@dataclass(frozen=True, kw_only=True)
class ClusterFlags:
    """The cluster, and how services are reached there."""

    kubernetes_version: Annotated[
        str, _option("--kubernetes-version", help="Version of the cluster, 1.20 or newer.", panel=_CLUSTER)
    ] = "1.27"
    compute_target: Annotated[
        str | None,
        _option("--compute-target", "--ct", help="The attached cluster whose settings these override.", panel=_CLUSTER),
    ] = None
    expose: Annotated[
        Expose | None, _option("--expose", help="How the service is reached; LoadBalancer without.", panel=_CLUSTER)
    ] = None
    ingress_host: Annotated[
        str | None,
        _option("--ingress-host", help="Host name at the Ingress controller or the Gateway.", panel=_CLUSTER),
    ] = None
    ingress_class: Annotated[
        str | None,
        _option("--ingress-class", help="Class of the Ingress; the cluster's default without.", panel=_CLUSTER),
    ] = None
    gateway: Annotated[
        str | None,
        _option("--gateway", metavar="NAMESPACE/NAME", help="The Gateway that routes attach to.", panel=_CLUSTER),
    ] = None
    caller: Annotated[
        list[str] | None,
        _option(
            "--caller",
            metavar="NAMESPACE",
            help="Only pods of this namespace, and the service's own, may send requests. Repeatable.",
            panel=_CLUSTER,
        ),
    ] = None
    cert_issuer: Annotated[
        str | None,
        _option(
            "--cert-issuer",
            help="Speak TLS with a certificate of cert-manager: a ClusterIssuer, or Issuer/NAME.",
            panel=_CLUSTER,
        ),
    ] = None
    certificate: Annotated[
        Path | None,
        _option(
            "--certificate", metavar="FILE", help="Speak TLS with this certificate and its chain, PEM.", panel=_CLUSTER
        ),
    ] = None
    certificate_key: Annotated[
        Path | None, _option("--certificate-key", metavar="FILE", help="Its private key, PEM.", panel=_CLUSTER)
    ] = None
    image_pull_secret: Annotated[
        list[str] | None,
        _option("--image-pull-secret", metavar="NAME", help="A Secret for the registry. Repeatable.", panel=_CLUSTER),
    ] = None
    settings_secret: Annotated[
        str | None,
        _option(
            "--settings-secret",
            metavar="NAME",
            help="A Secret that is kept elsewhere, with service.json in it: the pods take it, and none is made.",
            panel=_CLUSTER,
        ),
    ] = None
    kserve: Annotated[
        bool, _option("--kserve", help="An InferenceService of KServe, which scales to zero.", panel=_CLUSTER)
    ] = False
    storage_class: Annotated[
        str | None, _option("--storage-class", help="Of the claim for collected model data.", panel=_CLUSTER)
    ] = None

    @property
    def speaks_tls(self) -> bool:
        return self.cert_issuer is not None or self.certificate is not None

    def facts(self) -> ClusterFacts:
        """What a cluster of that version serves, with all that settings can ask for. Raises UserErrorException."""
        found = re.fullmatch(r"v?(\d+)\.(\d+)(\..*)?", self.kubernetes_version)
        version = (int(found[1]), int(found[2])) if found else (0, 0)
        if version < _OLDEST:
            raise UserErrorException(
                f"Invalid --kubernetes-version {self.kubernetes_version!r}: it must be 1.20 or newer, such as 1.30."
            )
        return ClusterFacts.assumed(version, optional=_INSTALLED)

    def given(self) -> dict[str, Any]:
        """By the names of ``ClusterSettings``; only what was given."""
        found = {
            "expose": self.expose,
            "host": self.ingress_host,
            "ingress_class": self.ingress_class,
            "gateway": self.gateway,
            "callers": tuple(self.caller or ()),
            "cert_issuer": self.cert_issuer,
            "image_pull_secrets": tuple(self.image_pull_secret or ()),
            "settings_secret": self.settings_secret,
            "storage_class": self.storage_class,
            "kserve": self.kserve,
        }
        return {name: value for name, value in found.items() if value}

    def certificate_files(self) -> Certificate | None:
        """The certificate and its key. Raises UserErrorException where one of them is missing or cannot be read."""
        if self.certificate is None and self.certificate_key is None:
            return None
        if self.certificate is None or self.certificate_key is None:
            raise UserErrorException("--certificate and --certificate-key belong together.")
        try:
            return Certificate(certificate=self.certificate.read_bytes(), key=self.certificate_key.read_bytes())
        except OSError as error:
            raise UserErrorException(f"The certificate cannot be read: {error}.") from error
