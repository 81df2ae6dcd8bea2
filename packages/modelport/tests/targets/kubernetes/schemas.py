"""Kubernetes' own schemas, strict: a field that a version does not have is an error."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

import jsonschema
from kubernetes_validate.utils import schema_contents
from referencing import Registry, Resource

OF_EXTENSIONS = ("HTTPRoute", "Certificate", "InferenceService")
"""Kinds that no plain cluster serves: their schemas are not Kubernetes'."""


def check(manifest: Mapping[str, Any], version: str) -> None:
    """Raise jsonschema.ValidationError where a cluster of that version would refuse or ignore a field.

    As ``kubernetes-validate --strict`` does, which reads the definitions again for each manifest.
    """
    if manifest["kind"] not in OF_EXTENSIONS:
        _check(json.dumps(manifest, sort_keys=True), version)


@functools.cache
def _check(text: str, version: str) -> None:
    """Many of a matrix' manifests are alike: once is enough."""
    manifest = json.loads(text)
    api_version = manifest["apiVersion"]
    if api_version == "policy/v1beta1":  # had the fields of policy/v1; the schemas begin after it was removed
        manifest["apiVersion"] = api_version = "policy/v1"
    _validator(manifest["kind"], api_version, version).validate(manifest)


@functools.cache
def _validator(kind: str, api_version: str, version: str) -> jsonschema.Draft202012Validator:
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    folder = f"kubernetes-json-schema/v{version}.0-local-strict"
    schema = schema_contents(f"{folder}/{kind.lower()}-{group}.json", version)
    registry: Registry[Any] = Resource.from_contents(schema) @ (_definitions(folder, version) @ Registry())
    return jsonschema.Draft202012Validator(schema, registry=registry)


@functools.cache
def _definitions(folder: str, version: str) -> Resource[Any]:
    return Resource.from_contents(schema_contents(f"{folder}/_definitions.json", version))
