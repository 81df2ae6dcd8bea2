"""Bundles in an object store, from which pods of a stock serving image fetch them: no image is made for a service."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from modelport.bundles import Archive as PackedArchive
from modelport.bundles import pack_bundle, read_manifest, upload
from modelport.domain.errors import UserErrorException
from modelport.domain.progress import Progress
from modelport.domain.services import Service
from modelport.images import ImageLayer, ImageSettings, environment_archive, push, stock_image
from modelport.targets.kubernetes.settings import ENVIRONMENT_PYTHON, Archive, BundleArchive, Fetch, ServingImage
from modelport.usecases.image_records import ImageRecords

_STOCK = "modelport-serving"


@dataclass(frozen=True, kw_only=True)
class StoredBundles:
    """Where archives are put, and the stock image that fetches them. Each is made and sent once."""

    store: str
    """A folder of an object store, as an address: ``https://…``, with a signature maybe, ``s3://…``."""
    store_secret: str | None
    """Of a Secret of the namespace with the credentials for it."""
    stock_image: str | None
    """The reference of one that the cluster can pull; None: it is made, and pushed to the registry."""
    registry: str | None
    compute: str | None
    bundles: Path
    cache: Path
    """Of layers, for all workspaces."""
    records: Path
    """What was sent, so that a change of settings asks nobody."""
    progress: Progress

    def check(self, name: str) -> None:
        """Raise UserErrorException where there is neither a stock image nor a registry for one."""
        if self.stock_image is None and self.registry is None:
            raise UserErrorException(
                f"The service {name!r} needs a stock serving image, and the compute target {self.compute!r} names "
                "neither one nor a registry.",
                hint="Attach it again with stock_image=… (--stock-image), or with registry=… (--registry).",
            )

    def image(self, service: Service, number: int, *, starts: bool = False) -> ServingImage:
        """The stock image, and what a pod of the revision is to fetch.

        Raises UserErrorException as ``check``, StoreException where the store refuses, and what ``stock_image`` and
        ``push`` raise.
        """
        self.check(service.name)
        digest = service.revision(number).bundle_digest.removeprefix("sha256:")
        return ImageRecords(self.records).image(
            f"stored-{_key(self.store, self.stock_image or self.registry, digest)}",
            lambda: self._store(digest),
            brought_to=self.store,
            starts=starts,
            progress=self.progress,
        )

    def _store(self, digest: str) -> ServingImage:
        bundle, settings = self.bundles / digest, ImageSettings(name=_STOCK)
        found = environment_archive(bundle, settings=settings, cache=self.cache, progress=self.progress)
        version = read_manifest(bundle).environment.python
        reference, python = self._stock(".".join(version.split(".")[:2]), settings)
        return ServingImage(
            reference=reference,
            interpreter=python if found is None else (ENVIRONMENT_PYTHON,),
            keeps_python_path=found is None,
            fetch=Fetch(
                bundle=self._store_bundle(bundle, digest),
                environment=None if found is None else self._store_environment(*found),
                credentials_secret=self.store_secret,
            ),
        )

    def _stock(self, python: str, settings: ImageSettings) -> tuple[str, tuple[str, ...]]:
        """The reference of the stock image, and how its Python is called."""
        if self.stock_image is not None:
            return self.stock_image, ("python3",)
        built = stock_image(python, settings=settings, cache=self.cache, progress=self.progress)
        tag = f"{python}-{built.digest.removeprefix('sha256:')[:12]}"
        name = f"{str(self.registry).rstrip('/')}/{_STOCK}:{tag}"
        return push(built, name, progress=self.progress), built.interpreter

    def _store_bundle(self, bundle: Path, digest: str) -> BundleArchive:
        url = _address(self.store, f"bundles/{digest}.tar")
        with tempfile.TemporaryDirectory(prefix="modelport-bundle-") as folder:
            packed = pack_bundle(bundle, Path(folder) / "bundle.tar")
            self.progress.step(f"Storing the bundle: {packed.size / 1e6:.1f} MB")
            upload(packed, url)
        return BundleArchive(url=url, digest=digest, sha256=packed.sha256)

    def _store_environment(self, layer: ImageLayer, path: Path) -> Archive:
        """The layer that an image of the bundle would have; it is sent once."""
        sha256 = layer.digest.removeprefix("sha256:")
        url, sent = _address(self.store, f"environments/{sha256}.tar.gz"), self.records / f"environment-{sha256}"
        mark = _key(self.store)
        if not sent.exists() or mark not in sent.read_text(encoding="ascii").split():
            self.progress.step(f"Storing the environment: {layer.compressed_bytes / 1e6:.1f} MB")
            upload(PackedArchive(path, sha256, layer.compressed_bytes), url)
            sent.parent.mkdir(parents=True, exist_ok=True)
            with sent.open("a", encoding="ascii") as file:
                file.write(f"{mark}\n")
        return Archive(url=url, sha256=sha256)


def _address(store: str, name: str) -> str:
    """Below the folder; what signs the folder signs what is in it."""
    parts = urlsplit(store)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}"))


def _key(*texts: str | None) -> str:
    return hashlib.sha256("\0".join(str(text) for text in texts).encode()).hexdigest()[:24]
