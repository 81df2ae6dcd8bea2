"""Who may score: services that ask for tokens, and where credentials are never seen."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from modelport import InferenceConfig, LocalWebservice, Model, Webservice
from modelport.usecases.tokens import get_access_token
from modelport_scoring import supervisor_pid

from .conftest import Desk
from .serving import Kitchen, open_kitchen

SCRIPT = "def init(): pass\n\ndef run(data): return data\n"


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kitchen]:
    with open_kitchen(tmp_path_factory.mktemp("tokens")) as kitchen:
        (kitchen.folder / "score.py").write_text(SCRIPT)
        yield kitchen


def deploy(kitchen: Kitchen, name: str, **options: object) -> LocalWebservice:
    configuration = LocalWebservice.deploy_configuration(**options)  # type: ignore[arg-type]
    script = InferenceConfig(entry_script=str(kitchen.folder / "score.py"))
    service = Model.deploy(kitchen.workspace, name, [], script, configuration, overwrite=True)
    service.wait_for_deployment()
    assert isinstance(service, LocalWebservice)
    return service


@pytest.fixture
def asking(kitchen: Kitchen) -> LocalWebservice:
    """A service that asks for tokens."""
    return deploy(kitchen, "asking", token_auth_enabled=True)


def post(service: Webservice, credential: str | None) -> httpx.Response:
    headers = {} if credential is None else {"Authorization": f"Bearer {credential}"}
    return httpx.post(str(service.scoring_uri), content="1", headers=headers, trust_env=False)


def folder_of(service: Webservice) -> Path:
    return service.workspace.folder / "services" / service.name


def test_the_client_of_the_documents(asking: LocalWebservice) -> None:
    """The snippet that v1's documents gave for any service."""
    assert (asking.auth_enabled, asking.token_auth_enabled) == (False, True)
    token, refresh_by = asking.get_token()
    assert dt.datetime.now() < refresh_by < dt.datetime.now() + dt.timedelta(hours=12)
    assert post(asking, token).text == '"1"'
    assert asking.run("1") == "1"
    refused = post(asking, None)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert httpx.get(str(asking.swagger_uri), trust_env=False).status_code == 401
    access = asking.get_access_token()
    assert access.token_type == "Bearer"
    assert access.refresh_after < access.expiry_on


def test_an_expired_token_says_so(asking: LocalWebservice) -> None:
    context = asking.workspace.context
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    service = context.service("asking")
    token = get_access_token(context, service, now=lambda: yesterday).access_token
    answer = post(asking, token)
    assert answer.status_code == 401
    assert answer.json()["message"].startswith("Unauthorized, the token expired at ")
    assert token not in answer.text


def test_a_token_of_another_service_is_forbidden(kitchen: Kitchen, asking: LocalWebservice) -> None:
    other = deploy(kitchen, "other", token_auth_enabled=True)
    answer = post(asking, other.get_token()[0])
    assert answer.status_code == 403
    assert "for another service" in answer.json()["message"]
    assert post(other, other.get_token()[0]).status_code == 200
    other.delete()


def test_a_new_signing_key_needs_no_restart(kitchen: Kitchen, asking: LocalWebservice) -> None:
    pid = supervisor_pid(folder_of(asking))
    old = asking.get_token()[0]
    kitchen.workspace.rotate_token_key()
    new = asking.get_token()[0]
    assert [post(asking, token).status_code for token in (old, new)] == [200, 200]
    kitchen.workspace.rotate_token_key(revoke=True)
    newest = asking.get_token()[0]
    assert [post(asking, token).status_code for token in (old, new, newest)] == [401, 401, 200]
    keys = KeySet.import_key_set(kitchen.workspace.jwks())  # type: ignore[arg-type]
    claims = jwt.decode(newest, keys, algorithms=["ES256"]).claims
    assert claims["aud"].endswith(":service:asking")
    assert supervisor_pid(folder_of(asking)) == pid


def test_the_kind_of_credential_changes_without_a_restart(asking: LocalWebservice) -> None:
    pid = supervisor_pid(folder_of(asking))
    token = asking.get_token()[0]
    asking.update(deployment_config=LocalWebservice.deploy_configuration(auth_enabled=True))
    assert (asking.auth_enabled, asking.token_auth_enabled) == (True, False)
    assert post(asking, token).status_code == 401
    assert post(asking, asking.get_keys()[1]).status_code == 200
    with pytest.raises(NotImplementedError, match="token authentication is off"):
        asking.get_token()
    asking.update(deployment_config=LocalWebservice.deploy_configuration(token_auth_enabled=True))
    assert post(asking, token).status_code == 200
    assert supervisor_pid(folder_of(asking)) == pid


def test_a_key_is_replaced_under_load_and_the_other_one_never_fails(kitchen: Kitchen) -> None:
    service = deploy(kitchen, "keyed", auth_enabled=True)
    pid = supervisor_pid(folder_of(service))
    secondary = service.get_keys()[1]
    statuses: list[int] = []
    done = threading.Event()

    def load() -> None:
        with httpx.Client(trust_env=False, headers={"Authorization": f"Bearer {secondary}"}) as client:
            while not done.is_set():
                statuses.append(client.post(str(service.scoring_uri), content="1").status_code)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        before = service.get_keys()[0]
        service.regen_key("Primary")
        assert post(service, before).status_code == 401
        assert post(service, service.get_keys()[0]).status_code == 200
    done.set()
    for thread in threads:
        thread.join()
    assert len(statuses) > 20
    assert set(statuses) == {200}
    assert supervisor_pid(folder_of(service)) == pid
    service.delete()


def test_a_credential_is_seen_nowhere(kitchen: Kitchen) -> None:
    """Neither in a file of the service, nor in the command line or environment of its processes, nor in an answer."""
    keys = ("known-primary-key-0123", "known-secondary-key-4567")
    service = deploy(kitchen, "secret", auth_enabled=True, primary_key=keys[0], secondary_key=keys[1])
    assert [post(service, key).status_code for key in keys] == [200, 200]
    refusals = [post(service, f"{keys[0]}x"), post(service, None)]
    service.update(deployment_config=LocalWebservice.deploy_configuration(token_auth_enabled=True))
    token = service.get_token()[0]
    assert post(service, token).status_code == 200
    refusals += [post(service, token[:-5]), post(service, token.replace(".", "..")), post(service, keys[0])]
    private = [key.private_key for key in kitchen.workspace.registry.signing_keys()]
    secrets = [*keys, token, *token.split("."), *(line for pem in private for line in pem.splitlines()[1:-1])]
    places = {str(path): path.read_bytes() for path in folder_of(service).rglob("*") if path.is_file()}
    pid = supervisor_pid(folder_of(service))
    assert pid is not None
    for process in processes_of_session(pid):
        for name in ("cmdline", "environ"):
            places[f"{process}/{name}"] = Path(f"/proc/{process}/{name}").read_bytes()
    assert len(places) > 6
    places |= {f"answer {number}": answer.content for number, answer in enumerate(refusals)}
    places |= {f"header {number}": repr(answer.headers).encode() for number, answer in enumerate(refusals)}
    places["repr"] = repr(service).encode() + json.dumps(service.serialize()).encode() + service.get_logs().encode()
    found = [place for place, text in places.items() if any(secret.encode() in text for secret in secrets)]
    assert found == []
    assert {answer.status_code for answer in refusals} == {401}
    service.delete()


def processes_of_session(session: int) -> list[int]:
    listed = subprocess.run(["ps", "-s", str(session), "-o", "pid="], capture_output=True, text=True, check=True)
    return [int(pid) for pid in listed.stdout.split()]


def test_the_command_line(shop: Desk) -> None:
    deployed = shop.run("modelport model deploy -n times -m factor:1 --es score.py --token-auth-enabled true")
    shown = deployed.json
    assert (shown["authEnabled"], shown["tokenAuthEnabled"]) == (False, True)
    token = shop.run("modelport service get-access-token -n times").json
    assert set(token) == {"accessToken", "tokenType", "refreshAfter", "expiryOn"}
    lifetime = dt.datetime.fromisoformat(token["expiryOn"]) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(hours=11) < lifetime <= dt.timedelta(hours=12)
    headers = {"Authorization": f"{token['tokenType']} {token['accessToken']}"}
    answer = httpx.post(shown["scoringUri"], content='{"data": [4]}', headers=headers, trust_env=False)
    assert answer.json() == [8]
    (first,) = shop.run("modelport workspace jwks").json["keys"]
    assert first["alg"] == "ES256"
    changed = shop.run("modelport workspace rotate-token-key").json["keyId"]
    kids = [key["kid"] for key in shop.run("modelport workspace jwks").json["keys"]]
    assert kids == [changed, first["kid"]]
    both = "modelport service update -n times --auth-enabled true --token-auth-enabled true"
    assert "cannot both be True" in shop.run(both, code=1).stderr
