"""What a gate says of a request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Granted:
    """It may pass, and so may every other one with the same credential until then."""

    until: float | None = None
    """Unix time at which the permission ends; None: never, as long as the settings are the same."""


@dataclass(frozen=True, slots=True)
class Denied:
    """It may not. Nothing in here repeats the credential."""

    status: int
    """401: no credential, or none that is valid. 403: a valid one, for something else."""
    text: str
    challenge: bytes
    """The header line, with its end, that tells a client what to send (RFC 6750, 3)."""


def denied(status: int, text: str, *, error: str | None = None) -> Denied:
    """A denial; ``error`` is RFC 6750's code, which is left out where no credential came."""
    parameter = f' error="{error}"' if error is not None else ""
    return Denied(status, text, f"www-authenticate: Bearer{parameter}\r\n".encode())
