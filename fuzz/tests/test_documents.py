"""Files and lines of JSON that tell a server what to do: whatever they hold, they are taken or refused in words, and
what is taken is the same when it is written and read again."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelport_scoring.access.gate import Gate
from modelport_scoring.bundle import BundleInvalid, read_manifest
from modelport_scoring.control.endpoint import read_command
from modelport_scoring.errors import RequestRefused, SettingsInvalid
from modelport_scoring.fetch.settings import read_fetch_settings
from modelport_scoring.router.settings import RouterSettings, decode_router_settings
from modelport_scoring.service_folder import decode_settings
from modelport_scoring.settings.service import ServiceSettings, limits_of

SERVICE: dict[str, Any] = {
    "format": 1,
    "name": "s",
    "workspace": "w",
    "revision": {
        "number": 1,
        "bundle": "/b",
        "interpreter": ["python"],
        "limits": {"scoring_timeout_ms": 5},
        "autoscale": {"min_workers": 2, "max_workers": 3, "target_utilization": 70.0},
    },
    "others": [
        {"number": 2, "bundle": "/c", "interpreter": ["python"], "workers": 2},
        {"number": 3, "bundle": "/d", "interpreter": ["python"]},
    ],
    "traffic": {"weights": {"2": 20.0}, "shadow": 3, "shadow_percent": 10, "version_header": "v"},
    "workers": 2,
    "server_processes": 2,
    "port": 80,
    "path_prefix": "/a",
    "batching": {"max_requests": 8, "max_wait_ms": 1},
    "cors_origins": ["https://a.example", "*"],
    "error_mode": "json",
    "telemetry": {"access_log": True, "tracing": True, "otlp_endpoint": "http://localhost:4318"},
    "auth": {
        "token": {"issuer": "i", "audience": "a", "keys": [{"kid": "k", "x": "AA", "y": "AA", "not_after": 1}]},
    },
    "tls": {"certificate": "tls/c.pem", "key": "tls/k.pem"},
    "limits": {"max_body_bytes": 1000, "idle_timeout_s": 7.5},
}
ROUTER: dict[str, Any] = {
    "format": 1,
    "name": "s",
    "upstreams": [
        {"revision": 1, "version": "a", "url": "http://a:80"},
        {"revision": 2, "version": "b", "url": "https://b"},
    ],
    "default": 1,
    "traffic": {"weights": {"2": 20.0}, "sticky_header": "s"},
    "limits": {"max_body_bytes": 1000},
    "path_prefix": "/a/",
    "front_end": "aci",
}
COMMAND: dict[str, Any] = {
    "do": "switch",
    "revision": SERVICE["revision"],
    "replacing": 1,
    "settings": {"workers": 2, "limits": SERVICE["limits"], "batching": None},
    "size": {"workers": 2},
    "traffic": SERVICE["traffic"],
    "whole": SERVICE,
}
FETCH: dict[str, Any] = {
    "bundle": {"url": "https://a/b", "digest": "0" * 64, "sha256": "1" * 64, "to": "/c"},
    "environment": {"url": "s3://a/b", "sha256": "2" * 64, "to": "/d"},
    "patience_s": 5,
}
MANIFEST: dict[str, Any] = {
    "format": 1,
    "entry_script": "source/score.py",
    "models": [{"name": "m", "version": 1}],
    "environment_variables": {"A": "b"},
}

TEXTS = ["", "*", "/", "\x00", "é", "http://[", "https://a:99999", "2", "1e3", "a" * 300, "(" * 50]
NUMBERS = [0, -1, 1, 2**31, 2**63, 2**64, 10**400, 0.0, -0.5, 1e308, 1e-320]
ODD: list[Any] = [None, True, False, *NUMBERS, *TEXTS, [], {}]

values = st.recursive(
    st.sampled_from(ODD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["1", "2", "number", "x"]), inner),
    max_leaves=4,
)


def places(value: Any, *, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something can be put in the place of what is there."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, member in members for place in places(member, path=(*path, key)))]


def with_value(document: dict[str, Any], place: tuple[Any, ...], value: Any) -> Any:
    """The document with a value in the place of another."""
    found = {"it": copy.deepcopy(document)}
    holder: Any = found
    *way, last = ("it", *place)
    for key in way:
        holder = holder[key]
    holder[last] = value
    return found["it"]


@st.composite
def changed(draw: st.DrawFn, document: dict[str, Any]) -> bytes:
    """The JSON of the document with a few values in the place of others, or cut off."""
    found = document
    for _ in range(draw(st.integers(0, 3))):
        found = with_value(found, draw(st.sampled_from(places(found))), draw(values))
    text = json.dumps(found).encode()
    return text[: draw(st.sampled_from([len(text)] * 9 + [len(text) // 2]))]


FILE = Path("settings.json")


def check_service(content: bytes) -> None:
    try:
        settings = decode_settings(content, path=FILE)
    except SettingsInvalid as error:
        assert str(error).startswith(str(FILE))
        return
    assert msgspec.json.decode(msgspec.json.encode(settings), type=ServiceSettings) == settings
    for revision in settings.revisions:
        limits_of(settings, revision)
    try:
        Gate(settings.auth)
    except SettingsInvalid as error:
        assert "public key" in str(error)


def check_router(content: bytes) -> None:
    try:
        settings = decode_router_settings(content, path=FILE)
    except SettingsInvalid as error:
        assert str(error).startswith(str(FILE))
        return
    assert msgspec.json.decode(msgspec.json.encode(settings), type=RouterSettings) == settings


def check_command(line: bytes) -> None:
    try:
        read_command(line)
    except RequestRefused as error:
        assert str(error)


CHECKS = [
    pytest.param(SERVICE, check_service, id="service"),
    pytest.param(ROUTER, check_router, id="router"),
    pytest.param(COMMAND, check_command, id="command"),
]


@pytest.mark.parametrize(("document", "check"), CHECKS)
def test_each_value_in_each_place(document: dict[str, Any], check: Callable[[bytes], None]) -> None:
    for place in places(document):
        for value in ODD:
            check(json.dumps(with_value(document, place, value)).encode())


@settings(deadline=None)
@given(changed(SERVICE))
def test_settings_of_a_service(content: bytes) -> None:
    check_service(content)


@settings(deadline=None)
@given(changed(ROUTER))
def test_settings_of_a_router(content: bytes) -> None:
    check_router(content)


@settings(deadline=None)
@given(changed(COMMAND))
def test_commands(line: bytes) -> None:
    check_command(line)


Reads = Callable[[Path], object]


@pytest.mark.parametrize(
    ("name", "document", "read", "refusal"),
    [
        ("fetch.json", FETCH, read_fetch_settings, SettingsInvalid),
        ("bundle.json", MANIFEST, lambda path: read_manifest(path.parent), BundleInvalid),
    ],
)
def test_what_is_to_be_fetched_and_served(
    tmp_path_factory: pytest.TempPathFactory, name: str, document: dict[str, Any], read: Reads, refusal: type[Exception]
) -> None:
    path = tmp_path_factory.mktemp("documents") / name

    @settings(deadline=None)
    @given(changed(document))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            read(path)
        except refusal as error:
            assert str(path) in str(error)

    check()


@pytest.mark.parametrize(
    ("document", "read"),
    [
        (SERVICE, lambda content: decode_settings(content, path=FILE)),
        (ROUTER, lambda content: decode_router_settings(content, path=FILE)),
        (COMMAND, read_command),
    ],
)
def test_unchanged_they_are_taken(document: dict[str, Any], read: Callable[[bytes], object]) -> None:
    """Else nothing of what is above would be tested."""
    read(json.dumps(document).encode())
