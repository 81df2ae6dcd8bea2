"""Bundles: what a target runs (docs/architecture/02-bundle.md)."""

from modelport.bundles.archive import Archive, pack_bundle, pack_environment, upload
from modelport.bundles.build import BundleRequest, PlaceModelFile, build_bundle, building_folder, remove_if_dead
from modelport.bundles.manifest import BundleEnvironment, BundleFile, BundleModel, Manifest, read_manifest
from modelport.bundles.shipping import files_below
from modelport.bundles.verify import verify_bundle

__all__ = [
    "Archive",
    "BundleEnvironment",
    "BundleFile",
    "BundleModel",
    "BundleRequest",
    "Manifest",
    "PlaceModelFile",
    "build_bundle",
    "building_folder",
    "files_below",
    "pack_bundle",
    "pack_environment",
    "read_manifest",
    "remove_if_dead",
    "upload",
    "verify_bundle",
]
