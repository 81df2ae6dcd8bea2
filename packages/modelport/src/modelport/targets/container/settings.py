"""What a server in a container is told: the content of its ``service.json``, and the files beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from modelport.domain.services import Service
from modelport.packages.plan import APP_ROOT, PACKAGE, PORT, USER
from modelport.targets.container.archives import File
from modelport.targets.container.plan import CERTIFICATE, KEY
from modelport.targets.serving.model_data import ModelData
from modelport.targets.serving.service import Trust, service_settings
from modelport_scoring import RevisionSettings, ServiceSettings, TlsSettings

_TLS = TlsSettings(certificate=CERTIFICATE, key=KEY)


def container_settings(
    service: Service,
    number: int,
    *,
    workspace: str,
    of_image: RevisionSettings,
    trust: Trust | None,
    model_data: ModelData | None = None,
) -> ServiceSettings:
    """The settings of the server of that revision. ``of_image``: what the image itself says of its revision, as the
    interpreter of the script. Raises UserErrorException for a setting that no scoring server would take."""
    alone = replace(service, active_revision=number, versions=())
    told = service_settings(
        alone, workspace=workspace, bundles={number: Path(PACKAGE)}, trust=trust, model_data=model_data
    )
    revision = msgspec.structs.replace(
        told.revision,
        interpreter=of_image.interpreter,
        keeps_python_path=of_image.keeps_python_path,
        app_root=APP_ROOT,
    )
    return msgspec.structs.replace(
        told,
        revision=revision,
        host="0.0.0.0",  # noqa: S104 - of the container; what is published says who reaches it
        port=PORT,
        tls=None if told.tls is None else _TLS,
        ends_with_script=True,
    )


def encoded(settings: ServiceSettings) -> bytes:
    """The file's content: always the same for the same settings."""
    return (json.dumps(msgspec.to_builtins(settings, str_keys=True), indent=1, sort_keys=True) + "\n").encode()


def own_files(settings: bytes, certificate: tuple[bytes, bytes] | None) -> Iterator[File]:
    """What lies in a server's own volume when it starts. It reads its settings and cannot change them."""
    yield File("settings", mode=0o750, group=USER)
    yield settings_file(settings)
    if certificate is not None:
        yield from certificate_files(*certificate)
    yield File("run", mode=0o700, user=USER, group=USER)


def settings_file(settings: bytes) -> File:
    return File("settings/service.json", settings, mode=0o440, group=USER)


def certificate_files(certificate: bytes, key: bytes) -> Iterator[File]:
    """The certificate with its chain, and its key."""
    yield File("settings/tls", mode=0o750, group=USER)
    yield File("settings/tls/key.pem", key, mode=0o440, group=USER)
    yield File("settings/tls/certificate.pem", certificate, mode=0o440, group=USER)


def model_data_files() -> Iterator[File]:
    """What lies in the volume of what scripts collect."""
    yield File("modeldata", mode=0o777, user=USER, group=USER)


def shared_files() -> Iterator[File]:
    """What lies in the volume that all servers of the service have."""
    yield File("handover", mode=0o700, user=USER, group=USER)
