"""Send one request to a service, as ``service.run`` does."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import Any

import httpx

from modelport.domain.errors import UserErrorException, WebserviceException
from modelport.domain.services import Service, ServiceState, shown_state
from modelport.usecases.context import Context
from modelport.usecases.explain import in_own_files, traceback_in
from modelport.usecases.service_address import local_url
from modelport.usecases.tokens import get_access_token
from modelport.usecases.wait import observe

_TIMEOUT_S = 300.0
NO_HEADERS: Mapping[str, str] = {}
_WORKER_ENDED = re.compile(r"worker \d+ ended \(.*?\)(?=;)")
"""As the scoring server writes it."""


class BadResponse(WebserviceException):
    """The answer is no success. ``response_code`` is its status; ``status_code`` is None, as in v1."""

    def __init__(self, message: str, *, hint: str, response_code: int) -> None:
        super().__init__(message, hint=hint)
        self.response_code = response_code


def score(context: Context, name: str, body: str | bytes, *, headers: Mapping[str, str] = NO_HEADERS) -> Any:
    """POST the body, as it is given, with the service's key; returns the parsed JSON, or the text where it is none.
    ``headers`` are sent besides.

    Raises UserErrorException for what is neither text nor bytes, WebserviceException where the service does not run,
    BadResponse where the answer is no success. Its message has the lines ``Response Code:``, ``Headers:`` and
    ``Content:`` that v1 scripts parse; its hint, the script's traceback.
    """
    _check_body(body)
    service, observation = observe(context, name)
    if observation.state not in (ServiceState.RUNNING, ServiceState.UNHEALTHY, ServiceState.DEPLOYING):
        failure = observation.failure or service.failure
        reason = failure.describe() if failure else ""
        raise WebserviceException(
            f"Error, scoring_uri unavailable: the service {name!r} does not run. It may be a failed or unfinished "
            f"deployment.\nCurrent State: {shown_state(observation.state, service.compute_type)}\nErrors: {reason}",
            hint=f"Start it: modelport service start -n {name}." if observation.state is ServiceState.STOPPED else "",
        )
    port, host, tls = observation.port or service.port or 0, observation.host, observation.speaks_tls
    url = f"{local_url(service, port, host=host, speaks_tls=tls)}/score"
    response = _post(context, service, url, body, {**_named_host(service, host), **headers})
    if response.is_success:
        return _parsed(response)
    raise _bad_response(context, service, response)


def _check_body(body: object) -> None:
    if not isinstance(body, str | bytes):
        raise UserErrorException(
            f"A service is run with text or bytes; this is of type {type(body).__name__}.",
            hint="Make JSON of it: service.run(json.dumps(data)).",
        )


def scoring_headers(context: Context, service: Service) -> dict[str, str]:
    """The headers of a request to the service: JSON, and the primary key or a new token where it asks for one."""
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if service.deployment.auth_enabled and service.keys:
        headers["Authorization"] = f"Bearer {service.keys.primary}"
    if service.deployment.token_auth_enabled:
        headers["Authorization"] = f"Bearer {get_access_token(context, service).access_token}"
    return headers


def _extensions(service: Service) -> dict[str, str]:
    """The name that the certificate must have, though the address is this machine's."""
    name = service.deployment.ssl_cname
    return {"sni_hostname": name} if service.deployment.ssl_enabled and name else {}


def _named_host(service: Service, host: str | None) -> dict[str, str]:
    """For what leads to several services by their names: that of the certificate, where the address is another one."""
    name = service.deployment.ssl_cname if service.deployment.ssl_enabled else None
    return {"Host": name} if name and host and name != host else {}


def _trust_of(context: Context, service: Service) -> ssl.SSLContext | bool:
    """On this machine the service's own certificate is known, whoever signed it: no other one is accepted."""
    certificate = context.target(service).certificate(service)
    if certificate is None:
        return True
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusted.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    trusted.load_verify_locations(certificate)
    return trusted


def _post(context: Context, service: Service, url: str, body: str | bytes, more: Mapping[str, str]) -> httpx.Response:
    headers = {**scoring_headers(context, service), **more}
    try:
        # trust_env=False: a proxy of the environment is not meant for a service on this machine, or of its network
        with httpx.Client(trust_env=False, timeout=_TIMEOUT_S, verify=_trust_of(context, service)) as client:
            return client.post(url, content=body, headers=headers, extensions=_extensions(service))
    except httpx.HTTPError as error:
        # not from the error itself: a script's user would read the HTTP client's forty frames before the message
        raise _unanswered(service, url, error) from ConnectionError(str(error) or type(error).__name__)


def _unanswered(service: Service, url: str, error: httpx.HTTPError) -> WebserviceException:
    """Says what came instead of an answer, where, and what to try."""
    at = f"{service.name!r} at {url}"
    log = f"its log may say why: service.get_logs(), or modelport service get-logs -n {service.name}"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return WebserviceException(
            f"The certificate of the service {at} is none to trust: {error}.",
            hint="Update the service with a certificate that is valid now (ssl_cert_pem_file, ssl_key_pem_file), and "
            f"with the ssl_cname that is in it; now that is {service.deployment.ssl_cname!r}.",
        )
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return WebserviceException(
            f"No connection to the service {at}: {error or type(error).__name__}.",
            hint=f"See whether it runs: service.update_deployment_state(), service.state; {log}.",
        )
    if isinstance(error, httpx.TimeoutException):
        return WebserviceException(
            f"No answer from the service {at} within {_TIMEOUT_S:.0f} s.",
            hint=f"Send fewer rows at once, or POST to service.scoring_uri with a longer time limit; {log}.",
        )
    return WebserviceException(
        f"The connection to the service {at} ended before the answer: {error or type(error).__name__}.",
        hint=f"Send the request again where that does no harm; {log}.",
    )


def _parsed(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return response.text


def _bad_response(context: Context, service: Service, response: httpx.Response) -> BadResponse:
    message = (
        "Received bad response from service. `.get_logs()` on the webservice object tells more.\n"
        f"Response Code: {response.status_code}\nHeaders: {dict(response.headers)}\nContent: {response.content!r}"
    )
    hint = _of_the_script(context, service, response)
    return BadResponse(message, hint=hint, response_code=response.status_code)


def _of_the_script(context: Context, service: Service, response: httpx.Response) -> str:
    """What the log has of the failure, where it is the script that failed: its traceback, or how its process ended."""
    if response.headers.get("x-ms-run-function-failed") != "True":
        return ""
    log = context.target(service).logs(service, lines=200)
    ends = list(_WORKER_ENDED.finditer(log))
    traceback = traceback_in(log[ends[-1].end() :] if ends else log)
    if traceback:
        return f"The last traceback in the log:\n{in_own_files(context, service.active, traceback)}"
    return f"The log says: {ends[-1][0]}" if ends else ""
