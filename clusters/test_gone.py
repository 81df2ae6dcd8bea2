"""A cluster that is gone for good, or whose context is: what is here can be removed all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clusters.bench import Bench, ask, eventually
from modelport.domain.errors import WebserviceException
from modelport.sdk.aks import AksWebservice


def test_a_service_whose_context_is_gone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is forgotten only when that is asked for; and the commands that are printed then find and remove the rest,
    should the cluster come back."""
    service = bench.deploy("line", bench.inference("one"))
    assert ask(service) == "one"
    empty = bench.folder / "kubeconfig"
    empty.write_text("apiVersion: v1\nkind: Config\nclusters: []\nusers: []\ncontexts: []\n")
    monkeypatch.setenv("KUBECONFIG", str(empty))
    refused = _delete("line")
    assert refused.returncode != 0
    assert "no context named 'admin'" in refused.stderr
    assert "modelport service delete --force -n line" in refused.stderr
    deleted = _delete("line", "--force")
    said = deleted.stdout + deleted.stderr
    assert deleted.returncode == 0, said
    with pytest.raises(WebserviceException, match="WebserviceNotFound"):
        AksWebservice(bench.workspace, "line")

    monkeypatch.setenv("KUBECONFIG", str(bench.node.kubeconfig))
    assert "deployments" in " ".join(bench.left()), "the cluster still has it"
    shows, removes = (line.strip() for line in said.splitlines() if "--selector" in line)
    assert "deployment.apps/line" in _run(shows)
    _run(removes)
    (last,) = (line for line in said.splitlines() if "delete namespace" in line)
    _run(last[last.index("kubectl") :])
    eventually(lambda: bench.left() == [], "nothing of it is left")


def _delete(name: str, *more: str) -> subprocess.CompletedProcess[str]:
    """In another process: one that has asked the cluster before keeps its connections."""
    program = str(Path(sys.executable).with_name("modelport"))
    command = [program, "service", "delete", "-n", name, *more, "-w", "tests"]
    return subprocess.run(command, capture_output=True, text=True)


def _run(command: str) -> str:
    """As somebody would who copies the line into a shell."""
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=os.environ)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
