"""One cluster for all tests, and a workspace with it for each."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters.bench import Bench
from clusters.meanwhile import served
from clusters.node import Node, end, running_node
from clusters.programs import Programs
from clusters.store import Store
from containers.bases import CACHE, base_archive
from modelport import Workspace

_BUILD = Path(__file__).parent.parent / "tools" / "kubernetes.sh"
_OPT_OUT = "MODELPORT_TEST_WITHOUT"


def _is_wanted() -> bool:
    return "kubernetes" not in os.environ.get(_OPT_OUT, "").split(",")


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """A cluster that runs; one at a time on a machine, whoever starts it."""
    if not _is_wanted():
        pytest.skip(f"{_OPT_OUT} says so")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "cluster.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _remove_left_over(lock.name)
        # Not pytest's folder: that is too deep for a socket, and full of mounts it could not be removed.
        folder = Path(tempfile.mkdtemp(prefix="modelport-cluster-"))
        Path(lock.name).write_text(str(folder))
        with running_node(folder, _programs()) as node:
            yield node
        Path(lock.name).write_text("")


@pytest.fixture(scope="session")
def base_image() -> Path:
    """What images stand on: a machine of tests may reach no registry of images."""
    return base_archive()


@pytest.fixture
def bench(node: Node, base_image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A workspace to which the cluster is attached. What is left of it goes while the next test begins."""
    home = tmp_path / "home"
    home.mkdir()
    # Layers are made once for a machine, as at home.
    layers = CACHE / "images"
    layers.mkdir(exist_ok=True)
    (home / "images").symlink_to(layers)
    monkeypatch.setenv("MODELPORT_HOME", str(home))
    monkeypatch.delenv("MODELPORT_DATABASE_URL", raising=False)
    monkeypatch.setenv("MODELPORT_BASE_IMAGE", str(base_image))
    monkeypatch.setenv("KUBECONFIG", str(node.kubeconfig))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.chdir(tmp_path)
    workspace = Workspace.create("tests", show_output=False)
    bench = Bench(node, workspace, tmp_path)
    bench.attach()
    try:
        yield bench
    finally:
        workspace.registry.close()
        for namespace in node.api("/api/v1/namespaces?labelSelector=modelport.dev/workspace-id").json()["items"]:
            node.api(f"/api/v1/namespaces/{namespace['metadata']['name']}", "DELETE")


@pytest.fixture
def store(node: Node, tmp_path: Path) -> Iterator[Store]:
    """At the node's address, which this machine and the pods reach."""
    (tmp_path / "store").mkdir()
    with Store(tmp_path / "store", node.address) as store, served(store):
        yield store


def _programs() -> Path:
    """The folder of the programs that tools/kubernetes.sh builds; a second time that is quick."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.fail(f"A cluster needs root and Debian 12: run {_BUILD} there, or set {_OPT_OUT}=kubernetes.")
    built = subprocess.run([str(_BUILD)], capture_output=True, text=True)
    if built.returncode != 0:
        end_of_log = "\n".join(built.stderr.splitlines()[-20:])
        pytest.fail(f"{_BUILD} failed; without a cluster: {_OPT_OUT}=kubernetes.\n{end_of_log}")
    return Path(built.stdout.strip())


def _remove_left_over(lock: str) -> None:
    """What tests left that were killed."""
    folder = Path(lock).read_text().strip()
    if folder and Path(folder).is_dir():
        end(Programs(Path(folder)))
