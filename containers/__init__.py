"""Packages as real images: ``make test-containers`` (docs/packages.md). CI follows the same lines as processes."""
