"""Packages of the workspace: assets whose body is a PackageContent, and a folder each."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from modelport.domain.assets import Asset
from modelport.domain.packages import Package, PackageContent
from modelport.usecases.context import Context

KIND = "package"


def find_packages(context: Context) -> list[Package]:
    """The packages of the workspace, by name, newest first within a name."""
    return [package_of(asset) for asset in context.registry.assets(KIND)]


def delete_package(context: Context, package: Package) -> None:
    """Remove it from the workspace; what was saved of it stays. Nothing happens where it is gone already."""
    context.registry.delete_asset(KIND, package.name, package.version)
    shutil.rmtree(package_folder(context, package), ignore_errors=True)


def package_folder(context: Context, package: Package) -> Path:
    """Where the package is, with its log beside the context."""
    return folder_of_packages(context) / package.content.folder


def folder_of_packages(context: Context) -> Path:
    """Where the workspace keeps its packages."""
    return context.folder / "packages"


def package_of(asset: Asset) -> Package:
    """The package that the asset is."""
    return Package(
        name=asset.name,
        version=asset.version,
        content=msgspec.convert(asset.body, PackageContent),
        created_time=asset.created_time,
        created_by=asset.created_by,
    )
