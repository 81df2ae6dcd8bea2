"""Assets in memory. MemoryStore locks around every call."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Mapping
from typing import Any

from modelport.domain.assets import Asset, json_object
from modelport.storage.refusals import asset_exists, asset_not_found


class MemoryAssets:
    """What is handed out is a copy: whoever changes a body that it got changes nothing here, as with a database."""

    def __init__(self) -> None:
        self._assets: dict[tuple[str, str, int], Asset] = {}
        self._last_versions: Counter[tuple[str, str]] = Counter()

    def add(self, kind: str, name: str, body: Mapping[str, Any], *, created_by: str, unique: bool) -> Asset:
        if unique and self.find(kind, name):
            raise asset_exists(kind, name)
        document = json_object(body)
        now = dt.datetime.now(dt.UTC)
        self._last_versions[kind, name] += 1
        asset = Asset(
            kind=kind,
            name=name,
            version=self._last_versions[kind, name],
            body=document,
            created_time=now,
            updated_time=now,
            created_by=created_by,
        )
        self._assets[kind, name, asset.version] = asset
        return copy.deepcopy(asset)

    def find(
        self, kind: str, name: str | None = None, *, version: int | None = None, latest: bool = False
    ) -> list[Asset]:
        found = [
            asset
            for asset in self._assets.values()
            if asset.kind == kind and name in (None, asset.name) and version in (None, asset.version)
        ]
        found.sort(key=lambda asset: (asset.name, -asset.version))
        if latest:
            newest: dict[str, Asset] = {}
            for asset in found:
                newest.setdefault(asset.name, asset)
            found = list(newest.values())
        return copy.deepcopy(found)

    def replace(self, kind: str, name: str, version: int, body: Mapping[str, Any]) -> Asset:
        asset = self._assets.get((kind, name, version))
        if asset is None:
            raise asset_not_found(kind, name, version)
        replaced = dataclasses.replace(asset, body=json_object(body), updated_time=dt.datetime.now(dt.UTC))
        self._assets[kind, name, version] = replaced
        return copy.deepcopy(replaced)

    def delete(self, kind: str, name: str, *, version: int | None) -> list[Asset]:
        """Returns them, newest first."""
        found = self.find(kind, name, version=version)
        for asset in found:
            del self._assets[kind, name, asset.version]
        return found
