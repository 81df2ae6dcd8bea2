"""Images go to a real registry and come back: Debian's docker-registry, with every way to ask who wants them."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from containers.registries import (
    PASSWORD,
    USER,
    Registry,
    authority,
    breaking_line,
    htpasswd,
    registry,
    token_server,
)
from modelport import CondaDependencies, Environment, InferenceConfig, Model, Workspace
from modelport.bundles import BundleEnvironment, BundleRequest, build_bundle
from modelport.domain.progress import Silent
from modelport.exceptions import RegistryException, UserErrorException
from modelport.images import (
    BuiltImage,
    Credentials,
    ImageSettings,
    Platform,
    build_image,
    copy_images,
    push,
    push_layout,
    stock_image,
)
from modelport.images.bases import Bases
from modelport.images.blobs import Blobs
from modelport.images.configuration import manifest_of
from modelport.images.layers import Entry, write_layer
from modelport.images.layout import keep_image
from modelport.images.publish import push_counted
from modelport.images.registry.push import PIECE_BYTES
from modelport.sdk.environment_sections import ContainerRegistry

HERE = Platform.of_this_machine()
MINE = Credentials(USER, PASSWORD)


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """One that lets everybody in; each test has its own names in it."""
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(autouse=True)
def no_logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of the developer's own."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    (tmp_path / "docker").mkdir()
    return tmp_path / "docker"


def an_image(cache: Path, *contents: bytes, architecture: str = HERE.architecture) -> BuiltImage:
    """One with a layer for each content."""
    platform = Platform(architecture)
    blobs = Blobs(cache)
    layers = [
        write_layer(blobs, f"layer {number}", [Entry(path="/file", content=content)])
        for number, content in enumerate(contents)
    ]
    diff_ids = [layer.diff_id for layer in layers]
    config = json.dumps(
        {
            "os": platform.os,
            "architecture": platform.architecture,
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
    ).encode()
    return keep_image(cache, layers, config, manifest_of(config, layers, {}), platform, name="test")


def pulled(cache: Path, reference: str, credentials: Credentials | None = None) -> list[str]:
    """The diff ids of the image, fetched into an empty cache and read to the end."""
    base = Bases(cache, credentials=credentials, progress=Silent()).read(reference, HERE)
    return [layer.diff_id for layer in base.layers]


def test_what_is_pushed_comes_back(tmp_path: Path, plain: Registry) -> None:
    image = an_image(tmp_path / "here", b"one", os.urandom(1000))
    name = push(image, f"{plain.address}/back/and-forth:1")
    assert name == f"{plain.address}/back/and-forth:1@{image.digest}"
    for reference in (name, f"{plain.address}/back/and-forth:1"):
        assert pulled(tmp_path / reference[-3:], reference) == [layer.diff_id for layer in image.layers]


def test_the_bill_of_materials_is_found_at_the_image(tmp_path: Path, plain: Registry) -> None:
    image = an_image(tmp_path / "here", b"one")
    push(image, f"{plain.address}/with/bill:1")
    push(image, f"{plain.address}/with/bill:2")
    root = f"http://{plain.address}/v2/with/bill"
    accept = {"Accept": "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"}
    index = httpx.get(f"{root}/manifests/{image.digest.replace(':', '-')}", headers=accept).json()
    (entry,) = index["manifests"]
    assert entry["artifactType"] == "application/vnd.cyclonedx+json"
    attached = httpx.get(f"{root}/manifests/{entry['digest']}", headers=accept).json()
    assert attached["subject"]["digest"] == image.digest
    blob = httpx.get(f"{root}/blobs/{attached['layers'][0]['digest']}").content
    assert blob == image.sbom.read_bytes()


def test_an_edited_script_is_pushed_in_kilobytes(tmp_path: Path, plain: Registry) -> None:
    """Counted where they arrive: the registry's own store, and what the client sent."""
    name = f"{plain.address}/edited/line:1"
    settings = ImageSettings(name="line", base=_base_with_python(tmp_path))
    one = build_image(_bundle(tmp_path, "return 1"), settings=settings, cache=tmp_path / "cache", progress=Silent())
    first = push_counted(one, name)
    before = plain.stored_bytes()
    image = build_image(_bundle(tmp_path, "return 2"), settings=settings, cache=tmp_path / "cache", progress=Silent())
    second = push_counted(image, name)
    assert first.bytes > 5_000_000
    assert second.bytes < 10_000, "the layer of the code and the configuration"
    assert plain.stored_bytes() - before < 10_000
    assert {layer.digest for layer in image.layers} - set(second.present) == {image.layers[-1].digest}


def test_a_large_blob_goes_in_pieces_and_survives_a_broken_line(tmp_path: Path, plain: Registry) -> None:
    image = an_image(tmp_path / "here", os.urandom(3 * PIECE_BYTES + 5))
    with breaking_line(plain.address, after_bytes=PIECE_BYTES + 400_000, times=2) as address:
        sent = push_counted(image, f"{address}/broken/line:1")
    assert sent.bytes >= 3 * PIECE_BYTES
    assert len([each for each in plain.requests("PATCH") if "broken/line" in each]) >= 4
    with breaking_line(plain.address, after_bytes=PIECE_BYTES, times=2, back=True) as address:
        assert pulled(tmp_path / "there", f"{address}/broken/line:1") == [image.layers[0].diff_id]


def test_a_line_that_stays_broken_is_told(tmp_path: Path, plain: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelport.images.registry.client._FIRST_PAUSE_S", 0.001)
    image = an_image(tmp_path / "here", os.urandom(PIECE_BYTES + 5))
    with (
        breaking_line(plain.address, after_bytes=300_000, times=1000) as address,
        pytest.raises(RegistryException, match=r"failed 5 times to answer PATCH .*\n.*not sent a second time"),
    ):
        push(image, f"{address}/stays/broken:1")


def test_blobs_of_a_neighbour_are_mounted(tmp_path: Path, plain: Registry) -> None:
    image = an_image(tmp_path / "here", os.urandom(100_000))
    push(image, f"{plain.address}/neighbour/one:1")
    sent = push_counted(image, f"{plain.address}/neighbour/two:1", neighbours=["neighbour/nobody", "neighbour/one"])
    assert sent.bytes == 0
    assert image.layers[0].digest in sent.mounted
    again = push_counted(image, f"{plain.address}/neighbour/two:1")
    assert (again.bytes, again.mounted) == (0, [])
    assert pulled(tmp_path / "there", f"{plain.address}/neighbour/two:1") == [image.layers[0].diff_id]


def test_a_registry_with_passwords(tmp_path: Path, no_logins: Path) -> None:
    image = an_image(tmp_path / "here", b"one")
    with registry(tmp_path / "registry", auth=htpasswd(tmp_path / "registry")) as closed:
        name = f"{closed.address}/team/line:1"
        with pytest.raises(RegistryException, match=r"does not let us at team/line \(401\)\. We asked as nobody"):
            push(image, name)
        with pytest.raises(RegistryException, match=r"We asked as team\."):
            push(image, name, Credentials(USER, "wrong"))
        with pytest.raises(RegistryException, match="We asked as nobody"):
            push(image, name, replace(MINE, registry="other.example"))
        assert push(image, name, MINE)
        auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        (no_logins / "config.json").write_text(json.dumps({"auths": {closed.address: {"auth": auth}}}))
        assert pulled(tmp_path / "there", name) == [image.layers[0].diff_id]


def test_a_registry_with_tokens(tmp_path: Path) -> None:
    image = an_image(tmp_path / "here", os.urandom(PIECE_BYTES + 5), b"two")
    made_by = authority(tmp_path / "authority")
    with token_server(made_by) as (_, auth, asked), registry(tmp_path / "registry", auth=auth) as closed:
        name = f"{closed.address}/team/line:1"
        with pytest.raises(RegistryException, match="We asked as nobody"):
            push(image, name)
        assert push(image, name, MINE)
        assert "repository:team/line:pull,push" in asked
        asked.clear()
        sent = push_counted(image, f"{closed.address}/team/other:1", MINE, neighbours=["team/line"])
        assert (sent.bytes, len(sent.mounted)) == (0, 5), "two layers, the configuration, the bill and its own"
        assert "repository:team/line:pull" in asked
        assert pulled(tmp_path / "there", name, MINE) == [layer.diff_id for layer in image.layers]


def test_a_registry_with_a_certificate_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = an_image(tmp_path / "here", b"one")
    made_by = authority(tmp_path / "authority")
    tls = f"  tls:\n    certificate: {made_by.certificate_file}\n    key: {made_by.key_file}\n"
    with registry(tmp_path / "registry", http=tls, scheme="https") as safe:
        name = f"{safe.address}/team/line:1"
        with pytest.raises(RegistryException, match=r"is not trusted: .*\n.*SSL_CERT_FILE"):
            push(image, name)
        monkeypatch.setenv("SSL_CERT_FILE", str(made_by.certificate_file))
        assert push(image, name)
        assert pulled(tmp_path / "there", name) == [image.layers[0].diff_id]


def test_what_is_not_there_is_said(tmp_path: Path, plain: Registry) -> None:
    with pytest.raises(RegistryException, match=r"/no/image:1 is not there\. MANIFEST_UNKNOWN"):
        pulled(tmp_path / "there", f"{plain.address}/no/image:1")
    with pytest.raises(RegistryException, match=r"nowhere\.invalid cannot be found"):
        pulled(tmp_path / "there", "nowhere.invalid/image:1")
    with pytest.raises(UserErrorException, match="is no name of an image"):
        push(an_image(tmp_path / "here", b"one"), "Not/A/Name")


def test_a_base_of_a_registry_is_named_with_its_digest(tmp_path: Path, plain: Registry) -> None:
    settings = ImageSettings(name="stock", base=_base_with_python(tmp_path))
    below = stock_image("3.11", settings=settings, cache=tmp_path / "cache", progress=Silent())
    name = f"{plain.address}/bases/stock:1"
    push(below, name)
    image = stock_image("3.11", settings=replace(settings, base=name), cache=tmp_path / "cache", progress=Silent())
    config = json.loads(Blobs(image.layout).read(image.config_digest))
    labels = config["config"]["Labels"]
    assert labels["org.opencontainers.image.base.name"] == name
    assert labels["org.opencontainers.image.base.digest"] == below.digest


def test_images_of_several_platforms_are_one_name(tmp_path: Path, plain: Registry) -> None:
    images = [an_image(tmp_path / "cache", name.encode(), architecture=name) for name in ("amd64", "arm64")]
    digest = copy_images(images, tmp_path / "both", reference="1")
    name = f"{plain.address}/both/line:1"
    assert push_layout(tmp_path / "both", name).reference == f"{name}@{digest}"
    bases = Bases(tmp_path / "there", progress=Silent())
    for image in images:
        base = bases.read(name, image.platform)
        assert [layer.diff_id for layer in base.layers] == [layer.diff_id for layer in image.layers]
        assert base.digest == image.digest
        accept = {"Accept": "application/vnd.oci.image.index.v1+json"}
        url = f"http://{plain.address}/v2/both/line/manifests/{image.digest.replace(':', '-')}"
        bill = httpx.get(url, headers=accept)
        assert bill.status_code == 200, "each has its own"


def _base_with_python(folder: Path) -> str:
    blobs = Blobs(folder / "cache")
    paths = ("/usr/bin/python3.11", "/usr/lib/python3.11/os.py", "/usr/lib/x86_64-linux-gnu/libc.so.6")
    glibc = b"GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n"
    layer = write_layer(blobs, "base", [Entry(path=path, content=glibc) for path in paths])
    return str(blobs.path(layer.digest))


def _bundle(folder: Path, body: str) -> Path:
    script = folder / "score.py"
    script.write_text(f"def init():\n    pass\n\n\ndef run(data):\n    {body}\n")
    request = BundleRequest(
        script=script,
        source_directory=None,
        models=(),
        environment=BundleEnvironment("env", "venv", "0" * 64, "3.11.7"),
        environment_variables={},
        environment_files={"environment.json": b"null", "lock.txt": b""},
    )
    return build_bundle(folder / "bundles", request, place=_no_models)


def _no_models(*_: object) -> None:
    raise AssertionError("there is none")


def test_a_base_image_of_an_environment_is_pulled_as_who_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workspace: Workspace
) -> None:
    with registry(tmp_path / "registry", auth=htpasswd(tmp_path / "registry")) as closed:
        settings = ImageSettings(name="stock", base=_base_with_python(tmp_path))
        below = stock_image("3.11", settings=settings, cache=tmp_path / "cache", progress=Silent())
        push(below, f"{closed.address}/bases/stock:1", MINE)
        environment = Environment("env")
        environment.docker.base_image = "bases/stock:1"
        environment.docker.base_image_registry = ContainerRegistry(closed.address, USER, PASSWORD)
        environment.python.conda_dependencies = CondaDependencies.create(pip_packages=["azureml-defaults"])
        Path("score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return data\n")
        config = InferenceConfig("score.py", environment=environment)
        package = Model.package(workspace, [], config, image_name="line")
        reference = package.push(f"{closed.address}/team/line:1", environment.docker.base_image_registry)
        found = Bases(tmp_path / "there", credentials=MINE, progress=Silent()).read(reference, HERE)
        assert [layer.diff_id for layer in found.layers][: len(below.layers)] == [
            layer.diff_id for layer in below.layers
        ]
        assert PASSWORD not in "".join(
            path.read_text(errors="replace") for path in package.folder.parent.rglob("*") if path.is_file()
        )
        environment.docker.base_image_registry = ContainerRegistry(closed.address)
        with pytest.raises(RegistryException, match="We asked as nobody"):
            Model.package(workspace, [], config, image_name="line")
