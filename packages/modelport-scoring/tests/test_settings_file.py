"""Settings that a target gives in a watched file: taken over without a restart, as far as that can be."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
import trustme

from image_packages import Package
from modelport_scoring import (
    ControlClient,
    RevisionSettings,
    ServiceSettings,
    SettingsInvalid,
    SwitchFailed,
    read_settings,
)
from modelport_scoring.container.settings_file import SettingsFile, read_content
from modelport_scoring.failures import Failure
from modelport_scoring.processes.backoff import BackOff
from scoring_services import PATIENCE_S, wait_until, write_bundle

SCRIPT = """
import os

def init():
    if "fail" in os.environ:
        raise ValueError("no such luck")

def run(data):
    return int(os.environ["MODELPORT_REVISION"])
"""


class SecretVolume:
    """Files as the kubelet mounts them: the folder of all is a link, which is replaced when any of them changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._version = 0
        folder.mkdir()

    def write(self, **files: bytes) -> None:
        self._version += 1
        version = self.folder / f"..{self._version}"
        version.mkdir()
        for name, content in files.items():
            path = version / name.replace("_", ".")
            path.write_bytes(content)
            path.chmod(0o440)
            link = self.folder / path.name
            if not link.is_symlink():
                link.symlink_to(f"..data/{path.name}")
        aside = self.folder / "..data_tmp"
        aside.symlink_to(version.name)
        aside.rename(self.folder / "..data")


class Target(Package):
    """A package whose settings come from a volume."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, SCRIPT)
        self.volume = SecretVolume(folder / "secret")
        self.wanted: dict[str, Any] = json.loads((self.server / "service.json").read_bytes())
        (self.server / "service.json").write_text("the package's own is not looked at")
        self.tell()

    def tell(self, **changes: Any) -> None:
        """Write other settings into the volume."""
        self.wanted |= msgspec.to_builtins(changes)
        self.volume.write(service_json=json.dumps(self.wanted).encode())

    def start_with_volume(self) -> None:
        self.start(options=("--settings", str(self.volume.folder / "service.json")))

    def wait_for(self, text: str, *, times: int = 1) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while len(re.findall(text, self.log)) < times:
            assert time.monotonic() < deadline, f"not in time: {text}, in the log: {self.log}"
            time.sleep(0.05)

    @property
    def in_force(self) -> ServiceSettings:
        return read_settings(self.folder)

    def revision(self, number: int, **more: Any) -> dict[str, Any]:
        bundle = write_bundle(self.root / f"bundle-{number}", SCRIPT)
        return {"number": number, "bundle": str(bundle), "interpreter": [sys.executable], **more}


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    target = Target(tmp_path)
    yield target
    target.end()


@contextmanager
def load(target: Target) -> Iterator[list[object]]:
    """A client that asks without a pause, with a key; what it got besides 200 is in the list."""
    wrong: list[object] = []
    stop = threading.Event()

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", target.in_force.port, timeout=PATIENCE_S)
        while not stop.is_set():
            connection.request("POST", "/score", body="1", headers={"Authorization": "Bearer key"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                wrong.append(answer.status)
        connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield wrong
    finally:
        stop.set()
        thread.join()


def test_settings_are_taken_over_while_requests_come(target: Target) -> None:
    target.start_with_volume()
    target.healthy()
    assert target.in_force.revision.bundle == str(target.server), "paths are relative to the package"
    with load(target) as wrong:
        digest = hashlib.sha256(b"key").hexdigest()
        target.tell(auth={"enabled": True, "key_digests": [digest]}, workers=2, limits={"max_queue_length": 7})
        target.wait_for("the new settings [0-9a-f]{12} are in force\n")
        assert target.ask("POST", "/score", "1")[0] == 401
        assert target.in_force.limits.max_queue_length == 7
        target.tell(
            others=[target.revision(2)],
            traffic={"version_header": "x-version", "weights": {"2": 50}},
            worker_start="fork",
        )
        target.wait_for("in force\n", times=2)
        assert ControlClient(target.folder).status().revisions[1].percent == 50
        target.tell(revision=target.wanted["others"][0], others=[target.wanted["revision"]], traffic={})
        target.wait_for("in force\n", times=3)
        status = ControlClient(target.folder).status()
        assert (status.revision, [each.revision for each in status.revisions]) == (2, [2, 1])
        target.tell(others=[])
        target.wait_for("in force\n", times=4)
    assert wrong == []
    assert target.log.count("in force") == 4


def test_what_cannot_be_taken_over_is_named_once(target: Target) -> None:
    target.start_with_volume()
    target.healthy()
    port = target.in_force.port
    revision = {**target.wanted["revision"], "environment_variables": {"A": "b"}, "workers": 2}
    target.tell(port=port + 1, path_prefix="/other", revision=revision, cors_origins=["*"])
    target.wait_for(
        "in force, but for port, path_prefix, environment_variables of revision 1: "
        "they change when the service is started again"
    )
    kept = target.in_force
    assert (kept.port, kept.path_prefix, kept.revision.environment_variables) == (port, "", {})
    assert (kept.cors_origins, kept.revision.workers) == (["*"], 2)
    target.volume.write(service_json=b'{"name": "demo", "wrokers": 1}')
    target.wait_for("the old ones stay in force: .*service.json: Object contains unknown field `wrokers`")
    target.volume.write(service_json=b'{"name": "caf\xe9"}')
    target.wait_for("the old ones stay in force: .*service.json: 'utf-8' codec can't decode byte 0xe9")
    target.tell(revision={**target.wanted["revision"], "interpreter": ["/bin/\0"]})
    target.wait_for("the old ones stay in force: .*null (byte|character)")
    target.tell(revision={**target.wanted["revision"], "bundle": "/nowhere"})
    target.wait_for("the old ones stay in force: the bundle of revision 1: /nowhere/bundle.json: No such file")
    broken = target.revision(3, environment_variables={"fail": "yes"})
    target.tell(revision=revision, others=[broken])
    target.wait_for("are not taken over, the old ones stay in force: no such luck")
    (target.volume.folder / "..data").unlink()
    target.wait_for("the old ones stay in force: .*service.json: No such file")
    time.sleep(2.5)  # looks at it twice more
    assert target.log.count("in force, but for") == 1
    assert len(re.findall("stay in force: no such luck", target.log)) == 1
    assert target.log.count("service.json: No such file") == 1
    assert target.in_force == kept
    assert target.ask("POST", "/score", "1") == (200, b"1")


def test_a_certificate_of_a_volume_is_renewed(target: Target) -> None:
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    def write_certificate() -> int:
        certificate = authority.issue_cert("127.0.0.1", "localhost")
        files = {"tls_crt": certificate.cert_chain_pems[0].bytes(), "tls_key": certificate.private_key_pem.bytes()}
        target.volume.write(service_json=json.dumps(target.wanted).encode(), **files)
        return serial(files["tls_crt"])

    def shown() -> int | None:
        try:
            address = ("127.0.0.1", target.in_force.port)
            plain = socket.create_connection(address, timeout=5)
            with trusting.wrap_socket(plain, server_hostname="127.0.0.1") as channel:
                der = channel.getpeercert(binary_form=True)
        except (OSError, SettingsInvalid):
            return None
        assert der is not None
        return serial(ssl.DER_cert_to_PEM_cert(der).encode())

    volume = os.path.relpath(target.volume.folder, target.server)
    target.wanted["tls"] = {"certificate": f"{volume}/tls.crt", "key": f"{volume}/tls.key"}
    first = write_certificate()
    target.start_with_volume()
    wait_until(lambda: shown() == first, what="the first certificate")
    second = write_certificate()
    assert first != second
    wait_until(lambda: shown() == second, what="the second certificate")


def serial(pem: bytes) -> int:
    from cryptography import x509

    return x509.load_pem_x509_certificate(pem).serial_number


def test_what_the_system_has_kept_from_being_in_force_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A key that is taken away while the disk is full is not good for ever. What a script raises is tried once."""
    wanted = tmp_path / "wanted.json"
    failures = [
        Failure(phase="start", type="OSError", message="service.json could not be written: No space left on device"),
        Failure(phase="start", type="OSError", message="service.json could not be written: No space left on device"),
        None,
        Failure(phase="init", type="OSError", message="no such luck"),
    ]
    tried = 0

    def apply(_: ControlClient, settings: ServiceSettings) -> list[str]:
        nonlocal tried
        tried += 1
        if (failure := failures[tried - 1]) is not None:
            raise SwitchFailed(failure)
        return []

    monkeypatch.setattr(ControlClient, "apply", apply)
    monkeypatch.setattr(BackOff, "after", lambda *_: 5.0)
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    same = SimpleNamespace(placed=lambda settings: settings, settled=lambda settings: settings, folder=tmp_path)
    revision = RevisionSettings(number=1, bundle="/b", interpreter=["python"])
    settings = ServiceSettings(name="n", workspace="w", revision=revision, port=5001)
    watched = SettingsFile(wanted, taken=b"", placement=cast(Any, same))
    for name, looks in (("first", [(0, 1), (4, 1), (6, 2), (11.5, 3), (20, 3)]), ("second", [(30, 4), (60, 4)])):
        wanted.write_bytes(msgspec.json.encode(msgspec.structs.replace(settings, name=name)))
        for at, expected in looks:
            clock[0] = 100.0 + at
            watched.look()
            assert (tried, watched.refusal is None) == (expected, failures[expected - 1] is None)
    assert capfd.readouterr().err.count("No space left on device") == 1, "said once"


def test_settings_that_cannot_be_read_say_what_to_do(target: Target, tmp_path: Path) -> None:
    process = target.start(options=("--settings", str(tmp_path / "none.json")))
    assert process.wait(PATIENCE_S) == 1
    assert f"The package cannot be served: {tmp_path}/none.json: No such file or directory" in target.log
    secret = tmp_path / "unreadable.json"
    secret.write_text("{}")
    secret.chmod(0)
    euid = os.geteuid()
    try:
        if euid == 0:
            tmp_path.parent.chmod(0o755)
            os.seteuid(10001)
        with pytest.raises(SettingsInvalid, match=r"Permission denied: user \d+ must be able to read it .*fsGroup"):
            read_content(secret)
    finally:
        os.seteuid(euid)
