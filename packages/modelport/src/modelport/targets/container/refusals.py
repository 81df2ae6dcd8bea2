"""Why an engine does not answer, and one thing to try, by what its client and ssh say of it."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from docker.errors import APIError

from modelport.targets.container.addresses import ENGINE_VARIABLE
from modelport.targets.container.tunnel import NoTunnel, why_nobody_answers

_OTHERWISE = (
    f"Name another one in {ENGINE_VARIABLE}, or have container instances run as processes: MODELPORT_ACI=process."
)
_FILES = "DOCKER_CERT_PATH names the folder with ca.pem (of who signed the engine's), cert.pem and key.pem (yours)."

_ADVICE = {
    "Host key verification failed": "Log in once by hand, and compare the key that is shown: {ssh}",
    "Permission denied (": "Have a key that the machine takes, in ssh-agent or ~/.ssh/config; this must not ask: {ssh}",
    "certificate verify failed": f"The engine's certificate is not ca.pem's authority's, or has another name. {_FILES}",
    "certificate required": f"The engine wants a certificate of yours: set DOCKER_TLS_VERIFY=1. {_FILES}",
    "unknown ca": f"The engine does not know who signed your certificate. {_FILES}",
    "certificate": _FILES,
    "HTTPS server": f"The engine speaks TLS: set DOCKER_TLS_VERIFY=1. {_FILES}",
    "wrong version number": "The engine does not speak TLS at this port: unset DOCKER_TLS_VERIFY.",
}
"""What to do, by a part of what was said; the first that fits."""


def advice(error: BaseException, address: str) -> tuple[str, str]:
    """What is wrong, without a full stop, and what to do."""
    reason = reason_of(error)
    if address.startswith("ssh://") and not isinstance(error, NoTunnel):
        reason = why_nobody_answers(address)
    found = next((hint for part, hint in _ADVICE.items() if part.lower() in reason.lower()), None)
    if found is not None:
        return reason, f"{found.format(ssh=_login(address))} {_OTHERWISE}"
    if isinstance(innermost(error), PermissionError) or " may not use " in reason:
        return (
            reason,
            f"Docker's socket is for the group docker: sudo usermod -aG docker {_who(address)}, and log in anew; "
            f"Podman has one for each user: systemctl --user start podman.socket. {_OTHERWISE}",
        )
    start = "systemctl start docker, systemctl start podman.socket"
    return reason, f"Start it ({start}) and see that {_who(address)} may use it. {_OTHERWISE}"


def reason_of(error: BaseException) -> str:
    """What the engine said, or else the innermost one: what docker-py puts around it is long and says little."""
    if isinstance(error, APIError) and error.explanation:
        return str(error.explanation).strip().rstrip(".")
    inner = innermost(error)
    return str(getattr(inner, "strerror", None) or inner).strip().rstrip(".") or type(inner).__name__


def innermost(error: BaseException) -> BaseException:
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error


def _login(address: str) -> str:
    parts = urlsplit(address)
    port = f"-p {parts.port} " if parts.port else ""
    return f"ssh {port}{parts.username or _user()}@{parts.hostname} true"


def _who(address: str) -> str:
    return urlsplit(address).username or _user() if address.startswith("ssh://") else _user()


def _user() -> str:
    return os.environ.get("USER") or f"user {os.getuid()}"
