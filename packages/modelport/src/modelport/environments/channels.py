"""Asks conda channels for packages, and installs them into a prefix, by rattler: no conda installation is needed."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from modelport.domain.errors import EnvironmentException, ResolutionFailed
from modelport.environments.uv import without_credentials

_T = TypeVar("_T")

DEFAULT_CHANNEL = "conda-forge"
_DEFAULTS = ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")
"""What conda means by the channel ``defaults``; rattler knows no such channel."""
_UNSTABLE = ("indexed_timestamp",)
"""What a channel says of a package and that changes without the package."""

CHANNEL_HINT = (
    "Check the network, or name a channel that can be reached under 'channels:' (a URL, or file:///path). Requirements "
    "under 'pip:' need no channel: with only python and pip left among the conda packages, none is asked."
)


class ChannelUnreachable(ResolutionFailed):
    """A channel does not answer, or is not there."""


class Unsolvable(Exception):
    """The channels answered, and no set of packages fits; its text is the solver's own."""


class CondaChannels:
    """Packages of channels. What is downloaded is kept below ``cache``."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache

    def solve(self, specs: Sequence[object], channels: Sequence[str]) -> list[dict[str, Any]]:
        """The records of the packages that fit, by name. Raises ChannelUnreachable and Unsolvable."""
        rattler = load_rattler()
        sources = list(_expanded(channels))

        async def solve() -> list[Any]:
            found: list[Any] = await rattler.solve(
                sources=sources,
                specs=list(specs),
                gateway=rattler.Gateway(cache_dir=self._cache / "repodata"),
                virtual_packages=rattler.VirtualPackage.detect(),
            )
            return found

        try:
            records = _run(solve)
        except (rattler.exceptions.GatewayError, rattler.exceptions.FetchRepoDataError) as error:
            raise _unreachable(str(error), sources) from error
        except (rattler.exceptions.SolverError, rattler.exceptions.InvalidChannelError) as error:
            raise Unsolvable(str(error)) from error
        return sorted(map(_stable, records), key=lambda record: str(record["name"]))

    def names(self, channels: Sequence[str]) -> frozenset[str]:
        """The names of all packages that the channels have for this machine; none where that cannot be told."""
        rattler = load_rattler()

        async def ask() -> list[Any]:
            gateway = rattler.Gateway(cache_dir=self._cache / "repodata")
            found = await gateway.names(
                sources=list(_expanded(channels)), platforms=[rattler.Subdir.current(), "noarch"]
            )
            return list(found)

        try:
            return frozenset(name.normalized for name in _run(ask))
        except (rattler.exceptions.GatewayError, rattler.exceptions.FetchRepoDataError):
            return frozenset()

    def install(self, records: Sequence[dict[str, Any]], prefix: Path, *, moved_to: Path | None = None) -> None:
        """Fill the prefix with the packages; ``moved_to`` is where it will be used. Raises EnvironmentException."""
        rattler = load_rattler()

        async def install() -> None:
            wanted = [_record(rattler, record) for record in records]
            await rattler.install(
                wanted,
                prefix,
                cache_dir=self._cache / "packages",
                show_progress=False,
                alternative_target_prefix=moved_to,
            )

        try:
            _run(install)
        except (rattler.exceptions.InstallerError, rattler.exceptions.LinkError, rattler.exceptions.IoError) as error:
            complaint = without_credentials(str(error))
            raise EnvironmentException(
                f"The conda packages cannot be installed.\n{complaint}", hint=CHANNEL_HINT
            ) from error


def load_rattler() -> ModuleType:
    """rattler, loaded when the first conda environment asks for it: it takes longer than all else together."""
    import rattler  # noqa: PLC0415
    import rattler.exceptions  # noqa: PLC0415

    module: ModuleType = rattler
    return module


def _expanded(channels: Iterable[str]) -> Iterator[str]:
    for channel in channels:
        if channel == "defaults":
            yield from _DEFAULTS
        else:
            yield channel


def _run(work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run it in a thread of its own: in a notebook the caller's thread has a running event loop already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(work())).result()


def _stable(record: Any) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(record.to_json())
    return {key: value for key, value in content.items() if key not in _UNSTABLE}


def _record(rattler: ModuleType, content: dict[str, Any]) -> object:
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        package = rattler.PackageRecord.from_index_json(file.name)
    return rattler.RepoDataRecord(package, content["fn"], content["url"], content["channel"])


def _unreachable(complaint: str, channels: Sequence[str]) -> ChannelUnreachable:
    complaint = without_credentials(complaint)
    url = re.search(r"\w+://[^\s'`)]+", complaint)
    named = [name for name in map(without_credentials, channels) if _names(complaint, name)]
    channel = named[0] if named else url[0] if url else ", ".join(map(without_credentials, channels))
    return ChannelUnreachable(f"The conda channel {channel} cannot be reached.\n{complaint}", hint=CHANNEL_HINT)


def _names(complaint: str, channel: str) -> bool:
    """Whether the complaint is about that channel: by its URL, or by its name as a part of one."""
    if "://" in channel:
        return channel.rstrip("/") in complaint
    return re.search(rf"/{re.escape(channel)}/", complaint) is not None
