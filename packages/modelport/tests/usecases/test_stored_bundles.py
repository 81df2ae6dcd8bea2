"""Bundles in an object store, here a folder, and what a pod would make of them."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import NoReturn

import pytest

from modelport.domain.errors import StoreException, UserErrorException
from modelport.usecases import image_records
from modelport.usecases.context import Context
from modelport.usecases.stored_bundles import StoredBundles, _address
from modelport_scoring.fetch.placing import place_bundle
from modelport_scoring.fetch.settings import BundleToFetch

from .conftest import Steps, Workbench

STOCK = "registry.example/serving@sha256:1"


@pytest.fixture
def stored(context: Context, tmp_path: Path) -> StoredBundles:
    return StoredBundles(
        store=(tmp_path / "store").as_uri(),
        store_secret="store",
        stock_image=STOCK,
        registry=None,
        compute="my-aks",
        bundles=context.folder / "bundles",
        cache=tmp_path / "cache",
        records=tmp_path / "records",
        progress=context.progress,
    )


def test_a_pod_gets_the_bundle_that_was_stored(bench: Workbench, stored: StoredBundles, tmp_path: Path) -> None:
    service = bench.service("svc", bench.model())
    image = stored.image(service, 1)
    assert image.reference == STOCK
    assert image.fetch is not None and image.fetch.credentials_secret == "store"
    bundle = image.fetch.bundle
    wanted = BundleToFetch(url=bundle.url, digest=bundle.digest, sha256=bundle.sha256, to=str(tmp_path / "pod"))
    assert place_bundle(wanted, patience_s=1)
    manifest = stored.bundles / service.active.bundle_digest / "bundle.json"
    assert (tmp_path / "pod" / "bundle.json").read_bytes() == manifest.read_bytes()


def test_a_bundle_is_stored_once(bench: Workbench, stored: StoredBundles, tmp_path: Path) -> None:
    service = bench.service("svc", bench.model())
    first = stored.image(service, 1)
    (archive,) = (tmp_path / "store" / "bundles").iterdir()
    archive.unlink()
    assert stored.image(service, 1) == first
    assert not archive.exists()
    assert {stat.S_IMODE(record.stat().st_mode) for record in stored.records.glob("stored-*")} == {0o600}


def test_a_service_starts_with_an_image_of_this_modelport(
    bench: Workbench, stored: StoredBundles, steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_stored() -> bool:
        return any((tmp_path / "store" / "bundles").iterdir())

    def forget() -> None:
        for archive in (tmp_path / "store" / "bundles").iterdir():
            archive.unlink()

    service = bench.service("svc", bench.model())
    first = stored.image(service, 1, starts=True)
    forget()
    stored.image(service, 1, starts=True)
    assert not is_stored(), "nothing is new"
    for name, value in (("__version__", "9.9"), ("BASE_VARIABLE", "A_BASE")):
        monkeypatch.setenv("A_BASE", "mine:1")
        monkeypatch.setattr(image_records, name, value)
        assert stored.image(service, 1) == first
        assert not is_stored(), "a change of settings asks nobody"
        assert stored.image(service, 1, starts=True) == first
        assert is_stored()
        forget()
    monkeypatch.setattr(image_records, "__version__", "10.0")
    monkeypatch.setattr(StoredBundles, "_store", refuse)
    assert stored.image(service, 1, starts=True) == first
    assert steps.texts[-1] == (
        f"The image cannot be made anew, so the service starts with {STOCK}, which Modelport 9.9 A_BASE=mine:1 made: "
        "The store is full."
    )


def refuse(*_: object) -> NoReturn:
    raise StoreException("The store is full.")


def test_what_signs_a_folder_signs_what_is_in_it(stored: StoredBundles) -> None:
    assert _address("https://s.example/c/?sig=1", "bundles/a.tar") == "https://s.example/c/bundles/a.tar?sig=1"


def test_without_a_stock_image_a_registry_is_needed(bench: Workbench, stored: StoredBundles) -> None:
    nowhere = StoredBundles(**{**vars(stored), "stock_image": None})
    with pytest.raises(UserErrorException, match="my-aks") as caught:
        nowhere.check("svc")
    assert "--stock-image" in caught.value.hint
    StoredBundles(**{**vars(stored), "stock_image": None, "registry": "registry.example"}).check("svc")
