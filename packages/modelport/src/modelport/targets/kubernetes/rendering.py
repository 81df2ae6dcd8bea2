"""Manifests as text, for those who keep them in a repository: always the same bytes for the same service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from modelport.targets.kubernetes.subject import Manifest

KUSTOMIZATION = "kustomization.yaml"


def as_yaml(manifests: Sequence[Manifest]) -> str:
    """One stream of documents, in the order of application."""
    return "---\n".join(_document(manifest) for manifest in manifests)


def as_kustomization(manifests: Sequence[Manifest]) -> dict[str, str]:
    """A folder for kustomize: files by their names, one for each object, and what lists them."""
    files = {_file_name(manifest): _document(manifest) for manifest in manifests}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(files),
    }
    return {KUSTOMIZATION: _document(kustomization), **files}


def without_secrets(manifests: Sequence[Manifest]) -> list[Manifest]:
    """All but the Secrets, which are then kept where secrets are kept."""
    return [manifest for manifest in manifests if manifest["kind"] != "Secret"]


def only_secrets(manifests: Sequence[Manifest]) -> list[Manifest]:
    """The Secrets alone, for what seals them."""
    return [manifest for manifest in manifests if manifest["kind"] == "Secret"]


def _file_name(manifest: Manifest) -> str:
    return f"{manifest['kind'].lower()}-{manifest['metadata']['name']}.yaml"


def _document(manifest: Mapping[str, Any]) -> str:
    text: str = yaml.dump(dict(manifest), Dumper=_Dumper, sort_keys=False, width=1_000_000, allow_unicode=True)
    return text


class _Dumper(yaml.SafeDumper):
    """As people write manifests: texts of several lines as blocks, list items indented, nothing abbreviated."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
