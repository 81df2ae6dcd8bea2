"""An API server for tests that need no cluster behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .api_server import ApiServer, serving


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    with serving(tmp_path) as (server, kubeconfig):
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        yield server
