"""What is written down of images that were brought somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelport.targets.kubernetes.settings import Archive, BundleArchive, Fetch, ServingImage
from modelport.usecases.image_records import ImageRecords

BUNDLE = BundleArchive(url="https://s.example/bundle?signed", digest="d", sha256="s")
PUBLISHED = ServingImage(reference="registry.example/line@sha256:1", interpreter=("python3", "-P"))
STORED = ServingImage(
    reference="registry.example/serving@sha256:2",
    interpreter=("/opt/python",),
    keeps_python_path=True,
    fetch=Fetch(bundle=BUNDLE, environment=Archive(url="https://s.example/e", sha256="e"), credentials_secret="store"),
)


@pytest.mark.parametrize("image", [PUBLISHED, STORED])
def test_it_comes_back_for_the_place_that_it_was_brought_to(tmp_path: Path, image: ServingImage) -> None:
    records = ImageRecords(tmp_path / "published")
    assert records.find("line-1", brought_to="registry.example") is None
    records.keep("line-1", image, brought_to="registry.example")
    assert records.find("line-1", brought_to="registry.example") == image
    assert records.find("line-1", brought_to="another.example") is None
    (file,) = records.folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_bytes(file.read_bytes()[:-1])
    assert records.find("line-1", brought_to="registry.example") is None, "it is brought there again"
