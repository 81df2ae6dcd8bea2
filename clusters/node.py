"""A whole Kubernetes on this machine's loopback address: etcd, containerd, the control plane and one node."""

from __future__ import annotations

import json
import shutil
import signal
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import trustme
import yaml

from clusters.images import write_pause_image
from clusters.name_server import answering
from clusters.node_settings import (
    API_PORT,
    CNI,
    CONTAINERD,
    KUBELET,
    PAUSE_IMAGE,
    REGISTRY,
    REGISTRY_PORT,
    commands,
)
from clusters.programs import PATIENCE_S, Programs, wait_until
from clusters.traces import (
    kernel_settings,
    missing_folders,
    mount_hugetlb,
    remove_traces,
    restore_kernel_settings,
    traces,
)

ADMIN = "admin"
NOBODY = "nobody"
"""A user who may do nothing until somebody says so."""


@dataclass(frozen=True)
class Node:
    """One that runs."""

    programs: Programs
    built: Path

    @property
    def kubeconfig(self) -> Path:
        """With a context for each user, named as the user is."""
        return self.programs.folder / "kubeconfig"

    @property
    def registry(self) -> str:
        """Where images are pushed to, and pulled from."""
        return f"localhost:{REGISTRY_PORT}"

    def start(self, *names: str) -> None:
        """Start parts of it; they find what they had."""
        todo = commands(self.programs.folder, self.built)
        for name in names:
            self.programs.start(name, todo[name])

    def kill(self, name: str) -> None:
        """End a part of it without a chance to say goodbye."""
        self.programs.stop(name, how=signal.SIGKILL)

    def api(
        self,
        path: str,
        method: str = "GET",
        *,
        body: object = None,
        kind: str = "application/json",
        token: str = f"{ADMIN}-token",
    ) -> httpx.Response:
        """Ask the API server, as its administrator or who else has that token."""
        return httpx.request(
            method,
            f"https://localhost:{API_PORT}{path}",
            headers={"Authorization": f"Bearer {token}", "Content-Type": kind},
            content=None if body is None else json.dumps(body),
            verify=_trusting(self.programs.folder),
            trust_env=False,
        )

    @property
    def address(self) -> str:
        """Of the node: what runs on this machine is reached there by pods and by the API server."""
        addresses = self.api("/api/v1/nodes/localhost").json()["status"]["addresses"]
        return next(str(one["address"]) for one in addresses if one["type"] == "InternalIP")

    def service_address(self, name: str, namespace: str) -> str | None:
        """Of a Service inside the cluster; None where there is none."""
        answer = self.api(f"/api/v1/namespaces/{namespace}/services/{name}")
        return str(answer.json()["spec"]["clusterIP"]) if answer.is_success else None

    def containers(self, *arguments: str) -> str:
        """What containerd says of those of the cluster."""
        socket = self.programs.folder / "containerd.sock"
        asked = subprocess.run(
            ["ctr", "--address", str(socket), "--namespace", "k8s.io", *arguments], capture_output=True, text=True
        )
        assert asked.returncode == 0, asked.stderr
        return asked.stdout

    @property
    def is_ready(self) -> bool:
        """Whether the node takes pods."""
        try:
            answer = self.api("/api/v1/nodes/localhost")
        except httpx.HTTPError:
            return False
        if answer.is_error:
            return False
        node = answer.json()
        conditions = {one["type"]: one["status"] for one in node["status"].get("conditions", ())}
        return conditions.get("Ready") == "True" and not node["spec"].get("taints")

    def wait_until_ready(self) -> None:
        """Fails with what the parts of it say."""
        done = wait_until(lambda: self.is_ready or bool(self.programs.ended()))
        assert done and self.is_ready, self._explanation()

    def _explanation(self) -> str:
        parts = self.programs.ended() or ["kubelet", "apiserver", "containerd"]
        logs = [f"--- {name} ---\n{self.programs.log(name)}" for name in parts]
        return "\n".join([f"The cluster is not ready after {PATIENCE_S} s.", *logs])


def _trusting(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(folder / "authority.pem"))


@contextmanager
def running_node(folder: Path, built: Path) -> Iterator[Node]:
    """A node that is ready, with its state and logs in the folder; nothing of it is left afterwards."""
    before, others = kernel_settings(), missing_folders()
    node = Node(Programs(folder), built)
    try:
        _write_settings(node)
        mount_hugetlb()
        node.start("registry", "etcd", "containerd", "apiserver")
        done = wait_until(lambda: _is_serving(node) or bool(node.programs.ended()))
        assert done and not node.programs.ended(), node._explanation()
        node.start("controllers", "scheduler")
        node.containers("images", "import", str(write_pause_image(folder / "pause.tar", built / "pause", PAUSE_IMAGE)))
        node.start("kubelet", "proxy")
        node.wait_until_ready()
        with answering(node.service_address):
            yield node
    finally:
        end(node.programs)
        restore_kernel_settings(before)
        for each in others:
            shutil.rmtree(each, ignore_errors=True)
    left = traces()
    assert not left, f"the cluster left {left}"


def _is_serving(node: Node) -> bool:
    try:
        return node.api("/readyz").text == "ok" and (node.programs.folder / "containerd.sock").exists()
    except httpx.HTTPError:
        return False


def end(programs: Programs) -> None:
    """End what runs and take every trace away, also of a node that an earlier run of the tests left."""
    for name in ("kubelet", "proxy", "controllers", "scheduler"):
        programs.stop(name)
    _end_pods(programs)
    for name in programs.names():
        programs.stop(name)
    remove_traces(programs.folder)


def _end_pods(programs: Programs) -> None:
    """The kubelet is gone, and its containers go on until they are killed one by one."""
    socket = programs.folder / "containerd.sock"
    ctr = ["ctr", "--address", str(socket), "--namespace", "k8s.io"]

    def tasks() -> list[str]:
        asked = subprocess.run([*ctr, "tasks", "list", "--quiet"], capture_output=True, text=True, check=False)
        return asked.stdout.split()

    for task in tasks():
        subprocess.run([*ctr, "tasks", "kill", "--all", "--signal", "SIGKILL", task], capture_output=True, check=False)
    wait_until(lambda: _deleted(ctr, tasks()), within_s=20)
    for name in Path("/run/netns").glob("cni-*"):
        subprocess.run(["ip", "netns", "delete", name.name], capture_output=True, check=False)


def _deleted(ctr: list[str], tasks: list[str]) -> bool:
    for task in tasks:
        subprocess.run([*ctr, "tasks", "delete", "--force", task], capture_output=True, check=False)
    return not tasks


def _write_settings(node: Node) -> None:
    folder = node.programs.folder
    authority, aggregator = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    aggregator.cert_pem.write_to_path(str(folder / "aggregator.pem"))
    _write(folder / "server", authority.issue_cert("localhost", "127.0.0.1", "kubernetes.default.svc", "10.96.0.1"))
    _write(folder / "aggregator-client", aggregator.issue_cert(common_name="aggregator"))
    for command in (
        ["genrsa", "-out", "accounts.key", "2048"],
        ["rsa", "-in", "accounts.key", "-pubout", "-out", "accounts.pub"],
    ):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    users = {ADMIN: "system:masters", NOBODY: ""}
    rows = [f'{user}-token,{user},{user},"{group}"\n' for user, group in users.items()]
    (folder / "tokens.csv").write_text("".join(rows))
    node.kubeconfig.write_text(kubeconfig(folder, list(users)))
    (folder / "cni").mkdir()
    (folder / "cni" / "10-bridge.conflist").write_text(json.dumps(CNI))
    (folder / "containerd.toml").write_text(CONTAINERD.format(folder=folder, pause=PAUSE_IMAGE))
    (folder / "kubelet.yaml").write_text(yaml.safe_dump(KUBELET))
    (folder / "registry.yaml").write_text(yaml.safe_dump(REGISTRY))
    folder.chmod(0o711)  # pods have users of their own, and mounts from it


def _write(file: Path, certificate: trustme.LeafCert) -> None:
    certificate.private_key_pem.write_to_path(str(file.with_suffix(".key")))
    for part in certificate.cert_chain_pems:
        part.write_to_path(str(file.with_suffix(".pem")), append=True)


def kubeconfig(folder: Path, users: list[str], *, port: int = API_PORT) -> str:
    """A file of contexts for these users; the first one is the current one."""
    cluster = {"server": f"https://localhost:{port}", "certificate-authority": str(folder / "authority.pem")}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": f"{user}-token"}} for user in users],
            "contexts": [{"name": user, "context": {"cluster": "tests", "user": user}} for user in users],
            "current-context": users[0],
        }
    )
