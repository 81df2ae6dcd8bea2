"""What a node changes on its machine, and how that is taken back."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

BRIDGE = "modelport-k8s0"
_CHAINS = ("KUBE-", "CNI-")
_TABLES = ("nat", "filter", "mangle")
_HUGETLB = Path("/sys/fs/cgroup/hugetlb")
_CGROUPS = Path("/sys/fs/cgroup")
_SYSCTLS = (
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "net/ipv4/conf/default/route_localnet",
    "net/netfilter/nf_conntrack_max",
)
"""What the kubelet, kube-proxy and the network plugins set."""


_FOLDERS = ("/var/lib/cni", "/var/lib/kubelet", "/var/log/pods", "/var/log/containers")
"""Where parts of a node keep things wherever they are told to."""


def missing_folders() -> list[Path]:
    """Those that no node has made on this machine yet."""
    return [Path(name) for name in _FOLDERS if not Path(name).exists()]


def kernel_settings() -> dict[str, str]:
    """As they are now."""
    files = {name: Path("/proc/sys") / name for name in _SYSCTLS}
    return {name: file.read_text().strip() for name, file in files.items() if file.exists()}


def restore_kernel_settings(before: Mapping[str, str]) -> None:
    for name, value in kernel_settings().items():
        if before.get(name, value) != value:
            (Path("/proc/sys") / name).write_text(before[name])


def mount_hugetlb() -> None:
    """runc refuses a machine whose controllers of huge pages are in another hierarchy than the others."""
    if not _is_mounted(_HUGETLB) and (_CGROUPS / "memory").is_dir():
        _HUGETLB.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "cgroup", "-o", "hugetlb", "modelport-hugetlb", str(_HUGETLB)], check=True)


def remove_traces(folder: Path) -> None:
    """Mounts below the folder, the bridge, chains of iptables, control groups; then the folder itself."""
    for mount in sorted(_mounts_below(folder), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)
    if Path("/sys/class/net", BRIDGE).exists():
        subprocess.run(["ip", "link", "delete", BRIDGE], check=True)
    for table in _TABLES:
        _remove_chains(table)
    for group in _control_groups():
        group.rmdir()
    if any(line.startswith("modelport-hugetlb ") for line in _mount_lines()):
        subprocess.run(["umount", str(_HUGETLB)], check=False)
        _HUGETLB.rmdir()
    shutil.rmtree(folder)


def traces() -> list[str]:
    """What is there of a node."""
    found = [BRIDGE] if Path("/sys/class/net", BRIDGE).exists() else []
    found += [f"{table} {chain}" for table in _TABLES for chain in _our_chains(_rules(table))]
    return found + [str(group) for group in _control_groups()]


def _remove_chains(table: str) -> None:
    """All of ours and the rules that lead to them in one transaction: what others have in the table stays."""
    rules = _rules(table)
    chains = _our_chains(rules)
    if not chains:
        return
    leading = [rule for rule in rules if rule.startswith("-A ") and _leads_to_ours(rule)]
    script = [f"*{table}", *(f":{chain} - [0:0]" for chain in chains)]
    script += [f"-D{rule[2:]}" for rule in leading] + [f"-X {chain}" for chain in chains] + ["COMMIT", ""]
    subprocess.run(["iptables-restore", "--noflush"], input="\n".join(script), text=True, check=True)


def _rules(table: str) -> list[str]:
    saved = subprocess.run(["iptables-save", "--table", table], capture_output=True, text=True, check=False)
    return saved.stdout.splitlines()


def _our_chains(rules: Iterable[str]) -> list[str]:
    names = (rule[1:].split()[0] for rule in rules if rule.startswith(":"))
    return [name for name in names if name.startswith(_CHAINS)]


def _leads_to_ours(rule: str) -> bool:
    words = rule.split()
    target = words[words.index("-j") + 1] if "-j" in words else ""
    return target.startswith(_CHAINS) and not words[1].startswith(_CHAINS)


def _control_groups() -> Iterator[Path]:
    """Of pods, the innermost first."""
    for top in [*_CGROUPS.glob("kubepods"), *_CGROUPS.glob("*/kubepods")]:
        yield from sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True)
        yield top


def _mounts_below(folder: Path) -> list[str]:
    return [line.split()[1] for line in _mount_lines() if line.split()[1].startswith(f"{folder}/")]


def _is_mounted(folder: Path) -> bool:
    return any(line.split()[1] == str(folder) for line in _mount_lines())


def _mount_lines() -> list[str]:
    return Path("/proc/mounts").read_text().splitlines()
