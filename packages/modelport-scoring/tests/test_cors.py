"""Which pages of other origins may read the answers (the Fetch standard; reference, 5.7)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec
import pytest

from modelport_scoring import ServiceState
from modelport_scoring.errors import SettingsInvalid
from modelport_scoring.settings.checks import check_settings
from modelport_scoring.settings.origins import OriginInvalid, compiled, parse_origins
from scoring_services import Answer, RunningService, Services

PAGE = "https://page.example"
OTHER = "http://localhost:3000"
STRANGER = "https://stranger.example"

RAW = """
from azureml.contrib.services.aml_request import rawhttp
from azureml.contrib.services.aml_response import AMLResponse

def init(): pass

@rawhttp
def run(request):
    response = AMLResponse(request.method, 200)
    if "own" in request.args:
        response.headers["Access-Control-Allow-Origin"] = "https://of-the-script.example"
        response.headers["Access-Control-Allow-Credentials"] = "true"
    if "note" in request.args:
        response.headers["X-Note"] = "no Access-Control-Allow-Origin: is set here"
        response.headers["X-Access-Control-Allow-Origin"] = "nor here"
    if "raise" in request.args:
        raise ValueError("oh")
    return response
"""

ALLOW = "access-control-allow-origin"
ASKS = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    services = Services(tmp_path_factory.mktemp("cors"))
    yield services
    services.end()


@pytest.fixture(scope="module")
def two_origins(made: Services) -> RunningService:
    return made.start(RAW, cors_origins=[PAGE, OTHER])


@pytest.fixture(scope="module")
def any_origin(made: Services) -> RunningService:
    return made.start(cors_origins=["*"])


@pytest.fixture(scope="module")
def by_variable(made: Services) -> RunningService:
    return made.start(variables={"AML_CORS_ORIGINS": f"{PAGE.title()}, {OTHER}/"})


@pytest.fixture(scope="module")
def by_pattern(made: Services) -> RunningService:
    variable = r"https://.*\.example, ^https?://(localhost|127\.0\.0\.1)$, http://[::1]:3000, http://(app|app-dev)"
    return made.start(RAW, variables={"AML_CORS_ORIGINS": variable})


@pytest.fixture(scope="module")
def without(made: Services) -> RunningService:
    return made.start(RAW)


def preflight(service: RunningService, origin: str, path: str = "/score") -> Answer:
    return service.ask("OPTIONS", path, headers={"Origin": origin, **ASKS})


def cors_headers(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize("origin", [PAGE, OTHER])
@pytest.mark.parametrize("kind", ["two_origins", "by_variable"])
def test_preflight_of_an_allowed_origin(kind: str, origin: str, request: pytest.FixtureRequest) -> None:
    answer = preflight(request.getfixturevalue(kind), origin)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers[ALLOW] == origin
    assert answer.headers["access-control-allow-methods"] == "GET, POST"
    assert answer.headers["access-control-allow-headers"] == "authorization,content-type"
    assert answer.headers["access-control-max-age"] == "600"
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers, "a key is a header of the page's own, no cookie"


@pytest.mark.parametrize(
    "origin",
    [
        "https://a.b.example",
        "https://A.EXAMPLE:8443",
        "http://localhost",
        "https://127.0.0.1",
        "http://[::1]:3000",
        "http://app-dev",
        "http://app-dev:3000",
    ],
)
def test_regular_expressions_in_the_variable(by_pattern: RunningService, origin: str) -> None:
    answer = preflight(by_pattern, origin)
    assert (answer.status, answer.headers[ALLOW], answer.headers["vary"]) == (200, origin, "Origin")
    assert by_pattern.score("x", headers={"Origin": origin}).headers[ALLOW] == origin


@pytest.mark.parametrize(
    "origin",
    [
        "https://a.example.stranger.org",
        "https://a.example:80.stranger.org",
        "http://localhost:3000",
        "http://a.example",
        "http://app-device",
        "https://" + "a" * 300 + ".example",
    ],
)
def test_what_goes_on_behind_a_match_is_another_origin(by_pattern: RunningService, origin: str) -> None:
    assert cors_headers(preflight(by_pattern, origin)) == {}


def test_an_expression_that_is_none_is_said_at_the_start(made: Services) -> None:
    wrong = "https://(a|b.example"
    service = made.start(variables={"AML_CORS_ORIGINS": wrong}, until=ServiceState.FAILED)
    assert service.status.failure is not None
    assert service.status.failure.message.startswith(f"the origin {wrong!r} looks like a regular expression, and is no")
    with pytest.raises(SettingsInvalid, match="cors_origins: the origin"):
        check_settings(msgspec.structs.replace(service.settings, cors_origins=[wrong]), path=service.folder)


@pytest.mark.parametrize("wrong", ["https://a)(b", "https://(a){99999999999}", "(" * 5000 + ")" * 5000])
def test_what_no_expression_can_be_is_named(wrong: str) -> None:
    with pytest.raises(OriginInvalid, match="looks like a regular expression, and is none"):
        parse_origins(wrong)


@pytest.mark.parametrize("expression", ["(?i)https://(a|b)", "https://a|https://b[c]?"])
def test_an_expression_keeps_its_meaning_with_a_port_behind_it(expression: str) -> None:
    allowed = compiled(expression)
    assert all(allowed.fullmatch(origin) for origin in (b"https://a", b"https://B", b"https://a:80", b"https://b:80"))
    assert not any(allowed.fullmatch(origin) for origin in (b"https://ab", b"https://a:80.b", b"https://a:", b"://b"))


def test_an_origin_that_is_no_text_is_refused() -> None:
    """As a variable of the environment has it whose bytes are no UTF-8."""
    with pytest.raises(OriginInvalid, match="is no text"):
        parse_origins("http://a.example, http://b\udcff.example")


def test_preflight_of_the_document(two_origins: RunningService) -> None:
    answer = preflight(two_origins, PAGE, "/swagger.json")
    assert (answer.status, answer.headers[ALLOW]) == (200, PAGE)
    assert answer.headers["access-control-allow-headers"] == "authorization,content-type"


@pytest.mark.parametrize("origin", [STRANGER, "https://page.example.stranger.example", "https://PAGE.example", "null"])
def test_preflight_of_any_other_origin_allows_nothing(two_origins: RunningService, origin: str) -> None:
    answer = preflight(two_origins, origin)
    assert (answer.status, cors_headers(answer)) == (200, {})
    assert answer.headers["vary"] == "Origin"


def test_the_answer_itself(two_origins: RunningService) -> None:
    allowed = two_origins.score("x", headers={"Origin": PAGE})
    assert (allowed.body, allowed.headers[ALLOW], allowed.headers["vary"]) == (b"POST", PAGE, "Origin")
    assert "x-ms-request-id" in allowed.headers["access-control-expose-headers"]
    for headers in ({"Origin": STRANGER}, {}):
        answer = two_origins.score("x", headers=headers)
        assert (answer.body, cors_headers(answer), answer.headers["vary"]) == (b"POST", {}, "Origin")


def test_answers_alternate_with_their_origins_on_one_connection(two_origins: RunningService) -> None:
    connection = two_origins.connect()
    for origin in (PAGE, STRANGER, OTHER, PAGE):
        connection.request("POST", "/score", body=b"x", headers={"Origin": origin})
        answer = connection.getresponse()
        answer.read()
        assert answer.getheader(ALLOW) == (None if origin == STRANGER else origin)


def test_an_error_can_be_read_too(two_origins: RunningService) -> None:
    answer = two_origins.ask("GET", "/score?raise=1", headers={"Origin": PAGE})
    assert (answer.status, answer.headers[ALLOW]) == (502, PAGE)


@pytest.mark.parametrize("origin", [PAGE, STRANGER, None])
@pytest.mark.parametrize(
    ("status", "method", "path", "headers"),
    [
        pytest.param(431, "GET", "/score", {"x-ms-request-id": "x" * 101}, id="an id that is too long"),
        pytest.param(413, "POST", "/score", {"Content-Length": str(10**12)}, id="a body that is too large"),
        pytest.param(417, "POST", "/score", {"Content-Length": "1", "Expect": "more"}, id="what is not expected"),
    ],
)
def test_what_is_refused_by_its_head_can_be_read_too(
    two_origins: RunningService,
    origin: str | None,
    status: int,
    method: str,
    path: str,
    headers: dict[str, str],
) -> None:
    """Without that a page learns nothing but that there was an error, and not which limit it has met."""
    asked = headers if origin is None else {"Origin": origin, **headers}
    answer = two_origins.ask(method, path, headers=asked)
    assert (answer.status, answer.headers["vary"]) == (status, "Origin")
    assert answer.headers.get(ALLOW) == (PAGE if origin == PAGE else None)
    assert ("access-control-expose-headers" in answer.headers) is (origin == PAGE)


def test_what_is_no_http_is_refused_for_any_origin(any_origin: RunningService) -> None:
    answer = any_origin.raw(b"GET / HTTP/1.1\r\nno header\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"\r\naccess-control-allow-origin: *\r\n" in answer


def test_any_origin(any_origin: RunningService) -> None:
    assert preflight(any_origin, STRANGER).headers[ALLOW] == "*"
    assert preflight(any_origin, "null").headers[ALLOW] == "*"
    answer = any_origin.score("x", headers={"Origin": STRANGER})
    assert (answer.headers[ALLOW], "vary" in answer.headers) == ("*", False)
    assert any_origin.score("x").headers[ALLOW] == "*", "a cache may give the answer to a page"


def test_a_page_may_ask_before_it_has_a_key(made: Services) -> None:
    auth = {"enabled": True, "key_digests": [hashlib.sha256(b"key").hexdigest()]}
    service = made.start(cors_origins=[PAGE], auth=auth)
    assert (preflight(service, PAGE).status, preflight(service, PAGE).headers[ALLOW]) == (200, PAGE)
    refused = service.score("x", headers={"Origin": PAGE})
    assert (refused.status, refused.headers[ALLOW]) == (401, PAGE), "the page can read why"
    assert service.score("x", headers={"Origin": PAGE, "Authorization": "Bearer key"}).json == "x"


def test_the_documents_and_the_health_can_be_read_too(two_origins: RunningService) -> None:
    for path in ("/", "/swagger.json"):
        answer = two_origins.ask("GET", path, headers={"Origin": PAGE})
        assert (answer.status, answer.headers[ALLOW]) == (200, PAGE)


def test_the_inference_protocol_can_be_spoken_too(any_origin: RunningService) -> None:
    """A page that gets binary tensors has to read the header that says where they begin."""
    path, header = "/v2/models/demo/infer", "inference-header-content-length"
    asks = {**ASKS, "Origin": PAGE, "Access-Control-Request-Headers": header}
    allowed = any_origin.ask("OPTIONS", path, headers=asks)
    assert (allowed.status, allowed.headers["access-control-allow-headers"]) == (200, header)
    answer = any_origin.ask("POST", path, body="{}", headers={"Origin": PAGE})
    assert (answer.status, answer.headers[ALLOW]) == (400, "*")
    assert header in answer.headers["access-control-expose-headers"].split(", ")


def test_options_that_is_no_preflight_reaches_a_raw_script(two_origins: RunningService) -> None:
    assert two_origins.ask("OPTIONS", "/score").body == b"OPTIONS"
    answer = two_origins.ask("OPTIONS", "/score", headers={"Origin": PAGE})
    assert (answer.body, answer.headers[ALLOW]) == (b"OPTIONS", PAGE)


def test_without_the_setting_a_raw_script_answers_for_itself(without: RunningService) -> None:
    answer = preflight(without, PAGE)
    assert (answer.status, answer.body, cors_headers(answer)) == (200, b"OPTIONS", {})
    own = preflight(without, PAGE, "/score?own=1")
    assert cors_headers(own) == {ALLOW: "https://of-the-script.example", "access-control-allow-credentials": "true"}
    assert "vary" not in own.headers


def test_what_the_script_says_of_its_answer_is_not_said_twice(two_origins: RunningService) -> None:
    with two_origins.raw_connection() as channel:
        lines = b"Host: x\r\nOrigin: " + PAGE.encode() + b"\r\nConnection: close\r\n\r\n"
        channel.sendall(b"GET /score?own=1 HTTP/1.1\r\n" + lines)
        received = b""
        while chunk := channel.recv(65536):
            received += chunk
    assert received.lower().count(ALLOW.encode()) == 1, "a browser refuses an answer with two"
    assert b"https://of-the-script.example" in received


def test_what_only_mentions_the_header_is_no_word_of_the_script(two_origins: RunningService) -> None:
    answer = two_origins.ask("GET", "/score?note=1", headers={"Origin": PAGE})
    assert answer.headers[ALLOW] == PAGE
