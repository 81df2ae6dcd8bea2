"""The certificate of a service: checked before anything is built, and copied into the service's folder."""

from __future__ import annotations

from pathlib import Path

from modelport.domain.errors import StoreException, UserErrorException
from modelport.domain.services import LocalDeployment
from modelport_scoring import SettingsInvalid, TlsSettings
from modelport_scoring.service_folder import write_whole
from modelport_scoring.tls.certificate import load

COPIES = TlsSettings(certificate="tls/certificate.pem", key="tls/key.pem")
"""Where they are in the service's folder."""


def check_certificate(deployment: LocalDeployment) -> None:
    """Raise UserErrorException where the deployment names files that cannot serve together."""
    if not (deployment.ssl_cert_pem_file and deployment.ssl_key_pem_file):
        return
    files = TlsSettings(certificate=deployment.ssl_cert_pem_file, key=deployment.ssl_key_pem_file)
    try:
        load(files, folder=Path())
    except SettingsInvalid as error:
        raise UserErrorException(
            f"Invalid certificate: {str(error).removeprefix('tls: ')}.",
            hint="Give the certificate with its whole chain, and its private key, both as PEM.",
        ) from error


def copy_certificate(deployment: LocalDeployment, folder: Path) -> None:
    """Copy the files that the deployment names, if any, readable by their owner only.

    A server that looks in between finds two files that do not match, and goes on with the old ones until they do.
    Raises UserErrorException where they cannot be used, StoreException where the copies cannot be written.
    """
    check_certificate(deployment)
    sources = (deployment.ssl_key_pem_file, deployment.ssl_cert_pem_file)
    try:
        for source, copy in zip(sources, (COPIES.key, COPIES.certificate), strict=True):
            if source is not None:
                (folder / copy).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_whole(folder / copy, Path(source).read_bytes())
    except OSError as error:
        raise StoreException(f"The certificate cannot be copied into {folder}: {error}.") from error
