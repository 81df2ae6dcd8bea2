"""Which clusters a kubeconfig names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelport.domain.errors import WebserviceException
from modelport.targets.kubernetes.kubeconfig import contexts, find_context


def _config(*names: str, **more: Any) -> str:
    return yaml.safe_dump(
        {
            "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": name, "context": {"cluster": "c", "user": "u", **more}} for name in names],
        }
    )


def test_a_context_of_the_second_file(tmp_path: Path) -> None:
    (tmp_path / "one").write_text(_config("a", "b"))
    (tmp_path / "two").write_text(_config("b", "c"))
    environ = {"KUBECONFIG": os.pathsep.join(str(tmp_path / name) for name in ("missing", "one", "two"))}
    assert contexts(environ) == ["a", "b", "c"]
    assert find_context("c", environ).cluster.server == "https://127.0.0.1:1"


def test_a_context_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(_config("a", "b"))
    with pytest.raises(WebserviceException) as caught:
        find_context("x", {"KUBECONFIG": str(tmp_path / "config")})
    assert "no context named 'x'" in caught.value.message
    assert caught.value.hint == "There are: a, b."


def test_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(WebserviceException, match=r"there is no kubeconfig: .* is not there\.\n.*KUBECONFIG"):
        find_context("x", {"KUBECONFIG": str(tmp_path / "config")})


@pytest.mark.parametrize("text", ["[1]", "a: b", "clusters: [{}]\ncontexts: []", "{", "clusters: [{name: c}]"])
def test_a_file_that_is_no_kubeconfig(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(WebserviceException, match="cannot be read as a kubeconfig"):
        contexts({"KUBECONFIG": str(tmp_path / "config")})


def test_a_context_of_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(_config("a", cluster="gone"))
    with pytest.raises(WebserviceException, match="names 'gone', which the file does not have"):
        find_context("a", {"KUBECONFIG": str(tmp_path / "config")})
