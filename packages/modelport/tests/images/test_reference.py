"""Names of images, and who asks for them."""

from __future__ import annotations

import base64
import http.server
import json
import threading
from pathlib import Path

import pytest

from modelport.domain.environments import DockerSection
from modelport.domain.progress import Silent
from modelport.exceptions import RegistryException, UserErrorException
from modelport.images import Credentials, ImageSettings, base_credentials
from modelport.images.base_choice import _named, _read_named
from modelport.images.bases import Bases
from modelport.images.registry.credentials import Login, find_login
from modelport.images.registry.reference import Reference

_DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest", "host"),
    [
        ("python", "docker.io", "library/python", "latest", None, "registry-1.docker.io"),
        ("python:3.11-slim", "docker.io", "library/python", "3.11-slim", None, "registry-1.docker.io"),
        ("me/app:1", "docker.io", "me/app", "1", None, "registry-1.docker.io"),
        ("localhost/app", "localhost", "app", "latest", None, "localhost"),
        ("reg.example:5000/a/b-c__d:1.0", "reg.example:5000", "a/b-c__d", "1.0", None, "reg.example:5000"),
        (f"reg.example/a@{_DIGEST}", "reg.example", "a", None, _DIGEST, "reg.example"),
        (f"reg.example/a:1@{_DIGEST}", "reg.example", "a", "1", _DIGEST, "reg.example"),
        ("http://reg.example/a:1", "reg.example", "a", "1", None, "reg.example"),
    ],
)
def test_a_name_is_read(
    text: str, registry: str, repository: str, tag: str | None, digest: str | None, host: str
) -> None:
    found = Reference.parse(text)
    assert (found.registry, found.repository, found.tag, found.digest) == (registry, repository, tag, digest)
    assert found.host == host
    assert found.is_plain is (True if text.startswith("http:") else None)


@pytest.mark.parametrize("text", ["", "Upper/Case", "a b", "reg.example/a:", "reg.example/a@sha256:1", "a:b:c", "a//b"])
def test_a_name_that_none_can_have_is_refused(text: str) -> None:
    with pytest.raises(UserErrorException, match="is no name of an image"):
        Reference.parse(text)


def _config(folder: Path, **content: object) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(content))
    return {"DOCKER_CONFIG": str(folder), "HOME": str(folder), "PATH": str(folder)}


def test_credentials_come_from_dockers_file(tmp_path: Path) -> None:
    auths = {
        "reg.example:5000": {"auth": base64.b64encode(b"me:se:cret").decode()},
        "https://index.docker.io/v1/": {"auth": base64.b64encode(b"hub:x").decode()},
        "token.example": {"auth": base64.b64encode(b"00000000:").decode(), "identitytoken": "tok"},
    }
    environ = _config(tmp_path / "docker", auths=auths)
    assert find_login("reg.example:5000", environ=environ) == Login("me", "se:cret")
    assert find_login("docker.io", environ=environ) == Login("hub", "x")
    assert find_login("token.example", environ=environ) == Login("00000000", "", "tok")
    assert find_login("other.example", environ=environ) is None
    assert "se:cret" not in repr(find_login("reg.example:5000", environ=environ))


def test_credentials_that_are_given_count_more_but_not_for_others(tmp_path: Path) -> None:
    environ = _config(tmp_path / "docker", auths={"reg.example": {"auth": base64.b64encode(b"me:file").decode()}})
    given = Credentials("you", "given", registry="reg.example")
    assert find_login("reg.example", given, environ) == Login("you", "given")
    assert find_login("evil.example", given, environ) is None, "a password goes to the registry that it is for"
    as_url = Credentials("you", "given", registry="https://reg.example/")
    assert find_login("reg.example", as_url, environ) == Login("you", "given")
    assert find_login("evil.example", as_url, environ) is None
    assert find_login("reg.example", Credentials("any", "one"), environ) == Login("any", "one")
    assert "given" not in repr(given)


def test_credentials_of_podman_are_found_too(tmp_path: Path) -> None:
    file = tmp_path / "auth.json"
    file.write_text(json.dumps({"auths": {"reg.example": {"auth": base64.b64encode(b"p:od").decode()}}}))
    environ = {"HOME": str(tmp_path), "REGISTRY_AUTH_FILE": str(file)}
    assert find_login("reg.example", environ=environ) == Login("p", "od")


def test_a_helper_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = _config(tmp_path / "docker", credsStore="mine", credHelpers={"token.example": "mine"})
    helper = tmp_path / "docker" / "docker-credential-mine"
    helper.write_text(
        "#!/bin/sh\nread key\ncase $key in\n"
        'reg.example) echo \'{"Username": "u", "Secret": "s"}\';;\n'
        'token.example) echo \'{"Username": "<token>", "Secret": "t"}\';;\n'
        "*) echo 'credentials not found in native keychain'; exit 1;;\nesac\n"
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/docker:/usr/bin:/bin")
    assert find_login("reg.example", environ=environ) == Login("u", "s")
    assert find_login("token.example", environ=environ) == Login(identity_token="t")
    assert find_login("nobody.example", environ=environ) is None
    helper.unlink()
    with pytest.raises(UserErrorException, match="docker-credential-mine, which has the passwords"):
        find_login("reg.example", environ=environ)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    environ = _config(tmp_path / "docker")
    (tmp_path / "docker" / "config.json").write_text("{")
    with pytest.raises(UserErrorException, match=r"config\.json, which has the passwords"):
        find_login("reg.example", environ=environ)


def of_environment(image: str, address: str | None = None) -> DockerSection:
    registry = {"username": "me", "password": "secret", "address": address}
    return DockerSection(base_image=image, base_image_registry=registry)


def test_a_password_without_an_address_goes_to_the_registry_of_the_image_only(tmp_path: Path) -> None:
    given = base_credentials(of_environment("my.azurecr.io/team/base:1"))
    environ = {"HOME": str(tmp_path)}
    assert find_login("my.azurecr.io", given, environ) == Login("me", "secret")
    assert find_login("docker.io", given, environ) is None
    of_hub = base_credentials(of_environment("me/private:1"))
    assert find_login("docker.io", of_hub, environ) == Login("me", "secret")
    assert find_login("my.azurecr.io", of_hub, environ) is None
    folder = tmp_path / "layout"
    folder.mkdir()
    (folder / "index.json").touch()
    for of_no_registry in ("engine:base", str(folder), "", "./No/Such.tar"):
        assert base_credentials(of_environment(of_no_registry)) is None
    assert base_credentials(DockerSection(base_image="my.azurecr.io/base:1")) is None


@pytest.mark.parametrize("address", ["docker.io", "index.docker.io", "https://index.docker.io/v1/"])
def test_docker_hub_has_several_addresses(tmp_path: Path, address: str) -> None:
    docker, environ = of_environment("me/private:1", address), {"HOME": str(tmp_path)}
    assert find_login("docker.io", base_credentials(docker), environ) == Login("me", "secret")
    assert find_login("my.azurecr.io", base_credentials(docker), environ) is None
    assert _named(docker) == "me/private:1"


@pytest.mark.parametrize("address", ["reg.example", "https://reg.example", "https://reg.example/"])
def test_an_address_stands_before_the_name_once(address: str) -> None:
    for image in ("team/base:1", "reg.example/team/base:1"):
        named = Reference.parse(_named(of_environment(image, address)))
        assert str(named) == "reg.example/team/base:1"


class Closed(http.server.BaseHTTPRequestHandler):
    """A registry that lets nobody in."""

    def do_GET(self) -> None:
        self.send_error(401)

    do_HEAD = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        return None


def test_whose_password_counts_for_a_deployment_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with http.server.HTTPServer(("127.0.0.1", 0), Closed) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"127.0.0.1:{server.server_port}"
        hints = []
        for docker in (of_environment(f"{address}/base:1"), DockerSection(base_image=f"{address}/base:1")):
            with pytest.raises(RegistryException, match="We asked as nobody") as caught:
                _read_named(docker, ImageSettings(), Bases(tmp_path, progress=Silent()))
            hints.append(caught.value.hint)
        server.shutdown()
        thread.join()
    assert f"For deployments, log in: docker login {address} (podman login)." in hints[0]
    assert "For deployments" not in hints[1]
