"""Which documents a revision has: those that its user ships, and those that are made of its schemas."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from modelport_scoring.openapi import openapi_3, swagger_2
from modelport_scoring.openapi.operations import plan_operations
from modelport_scoring.openapi.samples import plan_definitions
from modelport_scoring.settings.service import ServiceSettings
from modelport_scoring.workers.contract import Contract

SCHEMA_KEYS = {"2": "2.0", "3": "3.0", "3.1": "3.1"}
"""Versions as they are asked for, and as ``inference_schema`` names them."""

VERSIONS = tuple(SCHEMA_KEYS)
ALIASES = {"2.0": "2", "3.0": "3"}

USER_FILES = (("2", "swagger.json"), ("2", "swagger2.json"), ("3", "swagger3.json"), ("3.1", "swagger3.1.json"))
"""Files beside the script that are served as they are; the first one of a version wins."""


class NoSuchDocument(LookupError):
    """There is no document of that version; the message is the client's."""


class Documents:
    """The documents of one revision, each rendered when it is first asked for."""

    def __init__(self, service: ServiceSettings, contract: Contract, *, supplied: Mapping[str, bytes]) -> None:
        self.service = service
        """The settings that the documents describe. Auth and the error mode are part of what they say."""
        self._contract = contract
        self._rendered = dict(supplied)
        possible = supported_versions(contract)
        self._versions = [version for version in VERSIONS if version in supplied or version in possible]
        """Those that this script has: a document that its user ships needs no schema."""

    def get(self, asked: str | None) -> bytes:
        """The document of that version, 2 where none was asked for. Raises NoSuchDocument."""
        version = "2" if asked is None else ALIASES.get(asked, asked)
        if version not in self._versions:
            raise NoSuchDocument(self._why_not(asked or version, known=version in VERSIONS))
        if version not in self._rendered:
            self._rendered[version] = write(describe(self.service, self._contract, version=version))
        return self._rendered[version]

    def _why_not(self, asked: str, *, known: bool) -> str:
        have = ", ".join(self._versions)
        if known:
            return (
                f"Swagger version [{asked}] is not supported for the scoring script. "
                f"Supported swagger versions: [{have}]."
            )
        return f"Swagger version [{asked}] is not valid. Supported versions: [{have}]."


def write(document: dict[str, Any]) -> bytes:
    """The JSON of a document."""
    try:
        return orjson.dumps(document)
    except TypeError:  # an integer of more than 64 bits, in a sample
        return json.dumps(document).encode()


def supported_versions(contract: Contract) -> list[str]:
    """The versions that the script's schemas allow: 2 knows no lists of mixed types."""
    if contract.input != "json" and not contract.schemas:
        return [*VERSIONS]
    return [version for version, key in SCHEMA_KEYS.items() if key in contract.schemas]


def find_user_documents(folders: Iterable[Path]) -> dict[str, bytes]:
    """The documents that the user ships, by version; an earlier folder goes before a later one."""
    found: dict[str, bytes] = {}
    for folder in folders:
        for version, name in USER_FILES:
            path = folder / name
            if version not in found and path.is_file():
                found[version] = path.read_bytes()
    return found


def check_user_documents(folders: Iterable[Path]) -> None:
    """Raise ValueError for a document of the user's that is no JSON: v1's server did not start with one either."""
    for path in (folder / name for folder in folders for _, name in USER_FILES):
        if path.is_file():
            try:
                json.loads(path.read_text(encoding="utf-8"))
            except (ValueError, RecursionError) as error:
                text = f"{path.name} would be served at /swagger.json, and is no JSON: {error}; mend it or take it away"
                raise ValueError(text) from error


def describe(service: ServiceSettings, contract: Contract, *, version: str) -> dict[str, Any]:
    """The document: Swagger 2.0 (``2``), OpenAPI 3.0.3 (``3``) or 3.1.0 (``3.1``)."""
    schemas = contract.schemas.get(SCHEMA_KEYS[version], {})
    definitions = plan_definitions(schemas, contract.parameters)
    operations = plan_operations(service, contract, definitions, versions=supported_versions(contract))
    if version == "2":
        return swagger_2.render(service, operations, definitions)
    return openapi_3.render(service, operations, definitions, version=version)
