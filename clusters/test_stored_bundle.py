"""The way without an image of its own: pods fetch what they serve."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusters.bench import Bench, ask
from clusters.store import Store
from modelport import Model
from modelport.domain.errors import WebserviceException


def test_pods_fetch_what_they_serve(bench: Bench, store: Store) -> None:
    """Bundle, model and environment come from the store; another version is another bundle in the same image."""
    target = bench.attach("fetching", store=store.address)
    (bench.folder / "number.txt").write_text("42")
    model = Model.register(bench.workspace, str(bench.folder / "number.txt"), "number")
    reads = {
        "init": "global number; number = open(os.environ['AZUREML_MODEL_DIR'] + '/number.txt').read()",
        "run": "import idna; return [number, idna.__version__]",
    }
    service = bench.deploy(
        "line", bench.inference("one", packages=("idna==3.10",), **reads), models=[model], target=target
    )
    assert ask(service) == ["42", "3.10"]
    (pod,) = bench.pods("line")
    (init,), (container,) = pod["spec"]["initContainers"], pod["spec"]["containers"]
    assert "/modelport-serving:3.11-" in init["image"]
    assert {Path(path).parent.name for path in store.taken} == {"bundles", "environments"}

    service.update(inference_config=bench.inference("two", packages=("idna==3.10",)))
    assert ask(service) == "two"
    (pod,) = bench.pods("line")
    assert pod["spec"]["containers"][0]["image"] == container["image"]


def test_what_is_not_what_was_meant_is_not_served(bench: Bench, store: Store) -> None:
    """Somebody has changed the script in the store."""
    store.damages = True
    with pytest.raises(WebserviceException, match=r"could not be fetched.*SHA-256"):
        bench.deploy("line", bench.inference("one"), target=bench.attach("fetching", store=store.address))
    assert any("bundles" in path for path in store.taken)
