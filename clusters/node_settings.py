"""What the parts of the node are told. All ports are of the loopback address."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clusters.name_server import ADDRESS, DOMAIN
from clusters.traces import BRIDGE

API_PORT = 16443
REGISTRY_PORT = 16500
PAUSE_IMAGE = "modelport-test/pause:1"

_ETCD, _ETCD_PEERS = "http://127.0.0.1:16379", "http://127.0.0.1:16380"
_PODS, SERVICES = "10.244.0.0/16", "10.96.0.0/24"

CONTAINERD = """\
version = 2
root = "{folder}/containerd/root"
state = "{folder}/containerd/state"
oom_score = 0
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Machines of tests may not raise the priority of a process.
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""

CNI: Mapping[str, Any] = {
    "cniVersion": "0.4.0",
    "name": "modelport-tests",
    "plugins": [
        {
            "type": "bridge",
            "bridge": BRIDGE,
            "isGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": "10.244.0.0/24"}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}

KUBELET: Mapping[str, Any] = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    # Its port is reached from this machine alone; the API server asks it for logs.
    "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"},
    "cgroupDriver": "cgroupfs",
    "oomScoreAdj": 0,
    "failSwapOn": False,
    "address": "127.0.0.1",
    "port": 16250,
    "healthzPort": 16248,
    "readOnlyPort": 0,
    "clusterDNS": [ADDRESS],
    "clusterDomain": DOMAIN,
    "maxOpenFiles": 20000,
    "evictionHard": {
        "memory.available": "50Mi",
        "nodefs.available": "1%",
        "imagefs.available": "1%",
        "nodefs.inodesFree": "1%",
    },
    "imageGCHighThresholdPercent": 100,
    # Secrets that change are in their pods within seconds.
    "configMapAndSecretChangeDetectionStrategy": "Watch",
    "syncFrequency": "5s",
    "serializeImagePulls": False,
}

REGISTRY: Mapping[str, Any] = {
    "version": "0.1",
    "storage": {"filesystem": {"rootdirectory": "registry"}, "delete": {"enabled": True}},
    "http": {"addr": f"127.0.0.1:{REGISTRY_PORT}"},
    "log": {"level": "warn"},
}


def commands(folder: Path, built: Path) -> dict[str, list[str]]:
    """How each part is started, by its name. Paths of the folder are whole in all of them."""
    kubeconfig = f"--kubeconfig={folder}/kubeconfig"
    return {
        "registry": ["docker-registry", "serve", f"{folder}/registry.yaml"],
        "etcd": _etcd(folder),
        "containerd": ["containerd", "--config", f"{folder}/containerd.toml"],
        "apiserver": [str(built / "kube-apiserver"), *_apiserver(folder)],
        "controllers": [
            str(built / "kube-controller-manager"),
            kubeconfig,
            "--bind-address=127.0.0.1",
            "--secure-port=16257",
            "--port=0",
            f"--cert-dir={folder}/controllers",
            f"--service-account-private-key-file={folder}/accounts.key",
            f"--root-ca-file={folder}/authority.pem",
            "--leader-elect=false",
            "--allocate-node-cidrs=true",
            f"--cluster-cidr={_PODS}",
            f"--service-cluster-ip-range={SERVICES}",
            # a node whose kubelet is gone is noticed within seconds
            "--node-monitor-grace-period=12s",
            "--node-monitor-period=2s",
            # and an autoscaler looks as often as that, at pods that have just come, too
            "--horizontal-pod-autoscaler-sync-period=2s",
            "--horizontal-pod-autoscaler-cpu-initialization-period=5s",
            "--horizontal-pod-autoscaler-initial-readiness-delay=5s",
        ],
        "scheduler": [
            str(built / "kube-scheduler"),
            kubeconfig,
            "--bind-address=127.0.0.1",
            "--secure-port=16259",
            "--port=0",
            f"--cert-dir={folder}/scheduler",
            "--leader-elect=false",
        ],
        "kubelet": [
            str(built / "kubelet"),
            kubeconfig,
            f"--config={folder}/kubelet.yaml",
            f"--root-dir={folder}/kubelet",
            f"--cert-dir={folder}/kubelet/pki",
            "--container-runtime=remote",
            f"--container-runtime-endpoint=unix://{folder}/containerd.sock",
            "--hostname-override=localhost",
            f"--node-ip={_own_address()}",
            "--register-node=true",
        ],
        "proxy": [
            str(built / "kube-proxy"),
            kubeconfig,
            "--proxy-mode=iptables",
            f"--cluster-cidr={_PODS}",
            "--hostname-override=localhost",
            "--bind-address=127.0.0.1",
            "--metrics-bind-address=127.0.0.1:16249",
            "--healthz-bind-address=127.0.0.1:16256",
            # Pods of one bridge answer each other past the rules that lead there, unless this machine is in between.
            "--masquerade-all=true",
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0s",
            "--conntrack-tcp-timeout-close-wait=0s",
            "--oom-score-adj=0",
        ],
    }


def _etcd(folder: Path) -> list[str]:
    return [
        "etcd",
        f"--data-dir={folder}/etcd",
        "--unsafe-no-fsync",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        f"--listen-peer-urls={_ETCD_PEERS}",
        f"--initial-advertise-peer-urls={_ETCD_PEERS}",
        f"--initial-cluster=default={_ETCD_PEERS}",
    ]


def _apiserver(folder: Path) -> list[str]:
    return [
        f"--etcd-servers={_ETCD}",
        "--bind-address=127.0.0.1",
        f"--secure-port={API_PORT}",
        "--insecure-port=0",
        f"--tls-cert-file={folder}/server.pem",
        f"--tls-private-key-file={folder}/server.key",
        f"--cert-dir={folder}/certs",
        f"--service-account-key-file={folder}/accounts.pub",
        f"--service-account-signing-key-file={folder}/accounts.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--api-audiences=https://kubernetes.default.svc",
        f"--token-auth-file={folder}/tokens.csv",
        "--authorization-mode=Node,RBAC",
        f"--service-cluster-ip-range={SERVICES}",
        "--allow-privileged=true",
        "--kubelet-preferred-address-types=Hostname",
        # for APIs of others: the metrics API of the tests
        f"--requestheader-client-ca-file={folder}/aggregator.pem",
        "--requestheader-allowed-names=aggregator",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={folder}/aggregator-client.pem",
        f"--proxy-client-key-file={folder}/aggregator-client.key",
        "--enable-aggregator-routing=true",
        f"--advertise-address={ADDRESS}",
    ]


def _own_address() -> str:
    """An address of this machine that is not of the loopback, for the node's status alone."""
    shown = subprocess.run(
        ["ip", "-4", "-oneline", "address", "show", "scope", "global"], capture_output=True, text=True
    )
    rows = [line.split() for line in shown.stdout.splitlines()]
    return next((row[3].partition("/")[0] for row in rows if row[1] != BRIDGE), ADDRESS)
