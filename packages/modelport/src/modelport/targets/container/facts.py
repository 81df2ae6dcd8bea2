"""What an engine is and can do, as it says itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import docker

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_LIMITS = {"MemoryLimit": "memory_gb", "CpuCfsQuota": "cpu_cores", "PidsLimit": "the number of processes"}
"""What an engine calls them, and what a service asks for by them."""
_OLDEST_API = (1, 41)


@dataclass(frozen=True, kw_only=True)
class EngineFacts:
    """One engine, at this moment."""

    product: str
    """``Docker 20.10.24`` or ``Podman 4.3.1``."""
    api_version: str
    architecture: str
    """In the words of images: ``amd64``."""
    cgroup_version: str
    is_rootless: bool
    cores: int
    memory_bytes: int
    without_limits: tuple[str, ...]
    """What a service may ask for and the engine does not hold it to."""
    has_nvidia_runtime: bool

    @property
    def is_podman(self) -> bool:
        return self.product.startswith("Podman")

    @property
    def is_too_old(self) -> bool:
        """Whether it is older than Docker 20.10 and Podman 4."""
        return tuple(int(part) for part in self.api_version.split(".")[:2]) < _OLDEST_API

    @property
    def text(self) -> str:
        """On a line."""
        return ", ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        yield f"{self.product} (API {self.api_version})"
        yield f"linux/{self.architecture}"
        yield f"{self.cores} cores"
        yield f"{self.memory_bytes / 1024**3:.1f} GiB of memory"
        yield f"control groups of version {self.cgroup_version or 'unknown'}"
        if self.is_rootless:
            yield "without root"
        yield "GPUs by NVIDIA's runtime" if self.has_nvidia_runtime else "no GPUs"


def facts_of(client: docker.DockerClient) -> EngineFacts:
    """Ask it. Raises as the client does."""
    version, info = client.version(), client.info()
    names = {str(part.get("Name")) for part in version.get("Components") or ()}
    is_podman = any("Podman" in name for name in names)
    architecture = str(info.get("Architecture") or version.get("Arch") or "unknown")
    return EngineFacts(
        product=f"{'Podman' if is_podman else 'Docker'} {version.get('Version')}",
        api_version=str(version.get("ApiVersion")),
        architecture=_ARCHITECTURES.get(architecture, architecture),
        cgroup_version=str(info.get("CgroupVersion") or ""),
        is_rootless=bool(info.get("Rootless")) or any("rootless" in each for each in info.get("SecurityOptions") or ()),
        cores=int(info.get("NCPU") or 0),
        memory_bytes=int(info.get("MemTotal") or 0),
        without_limits=tuple(asked for name, asked in _LIMITS.items() if not info.get(name)),
        has_nvidia_runtime=not is_podman and _has_nvidia(info),
    )


def _has_nvidia(info: dict[str, Any]) -> bool:
    """Podman lists each runtime that it knows of, whether it is there or not, and does not take device requests."""
    return "nvidia" in (info.get("Runtimes") or {})
