"""What a certificate says of itself. Only ``certificate.validity`` imports this module: see there."""

from __future__ import annotations

from cryptography import x509

from modelport_scoring.errors import SettingsInvalid


def validity_of(pem: bytes, *, name: str) -> tuple[float, float]:
    """The Unix times from and to which the first certificate of the text is valid. Raises SettingsInvalid, which says
    ``name``."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise SettingsInvalid(f"tls: {name} holds no certificate that can be read: {error}") from error
    return certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
