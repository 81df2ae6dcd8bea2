"""Bundles: what a target runs (docs/architecture/02-bundle.md)."""

from modelport.bundles.build import BundleRequest, PlaceModelFile, build_bundle
from modelport.bundles.manifest import BundleEnvironment, BundleFile, BundleModel, Manifest, read_manifest
from modelport.bundles.shipping import files_below
from modelport.bundles.verify import verify_bundle

__all__ = [
    "BundleEnvironment",
    "BundleFile",
    "BundleModel",
    "BundleRequest",
    "Manifest",
    "PlaceModelFile",
    "build_bundle",
    "files_below",
    "read_manifest",
    "verify_bundle",
]
