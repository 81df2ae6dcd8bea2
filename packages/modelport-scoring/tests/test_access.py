"""Keys and tokens at the gate."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import ECKey, RSAKey

from modelport_scoring import AuthSettings, RequestRefused, SettingsInvalid, TokenKey, TokenSettings
from modelport_scoring.access import tokens
from modelport_scoring.access.decisions import Denied, Granted
from modelport_scoring.access.gate import Gate
from modelport_scoring.settings.checks import check_auth
from scoring_services import Services, wait_until

NOW = 1_800_000_000.0
LEFT_S = 2.0
"""Until a token that is used expires: more than two requests take, on a busy machine too."""

ISSUER, AUDIENCE = "urn:tests:workspace", "urn:tests:workspace:service:demo"
KEY = ECKey.generate_key("P-256", {"kid": "first"})
NEXT_KEY = ECKey.generate_key("P-256", {"kid": "second"})
UNKNOWN_KEY = ECKey.generate_key("P-256", {"kid": "first"})

PLAIN = b"www-authenticate: Bearer\r\n"
INVALID = b'www-authenticate: Bearer error="invalid_token"\r\n'


def published(key: ECKey, *, not_after: int | None = None) -> TokenKey:
    public = key.as_dict(private=False)
    return TokenKey(kid=str(key.kid), x=str(public["x"]), y=str(public["y"]), not_after=not_after)


def asking_for_tokens(*keys: TokenKey) -> AuthSettings:
    return AuthSettings(token=TokenSettings(issuer=ISSUER, audience=AUDIENCE, keys=list(keys or [published(KEY)])))


def gate(auth: AuthSettings | None = None, *, at: float = NOW) -> Gate:
    return Gate(auth or asking_for_tokens(), now=lambda: at)


def signed(key: Any = KEY, *, alg: str = "ES256", header: Mapping[str, Any] | None = None, **claims: Any) -> bytes:
    """An ``Authorization`` header with a token of that key; None as a claim leaves it out."""
    full = {"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 3600, "nbf": NOW, "jti": "1", **claims}
    present = {name: value for name, value in full.items() if value is not None}
    head = {"alg": alg, "kid": "first", **(header or {})}
    return b"Bearer " + jwt.encode(head, present, key, algorithms=[alg]).encode()


def refusal(answer: Granted | Denied) -> Denied:
    assert isinstance(answer, Denied), answer
    return answer


# --- keys -------------------------------------------------------------------------------------------------------------


def test_without_auth_everybody_passes() -> None:
    assert Gate(AuthSettings()).check(None) == Granted(None)
    assert Gate(AuthSettings()).check(b"Bearer whatever") == Granted(None)


def test_keys_never_end() -> None:
    digests = [hashlib.sha256(key).hexdigest() for key in (b"one", b"two")]
    keys = Gate(AuthSettings(enabled=True, key_digests=digests))
    assert keys.check(b"Bearer one") == keys.check(b"bearer  two ") == Granted(None)
    assert refusal(keys.check(None)) == Denied(401, "Unauthorized, no Auth Header", PLAIN)
    assert refusal(keys.check(b"Basic one")).text.endswith("must be: Bearer <key>")
    assert refusal(keys.check(b"Bearer three")).status == 401


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_passes_until_it_expires() -> None:
    assert gate().check(signed()) == Granted(NOW + 3600 + tokens.LEEWAY_S)
    assert gate().check(signed(aud=["urn:other", AUDIENCE])) == Granted(NOW + 3600 + tokens.LEEWAY_S)


def test_an_expired_token_says_when_and_what_to_do() -> None:
    credential = signed()
    last = NOW + 3600 + tokens.LEEWAY_S
    assert gate(at=last - 1).check(credential) == Granted(last)
    answer = refusal(gate(at=last).check(credential))
    assert (answer.status, answer.challenge) == (401, INVALID)
    assert answer.text == "Unauthorized, the token expired at 2027-01-15 09:00:00 UTC: call service.get_token() again"


def test_a_token_of_the_future_names_the_clocks() -> None:
    credential = signed(nbf=NOW + 100)
    assert "compare the clocks" in refusal(gate().check(credential)).text
    assert isinstance(gate(at=NOW + 100 - tokens.LEEWAY_S).check(credential), Granted)


def test_a_token_for_another_service_is_forbidden() -> None:
    longer = (f"{AUDIENCE}2", f"x {AUDIENCE}")  # another service may have a name that ours is a part of
    for audience in ("urn:other", ["urn:other"], [], "", *longer, list(longer)):
        answer = refusal(gate().check(signed(aud=audience)))
        assert (answer.status, answer.challenge) == (
            403,
            b'www-authenticate: Bearer error="insufficient_scope"\r\n',
        )
        assert answer.text.startswith("Forbidden, the token is valid, but for another service")


@pytest.mark.parametrize(
    ("claims", "text"),
    [
        ({"iss": "urn:other"}, tokens.WRONG_ISSUER),
        ({"iss": None}, tokens.WRONG_CLAIMS),
        ({"aud": None}, tokens.WRONG_CLAIMS),
        ({"exp": None}, tokens.WRONG_CLAIMS),
        ({"exp": "tomorrow"}, tokens.WRONG_CLAIMS),
        ({"exp": True}, tokens.WRONG_CLAIMS),
        ({"nbf": "yesterday"}, tokens.WRONG_CLAIMS),
        ({"exp": -1e300}, tokens.EXPIRED.format(when="-1e+300")),
    ],
)
def test_wrong_claims_are_401(claims: dict[str, Any], text: str) -> None:
    answer = refusal(gate().check(signed(**claims)))
    assert (answer.status, answer.text, answer.challenge) == (401, text, INVALID)


def test_algorithms_cannot_be_chosen_by_the_client() -> None:
    """The classics: no signature at all, and the public key taken for an HMAC secret."""
    secrets = (KEY.as_pem(private=False), json.dumps(KEY.as_dict(private=False)).encode())
    forged = [hmac_signed(secret) for secret in secrets] + [signed(RSAKey.generate_key(2048), alg="RS256")]
    for credential in forged:
        assert refusal(gate().check(credential)).text == tokens.WRONG_ALGORITHM
    claims = signed().split(b".")[1]
    for alg in ("none", "None", "NONE", "", None, 1, ["ES256"]):
        head = encoded({"alg": alg, "kid": "first"})
        for signature in (b"", signed().split(b".")[2]):
            answer = refusal(gate().check(b"Bearer " + b".".join((head, claims, signature))))
            assert answer.text == tokens.WRONG_ALGORITHM


def hmac_signed(secret: bytes) -> bytes:
    text = b".".join((encoded({"alg": "HS256", "kid": "first"}), signed().split(b".")[1]))
    signature = hmac.digest(secret, text, "sha256")
    return b"Bearer " + b".".join((text, base64.urlsafe_b64encode(signature).rstrip(b"=")))


def encoded(value: Any) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def test_another_key_with_the_same_id_is_refused() -> None:
    assert refusal(gate().check(signed(UNKNOWN_KEY))).text == tokens.WRONG_SIGNATURE


def test_a_key_in_the_token_itself_is_not_believed() -> None:
    answer = gate().check(signed(UNKNOWN_KEY, header={"jwk": UNKNOWN_KEY.as_dict(private=False)}))
    assert refusal(answer).text == tokens.WRONG_SIGNATURE


def test_a_key_id_is_needed_and_must_be_known() -> None:
    assert refusal(gate().check(signed(header={"kid": "third"}))).text == tokens.UNKNOWN_KEY
    head, claims, signature = signed().removeprefix(b"Bearer ").split(b".")
    nameless = encoded({"alg": "ES256"})
    assert refusal(gate().check(b"Bearer " + b".".join((nameless, claims, signature)))).status == 401
    assert head != nameless


def test_an_extension_that_must_be_understood_is_refused() -> None:
    head = encoded({"alg": "ES256", "kid": "first", "crit": ["exp"], "exp": 1})
    claims = signed().split(b".")[1]
    obj = jws.serialize_compact({"alg": "ES256", "kid": "first"}, head + b"." + claims, KEY)
    credential = b"Bearer " + b".".join((head, claims, obj.encode().split(b".")[2]))
    assert refusal(gate().check(credential)).status == 401


def test_what_is_no_token_is_told_apart() -> None:
    for text in (b"a-key-of-old", b"", b"a.b", b"a.b.c.d", b"!!.b.c", b"\xff.\xff.\xff", b"x" * 60_000):
        answer = refusal(gate().check(b"Bearer " + text))
        assert (answer.status, answer.text) == (401, tokens.NOT_A_TOKEN)
    assert refusal(gate().check(signed(more="x" * tokens.MOST_TOKEN_BYTES))).text == tokens.NOT_A_TOKEN
    assert refusal(gate().check(None)) == Denied(401, "Unauthorized, no Auth Header", PLAIN)
    assert refusal(gate().check(b"Basic x")).text.endswith("must be: Bearer <token>")


def test_tokens_pass_until_their_key_has_been_replaced() -> None:
    """Both keys pass while the old one's tokens run out; then only the new one."""
    retired_at = int(NOW) + 600
    both = asking_for_tokens(published(NEXT_KEY), published(KEY, not_after=retired_at))
    old, new = signed(KEY), signed(NEXT_KEY, header={"kid": "second"})
    assert gate(both).check(old) == Granted(retired_at)
    assert gate(both).check(new) == Granted(NOW + 3600 + tokens.LEEWAY_S)
    assert refusal(gate(both, at=retired_at).check(old)).text == tokens.RETIRED_KEY
    assert isinstance(gate(both, at=retired_at).check(new), Granted)
    assert refusal(gate(asking_for_tokens(published(NEXT_KEY))).check(old)).text == tokens.UNKNOWN_KEY


@settings(max_examples=300, deadline=None)
@given(position=st.integers(0, 400), mask=st.integers(1, 255))
def test_no_changed_token_passes(position: int, mask: int) -> None:
    """Any byte changed in any way: refused with 401, and nothing raised."""
    credential = bytearray(signed().removeprefix(b"Bearer "))
    before = bytes(credential)
    credential[position % len(credential)] ^= mask
    answer = gate().check(b"Bearer " + credential)
    if isinstance(answer, Granted):
        assert same_token(before, bytes(credential))
    else:
        assert answer.status == 401


def same_token(first: bytes, second: bytes) -> bool:
    """Whether two texts are the same token: base64 has spare bits at the end, and surrounding blanks do not count."""
    texts = [each.strip().split(b".") for each in (first, second)]
    decoded = [[base64.urlsafe_b64decode(part + b"==") for part in parts] for parts in texts]
    return decoded[0] == decoded[1]


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=200) | st.lists(st.binary(max_size=60).map(base64.urlsafe_b64encode), max_size=4).map(b".".join)
)
def test_nothing_makes_the_gate_raise(credential: bytes) -> None:
    assert refusal(gate().check(b"Bearer " + credential)).status == 401


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=6,
    )
)
def test_no_head_makes_the_gate_raise(head: Any) -> None:
    for value in (head, {"alg": "ES256", "kid": "first", "typ": head}, {"alg": "ES256", "kid": "first", "crit": head}):
        credential = b"Bearer " + b".".join((encoded(value), encoded(head), b"AAAA"))
        assert refusal(gate().check(credential)).status == 401


def test_what_is_nested_without_end_does_not_make_the_gate_raise() -> None:
    lists = b"[" * 2500 + b"]" * 2500
    head = base64.urlsafe_b64encode(b'{"alg":"ES256","kid":"first","x":%b}' % lists)
    refused = refusal(gate().check(b"Bearer " + head.rstrip(b"=") + b".e30.AAAA")).text
    assert refused in (tokens.NOT_A_TOKEN, tokens.WRONG_SIGNATURE)  # from Python 3.13 on, json reads as deep as that
    claims = b'{"iss":"urn:tests:workspace","x":%b}' % lists
    deep = jws.serialize_compact({"alg": "ES256", "kid": "first"}, claims, KEY).encode()
    assert refusal(gate().check(b"Bearer " + deep)).text == tokens.WRONG_CLAIMS


def test_a_credential_is_never_repeated() -> None:
    for credential in (
        signed(exp=0),
        signed(UNKNOWN_KEY),
        signed(aud="urn:secret"),
        b"Bearer secret-key",
        b"Basic cGFzc3dvcmQ6",
    ):
        answer = refusal(gate().check(credential))
        secret = credential.split(b" ")[1].decode()
        for part in secret.split("."):
            assert part not in answer.text + answer.challenge.decode()
        assert "urn:secret" not in repr(answer)


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        (msgspec.structs.replace(asking_for_tokens(), enabled=True, key_digests=["a" * 64]), "keys and for tokens"),
        (AuthSettings(token=TokenSettings(issuer=ISSUER, audience=AUDIENCE, keys=[])), "needs an issuer"),
        (AuthSettings(token=TokenSettings(issuer=ISSUER, audience="", keys=[published(KEY)])), "needs an issuer"),
        (asking_for_tokens(published(KEY), published(UNKNOWN_KEY)), "the same kid"),
    ],
)
def test_settings_that_cannot_be(auth: AuthSettings, message: str) -> None:
    with pytest.raises(SettingsInvalid, match=message):
        check_auth(auth, path=Path("service.json"))


def test_a_private_key_does_not_fit_into_the_settings() -> None:
    private = {**KEY.as_dict(private=True), "kid": "first"}
    with pytest.raises(msgspec.ValidationError, match="unknown field `d`"):
        msgspec.convert(private, TokenKey)


def test_a_point_off_the_curve_is_refused() -> None:
    public = published(KEY)
    for x in (published(NEXT_KEY).x, "AAAA", "", "!"):
        with pytest.raises(SettingsInvalid, match="'first' is no public key"):
            gate(asking_for_tokens(msgspec.structs.replace(public, x=x)))


# --- the process ------------------------------------------------------------------------------------------------------


def test_only_tokens_load_the_cryptography() -> None:
    program = (
        "import sys, modelport_scoring.server, modelport_scoring as s\n"
        "from modelport_scoring.access.gate import Gate\n"
        "Gate(s.AuthSettings(enabled=True, key_digests=['a' * 64]))\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'joserfc', 'cryptography'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_service_changes_its_kind_of_credential_while_it_runs(services: Services) -> None:
    service = services.start()
    pid = service.status.pid
    token = signed(exp=4e9, nbf=0).decode()
    service.control.configure(auth=asking_for_tokens())
    assert service.score("x").status == 401
    assert service.score("x", headers={"Authorization": token}).status == 200
    assert service.ask("GET", "/").status == 200
    digest = hashlib.sha256(b"a-key").hexdigest()
    service.control.configure(auth=AuthSettings(enabled=True, key_digests=[digest]))
    assert service.score("x", headers={"Authorization": token}).status == 401
    assert service.score("x", headers={"Authorization": "Bearer a-key"}).status == 200
    with pytest.raises(RequestRefused, match="keys and for tokens"):
        service.control.configure(auth=msgspec.structs.replace(service.settings.auth, token=asking_for_tokens().token))
    assert service.status.pid == pid


def test_a_token_ends_on_a_connection_that_has_used_it(services: Services) -> None:
    """There its head is known, and passes without being judged again, until it has expired by the clock."""
    service = services.start(auth=asking_for_tokens())
    token = signed(exp=time.time() - tokens.LEEWAY_S + LEFT_S, nbf=0)
    request = b"POST /score HTTP/1.1\r\nHost: x\r\nAuthorization: %b\r\nContent-Length: 1\r\n\r\nx" % token

    with service.raw_connection() as channel:

        def status() -> bytes:
            channel.sendall(request)
            return channel.recv(10_000)[:12]

        assert [status() for _ in range(2)] == [b"HTTP/1.1 200"] * 2
        wait_until(lambda: status() == b"HTTP/1.1 401", what="the token has expired")
