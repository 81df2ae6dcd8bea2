"""What a router is told: ``router.json``."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from modelport_scoring.errors import SettingsInvalid
from modelport_scoring.settings.checks import MOST_PORT, check_limits
from modelport_scoring.settings.json_files import check_format, decode_json
from modelport_scoring.settings.service import FrontEnd, Limits, TlsSettings
from modelport_scoring.settings.traffic import Traffic, check_traffic

FORMAT = 1


class UpstreamSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The servers of one version."""

    revision: int
    """Its number, which ``traffic`` knows it by."""
    version: str | None = None
    """Its name, by which a client may ask for it, too."""
    url: str
    """``http://host:port`` or ``https://host:port``; the host may have several addresses, which may change."""


class RouterSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole of the file."""

    name: str
    """Of the service, for the texts that clients read."""
    workspace: str = ""
    upstreams: list[UpstreamSettings]
    default: int
    """The revision that gets what ``traffic`` gives to no other one, and what another one cannot take."""
    traffic: Traffic = Traffic()
    format: int = FORMAT
    host: str = "127.0.0.1"
    port: int = 0
    path_prefix: str = ""
    front_end: FrontEnd = FrontEnd.AKS
    tls: TlsSettings | None = None
    limits: Limits = Limits()


FIXED = ("host", "port", "tls")
"""What a router takes over only when it is started again."""


def decode_router_settings(content: bytes, *, path: Path) -> RouterSettings:
    """Raises SettingsInvalid, which names the file and what is wrong with it."""
    settings = decode_json(content, RouterSettings, path=path)
    check_router_settings(settings, path=path)
    return settings


def check_router_settings(settings: RouterSettings, *, path: Path) -> None:
    """Raise SettingsInvalid for what the types alone do not rule out."""
    check_format(settings, FORMAT, path=path)
    if not 0 <= settings.port <= MOST_PORT:
        raise SettingsInvalid(f"{path}: port {settings.port} is not between 0 and {MOST_PORT}")
    numbers = [upstream.revision for upstream in settings.upstreams]
    if settings.default not in numbers:
        raise SettingsInvalid(f"{path}: default is revision {settings.default}, which is none of the upstreams")
    names = [upstream.version for upstream in settings.upstreams if upstream.version]
    if len(set(names)) < len(names):
        raise SettingsInvalid(f"{path}: two upstreams have the same version")
    for upstream in settings.upstreams:
        check_url(upstream.url, path=path)
    others = [number for number in numbers if number != settings.default]
    if len(others) != len(numbers) - 1:
        raise SettingsInvalid(f"{path}: two upstreams have revision {settings.default}")
    try:
        check_traffic(settings.traffic, default=settings.default, others=others)
    except ValueError as error:
        raise SettingsInvalid(f"{path}: {error}") from error
    if settings.traffic.shadow is not None:
        raise SettingsInvalid(f"{path}: traffic.shadow: a router makes no copies; have a scoring server host both")
    check_limits(settings.limits, path=path)


def check_url(url: str, *, path: Path) -> None:
    """Raise SettingsInvalid for what is no address of a server."""
    try:
        parts = urlsplit(url)
        is_server = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        (parts.hostname or "").encode("idna")  # as it is when its addresses are looked up
    except ValueError:
        is_server = False
    if not is_server or parts.path not in ("", "/") or parts.query or parts.username:
        raise SettingsInvalid(f"{path}: the url of an upstream must be as http://host:80, not {url!r}")
