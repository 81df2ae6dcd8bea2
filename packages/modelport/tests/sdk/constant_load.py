"""A bounded, constant load on one service, whose every answer is kept."""

from __future__ import annotations

import threading
from collections import Counter
from types import TracebackType

import httpx

_CLIENTS = 4
_LONGEST_S = 30.0


class ConstantLoad:
    """Used as a context manager: clients on keep-alive connections ask until it is left. ``answers`` counts
    (status, text); an exception counts with status 0."""

    def __init__(self, uri: str, body: str, *, key: str | None = None) -> None:
        self.answers: Counter[tuple[int, str]] = Counter()
        self._uri, self._body = uri, body
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(_CLIENTS)]

    def __enter__(self) -> ConstantLoad:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(_LONGEST_S)

    def wait_for(self, text: str, *, within_s: float = 60.0) -> None:
        """Return when an answer with that text has come in."""
        deadline = threading.Event()
        timer = threading.Timer(within_s, deadline.set)
        timer.start()
        try:
            while not any(text in answer for _, answer in list(self.answers)):
                assert not deadline.wait(0.005), f"no answer with {text!r} within {within_s} s"
        finally:
            timer.cancel()

    @property
    def failures(self) -> list[tuple[int, str]]:
        """Every answer that was not a 200."""
        return [answer for answer in self.answers if answer[0] != 200]

    def _ask(self) -> None:
        with httpx.Client(trust_env=False, timeout=_LONGEST_S) as client:
            while not self._over.is_set():
                answer = self._one(client)
                with self._lock:
                    self.answers[answer] += 1

    def _one(self, client: httpx.Client) -> tuple[int, str]:
        try:
            response = client.post(self._uri, content=self._body, headers=self._headers)
        except httpx.HTTPError as error:
            return 0, repr(error)
        return response.status_code, response.text
