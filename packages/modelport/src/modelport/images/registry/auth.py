"""How a registry is told who asks: by basic authentication, or by tokens that another server gives.

Source of the protocol: distribution's token authentication specification.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

import httpx

from modelport.images.registry.credentials import Login

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class RegistryAuth(httpx.Auth):
    """Answers the challenges of one registry, and remembers its tokens by scope."""

    def __init__(self, login: Login | None, scope: str) -> None:
        """``scope``: what every token is to allow, such as ``repository:team/name:pull,push``."""
        self._login = login
        self._scopes = [scope]
        self._header: str | None = None

    def also(self, scope: str) -> None:
        """Ask for more from now on."""
        if scope not in self._scopes:
            self._scopes.append(scope)
            self._header = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if self._header is not None:
            request.headers["Authorization"] = self._header
        response = yield request
        if response.status_code != httpx.codes.UNAUTHORIZED:
            return
        kind, _, rest = response.headers.get("WWW-Authenticate", "").partition(" ")
        if kind.lower() == "basic" and self._login is not None:
            self._header = self._login.basic
        elif kind.lower() == "bearer":
            answer = yield self._token_request(dict(_PARAMETER.findall(rest)))
            answer.read()  # this one alone: the others may be large, and are read piece by piece
            if not answer.is_success:
                return
            content = answer.json()
            self._header = f"Bearer {content.get('token') or content.get('access_token', '')}"
        else:
            return
        request.headers["Authorization"] = self._header
        yield request

    def _token_request(self, challenge: dict[str, str]) -> httpx.Request:
        scopes = [*self._scopes, *challenge.get("scope", "").split()]
        service = challenge.get("service", "")
        login = self._login
        if login is not None and login.identity_token:
            form = {"grant_type": "refresh_token", "refresh_token": login.identity_token, "service": service}
            form |= {"scope": " ".join(dict.fromkeys(scopes)), "client_id": "modelport"}
            return httpx.Request("POST", challenge["realm"], data=form)
        parameters: list[tuple[str, Any]] = [("service", service)] if service else []
        parameters += [("scope", scope) for scope in dict.fromkeys(scopes)]
        if login is not None:
            parameters.append(("account", login.username))
        headers = {"Authorization": login.basic} if login is not None else {}
        return httpx.Request("GET", httpx.URL(challenge["realm"]).copy_merge_params(parameters), headers=headers)
