"""Settings for a service in a container, while that is being started again."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from modelport.domain.errors import WebserviceException
from modelport.targets.container import servers
from modelport.targets.container.parts import Server
from modelport.targets.container.servers import Servers

from ..storage import samples

SERVICE = samples.service("svc")


def servers_of(*states: tuple[str, bool]) -> Servers:
    """Those of a service whose only container is, at each look, in the next of these states, and says that it accepts
    or nothing of itself."""
    looks = iter(states)

    def look() -> list[Server]:
        status, accepts = next(looks)
        seen = Server(cast(Any, SimpleNamespace(status=status, labels={})))
        seen.__dict__["report"] = SimpleNamespace(accepts=True) if accepts else None
        return [seen]

    made = object.__new__(Servers)
    made._parts = cast(Any, SimpleNamespace(servers=look))
    return made


@pytest.mark.parametrize("before", ["running", "restarting", "paused"])
def test_one_that_is_started_again_is_told_of_new_settings(before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins with those that it was given: a key that was taken away would go on to be good."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    found = servers_of((before, False), ("running", False), ("running", True))._serving(SERVICE)
    assert found is not None and found.accepts


@pytest.mark.parametrize("state", ["exited", "created"])
def test_one_that_does_not_run_is_given_them_when_it_is_started(state: str) -> None:
    servers_of((state, False)).configure(SERVICE)


def test_one_that_says_nothing_in_the_end_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "AGAIN_S", -1.0)
    with pytest.raises(WebserviceException, match="'svc' says nothing of itself, so that it goes on with its old"):
        servers_of(("restarting", False)).configure(SERVICE)
