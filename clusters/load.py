"""Clients that send requests all the while something else happens."""

from __future__ import annotations

import ipaddress
import threading
from collections import Counter
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from clusters.node_settings import SERVICES

_TIMEOUT_S = 20


class Load:
    """A handful of clients of one address of this machine: half of them keep their connections, half make new ones.
    They stop by themselves after so many requests. ``pause_s``: what each waits after an answer."""

    def __init__(
        self,
        url: str,
        body: Any,
        *,
        key: str | None = None,
        clients: int = 4,
        at_most: int = 20_000,
        pause_s: float = 0.0,
    ) -> None:
        host = ipaddress.ip_address(str(urlsplit(url).hostname))
        assert host in ipaddress.ip_network(SERVICES), "loads are for the cluster of this machine alone"
        self._url, self._body = url, body
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._left, self._pause_s = at_most, pause_s
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.answers: Counter[str] = Counter()
        """How often which text was answered with 200."""
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._send, args=(number % 2 == 0,)) for number in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def count(self) -> int:
        """Requests that were answered."""
        return sum(self.answers.values())

    def _send(self, keeps: bool) -> None:
        headers = self._headers if keeps else {**self._headers, "Connection": "close"}
        with httpx.Client(headers=headers, timeout=_TIMEOUT_S, trust_env=False) as client:
            while not self._over.is_set() and self._take():
                try:
                    answer = client.post(self._url, json=self._body)
                    said = answer.text if answer.status_code == 200 else None
                    trouble = f"{answer.status_code} {answer.text}"
                except httpx.HTTPError as error:
                    said, trouble = None, f"{type(error).__name__}: {error}"
                with self._lock:
                    if said is None:
                        self.failures.append(trouble)
                    else:
                        self.answers[said] += 1
                self._over.wait(self._pause_s)

    def _take(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0
