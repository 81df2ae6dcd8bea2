"""Compute targets: names that services and runs are sent to. What they name is this machine, or a cluster that a
context of the kubeconfig leads to.

A target is an asset of the workspace; what it was made with is kept and shown (azureml-v1 reference, 2.11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelport.domain.assets import Asset
from modelport.domain.errors import ComputeTargetException

KIND = "compute"
"""Of the assets."""

AKS = "AKS"

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_CLUSTER_NAME = re.compile(r"[A-Za-z][-A-Za-z0-9]{1,22}[A-Za-z0-9]")

_SECRET = re.compile(r"password|passphrase|private_key|token|(?<!pull_)(?<!store_)secret|admin_user_ssh", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class ComputeTls:
    """With which certificate the services of a cluster speak TLS. The files are in the workspace's folder."""

    status: str = "Disabled"
    """``Enabled``: certificate and key are there. ``Auto``: a certificate of the vendor was asked for, and there is
    none."""
    cname: str | None = None
    leaf_domain_label: str | None = None
    overwrite_existing_domain: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Compute:
    """One target."""

    name: str
    type: str
    is_attached: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What it was made or attached with, by the names of the parameters; nothing secret."""
    tls: ComputeTls = field(default_factory=ComputeTls)
    state: str = "Succeeded"
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str | None = None

    def to_body(self) -> dict[str, Any]:
        """As an asset keeps it."""
        return {
            "type": self.type,
            "is_attached": self.is_attached,
            "settings": dict(self.settings),
            "tls": {
                "status": self.tls.status,
                "cname": self.tls.cname,
                "leaf_domain_label": self.tls.leaf_domain_label,
                "overwrite_existing_domain": self.tls.overwrite_existing_domain,
            },
            "state": self.state,
            "tags": dict(self.tags),
            "description": self.description,
        }

    @classmethod
    def from_asset(cls, asset: Asset) -> Compute:
        """The target that the asset keeps."""
        body = dict(asset.body)
        return cls(name=asset.name, **{**body, "tls": ComputeTls(**body["tls"])})


def without_secrets(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What may be kept of what a target is made with: no password, and nothing that was not given."""
    return {name: value for name, value in settings.items() if value not in (None, "") and not _SECRET.search(name)}


def check_compute_name(name: str, type: str) -> None:
    """Raise ComputeTargetException unless ``name`` can name a target (azureml-v1 reference, 1.4)."""
    if type == AKS and not _CLUSTER_NAME.fullmatch(str(name)):
        raise ComputeTargetException(
            f"Invalid compute target name {name!r}: it must have 3 to 24 characters, only letters, digits and '-', "
            "start with a letter and end with a letter or digit."
        )
    if not _NAME.fullmatch(str(name)):
        raise ComputeTargetException(
            f"Invalid compute target name {name!r}: it must have 1 to 63 characters, only letters, digits, '-', '_' "
            "and '.', and start and end with a letter or digit."
        )
