"""HTTPS: deploy with a certificate, renew it while requests come, and what is refused."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from modelport import InferenceConfig, LocalWebservice, Model
from modelport.exceptions import UserErrorException, WebserviceException
from modelport_scoring import supervisor_pid

from .conftest import Desk
from .serving import Kitchen, open_kitchen

SCRIPT = "def init(): pass\n\ndef run(data): return data\n"
NAME = "models.example.org"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kitchen]:
    with open_kitchen(tmp_path_factory.mktemp("tls")) as kitchen:
        (kitchen.folder / "score.py").write_text(SCRIPT)
        yield kitchen


def issue(authority: trustme.CA, folder: Path) -> dict[str, Any]:
    """New files of a certificate, as arguments of a deployment configuration."""
    folder.mkdir(exist_ok=True)
    issued = authority.issue_cert(NAME, "localhost")
    (folder / "key.pem").write_bytes(issued.private_key_pem.bytes())
    (folder / "certificate.pem").write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    return {"ssl_cert_pem_file": str(folder / "certificate.pem"), "ssl_key_pem_file": str(folder / "key.pem")}


def forget(files: dict[str, Any]) -> None:
    for path in files.values():
        Path(path).unlink()


@pytest.fixture
def service(kitchen: Kitchen, authority: trustme.CA, tmp_path: Path) -> Iterator[LocalWebservice]:
    """A service whose certificate its user has deleted since."""
    files = issue(authority, tmp_path / "given")
    configuration = LocalWebservice.deploy_configuration(ssl_enabled=True, ssl_cname=NAME, auth_enabled=True, **files)
    script = InferenceConfig(entry_script=str(kitchen.folder / "score.py"))
    deployed = Model.deploy(kitchen.workspace, "secure", [], script, configuration)
    deployed.wait_for_deployment()
    forget(files)
    assert isinstance(deployed, LocalWebservice)
    yield deployed
    deployed.delete()


def client(authority: trustme.CA) -> httpx.Client:
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trusted)
    return httpx.Client(verify=trusted, trust_env=False)


def local(service: LocalWebservice) -> str:
    return f"https://localhost:{service.port}/score"


def shown(service: LocalWebservice) -> str:
    """The certificate that a new connection gets."""
    return ssl.get_server_certificate(("localhost", service.port or 0))


def folder_of(service: LocalWebservice) -> Path:
    return service.workspace.folder / "services" / service.name


def test_a_service_with_a_certificate(service: LocalWebservice, authority: trustme.CA) -> None:
    assert service.scoring_uri == f"https://{NAME}:{service.port}/score"
    assert service.swagger_uri == f"https://{NAME}:{service.port}/swagger.json"
    assert service.run("1") == "1"
    headers = {"Authorization": f"Bearer {service.get_keys()[0]}"}
    with client(authority) as https:
        assert https.post(local(service), content="1", headers=headers).json() == "1"
        assert https.post(local(service), content="1").status_code == 401
    without = httpx.get(f"http://localhost:{service.port}/", trust_env=False)
    assert (without.status_code, "https://" in without.text) == (400, True)


def test_the_copies_are_their_owner_s_alone(service: LocalWebservice) -> None:
    copies = folder_of(service) / "tls"
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in copies.iterdir()} == {
        "certificate.pem": "0o600",
        "key.pem": "0o600",
    }
    assert b"PRIVATE" not in (folder_of(service) / "service.json").read_bytes()


def test_a_renewed_certificate_needs_no_restart(
    service: LocalWebservice, authority: trustme.CA, tmp_path: Path
) -> None:
    pid, before = supervisor_pid(folder_of(service)), shown(service)
    headers = {"Authorization": f"Bearer {service.get_keys()[0]}"}
    with client(authority) as https:
        assert https.post(local(service), content="1", headers=headers).status_code == 200
        files = issue(authority, tmp_path / "renewed")
        service.update(deployment_config=LocalWebservice.deploy_configuration(**files))
        wait_until_another(service, before)
        assert https.post(local(service), content="2", headers=headers).json() == "2"
    forget(files)
    assert service.run("1") == "1"
    assert supervisor_pid(folder_of(service)) == pid
    service.stop()
    service.start()
    service.wait_for_deployment()
    assert shown(service) != before
    assert service.run("1") == "1"


def wait_until_another(service: LocalWebservice, before: str) -> None:
    deadline = time.monotonic() + 60
    while shown(service) == before:
        assert time.monotonic() < deadline, "the old certificate is still shown"
        time.sleep(0.05)


def test_tls_is_turned_off_and_on(service: LocalWebservice) -> None:
    service.update(deployment_config=LocalWebservice.deploy_configuration(ssl_enabled=False))
    service.wait_for_deployment()
    assert service.scoring_uri == f"http://localhost:{service.port}/score"
    assert service.run("1") == "1"


def test_what_cannot_be_a_certificate_is_refused_before_anything_is_built(
    kitchen: Kitchen, authority: trustme.CA, tmp_path: Path
) -> None:
    files, other = issue(authority, tmp_path / "one"), issue(authority, tmp_path / "two")
    script = InferenceConfig(entry_script=str(kitchen.folder / "score.py"))
    for wrong, text in (
        ({**files, "ssl_key_pem_file": other["ssl_key_pem_file"]}, "does not match"),
        ({**files, "ssl_cert_pem_file": str(tmp_path / "none.pem")}, "none.pem cannot be read"),
    ):
        configuration = LocalWebservice.deploy_configuration(ssl_enabled=True, ssl_cname=NAME, **wrong)
        with pytest.raises(UserErrorException, match=text):
            Model.deploy(kitchen.workspace, "refused", [], script, configuration)
    assert kitchen.workspace.registry.service("refused") is None
    with pytest.raises(WebserviceException, match="needs ssl_cert_pem_file, ssl_key_pem_file and ssl_cname"):
        LocalWebservice.deploy_configuration(ssl_enabled=True)
    with pytest.raises(WebserviceException, match="must be provided together"):
        LocalWebservice.deploy_configuration(ssl_cert_pem_file=files["ssl_cert_pem_file"])


def test_the_deployment_file(shop: Desk, authority: trustme.CA) -> None:
    files = issue(authority, shop.folder / "pem")
    shop.write(
        "dc.yml",
        "computeType: local\nsslEnabled: true\nsslCertificate: pem/certificate.pem\nsslKey: pem/key.pem\n"
        f"cname: {NAME}\n",
    )
    deployed = shop.run("modelport model deploy -n times -m factor:1 --es score.py --dc dc.yml").json
    assert deployed["sslEnabled"] is True
    assert deployed["scoringUri"].startswith(f"https://{NAME}:")
    forget(files)
    assert shop.run("""modelport service run -n times -d '{"data": [4]}'""").json == [8]
