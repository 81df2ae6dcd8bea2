"""Images of bundles: what is in them, and that the same bundle gives the same image."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelport.domain.progress import Silent
from modelport.exceptions import EnvironmentException, RegistryException, StoreException, UserErrorException
from modelport.images import (
    BuiltImage,
    ImageSettings,
    Platform,
    build_image,
    copy_images,
    stock_image,
    write_docker_archive,
    write_layout_archive,
)

from ..environments.local_wheels import RecordedProgress, make_wheel
from .made_of_files import DEBIAN, PASSWD, debian, make_bundle, write_tar

SITE = "opt/modelport/environment/lib/python3.11/site-packages"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests, so that the scoring server is installed once."""
    return tmp_path_factory.mktemp("images")


@pytest.fixture
def settings(tmp_path: Path) -> ImageSettings:
    return ImageSettings(name="line", workspace="ws", base=str(debian(tmp_path)), platform=Platform("amd64"))


def _lock(folder: Path, *, value: int = 1) -> str:
    make_wheel(folder / "wheels", "mp_one", "1.0", value=value)
    return f"--no-index\n--find-links {folder / 'wheels'}\nmp_one==1.0\n"


def _manifest(image: BuiltImage) -> dict[str, Any]:
    return _blob(image, image.digest)


def _config(image: BuiltImage) -> dict[str, Any]:
    return _blob(image, image.config_digest)


def _blob(image: BuiltImage, digest: str) -> dict[str, Any]:
    content = (image.layout / "blobs" / digest.replace(":", "/")).read_bytes()
    document: dict[str, Any] = json.loads(content)
    return document


def _files(image: BuiltImage, name: str) -> dict[str, bytes | str]:
    """The files of a layer by path; links by what they say."""
    layer = next(layer for layer in image.layers if layer.name == name)
    found: dict[str, bytes | str] = {}
    with tarfile.open(image.layout / "blobs" / layer.digest.replace(":", "/")) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file or member.issym():
                found[member.name] = file.read() if file else member.linkname
    return found


def _bytes(content: bytes | str) -> bytes:
    assert isinstance(content, bytes)
    return content


def test_an_image_is_a_valid_layout(tmp_path: Path, cache: Path, settings: ImageSettings) -> None:
    image = build_image(make_bundle(tmp_path, lock=_lock(tmp_path)), settings=settings, cache=cache, progress=Silent())
    assert json.loads((image.layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads((image.layout / "index.json").read_text())["manifests"]
    assert entry["digest"] == image.digest
    assert entry["platform"] == {"architecture": "amd64", "os": "linux"}
    blobs = {path.name: path.read_bytes() for path in (image.layout / "blobs" / "sha256").iterdir()}
    assert {name: hashlib.sha256(content).hexdigest() for name, content in blobs.items()} == {
        name: name for name in blobs
    }
    named = [_manifest(image)["config"], *_manifest(image)["layers"], entry]
    assert {each["digest"].partition(":")[2]: each["size"] for each in named} == {
        name: len(content) for name, content in blobs.items()
    }
    assert _config(image)["rootfs"]["diff_ids"] == [layer.diff_id for layer in image.layers]
    assert len(_config(image)["history"]) == len(image.layers)
    assert [layer.name for layer in image.layers] == [
        *("base", "user", "environment", "server", "worker", "models", "code")
    ]


def test_an_image_serves_as_nobody_in_particular(tmp_path: Path, cache: Path, settings: ImageSettings) -> None:
    bundle = make_bundle(tmp_path, lock=_lock(tmp_path), variables={"MINE": 'a "quoted" $value', "TWO": "a\nb"})
    image = build_image(bundle, settings=settings, cache=cache, progress=Silent())
    config = _config(image)["config"]
    assert config["User"] == "10001:10001"
    assert config["Cmd"] == ["/opt/modelport/server/bin/python", "-P", "-m", "modelport_scoring.container"]
    assert config["ExposedPorts"] == {"5001/tcp": {}}
    assert config["Healthcheck"]["Test"] == ["CMD", *config["Cmd"], "--check"]
    variables = dict(line.split("=", 1) for line in config["Env"])
    assert variables["AZUREML_MODEL_DIR"] == "/var/azureml-app/azureml-models/m/1"
    assert (variables["SERVICE_NAME"], variables["WORKSPACE_NAME"]) == ("line", "ws")
    assert variables["MINE"] == 'a "quoted" $value'
    assert "PATH" in variables, "the base's own stay"
    assert config["Labels"]["modelport.bundle"] == bundle.name
    assert config["Labels"]["org.opencontainers.image.base.name"] == "debian.tar"
    kept_out = build_image(bundle, settings=replace(settings, has_variables=False), cache=cache, progress=Silent())
    assert not [line for line in _config(kept_out)["config"]["Env"] if "MINE" in line]
    assert b"TWO" not in _bytes(_files(kept_out, "code")["var/azureml-server/service.json"])
    user = _files(image, "user")
    assert user["etc/passwd"] == f"{PASSWD}modelport:x:10001:10001::/home/modelport:/bin/sh\n".encode()


def test_what_lies_where(tmp_path: Path, cache: Path, settings: ImageSettings) -> None:
    image = build_image(make_bundle(tmp_path, lock=_lock(tmp_path)), settings=settings, cache=cache, progress=Silent())
    environment = _files(image, "environment")
    assert environment["opt/modelport/environment/bin/python"] == "/usr/bin/python3.11"
    assert b"home = /usr/bin\n" in _bytes(environment["opt/modelport/environment/pyvenv.cfg"])
    assert environment[f"{SITE}/mp_one.py"] == b"VALUE = 1\nVERSION = '1.0'\n"
    assert f"{SITE}/__pycache__/mp_one.cpython-311.pyc" in environment
    assert not [path for path in environment if "direct_url" in path or "uv_cache" in path or path.endswith(".lock")]
    assert _files(image, "models") == {"var/azureml-app/azureml-models/m/1/model.bin": b"the model"}
    code = _files(image, "code")
    assert sorted(code) == [
        *("var/azureml-app/score.py", "var/azureml-server/bundle.json", "var/azureml-server/service.json")
    ]
    service = json.loads(code["var/azureml-server/service.json"])
    assert service["revision"]["interpreter"] == ["../../opt/modelport/environment/bin/python"]
    assert image.interpreter == ("/opt/modelport/environment/bin/python",)
    server, worker = _files(image, "server"), _files(image, "worker")
    below = "opt/modelport/server/lib/python3.11/site-packages"
    assert f"{below}/modelport_scoring/container/__main__.py" in server
    assert f"{below}/uvloop/__init__.py" in server
    assert f"{below}/modelport_worker/__main__.py" in worker
    assert f"{below}/azureml/core/__init__.py" in worker
    assert not set(server) & set(worker)
    assert not [path for path in server if path.endswith((".pyx", ".h", ".cpp"))]


def test_the_part_that_is_ours_is_small(tmp_path: Path, cache: Path, settings: ImageSettings) -> None:
    progress = RecordedProgress()
    bundle = make_bundle(tmp_path, lock=_lock(tmp_path))
    image = build_image(bundle, settings=settings, cache=cache, progress=progress)
    sizes = {layer.name: layer.bytes for layer in image.own_layers}
    assert sum(sizes.values()) - sizes["environment"] < 40e6
    assert sum(layer.compressed_bytes for layer in image.own_layers) < 15e6
    shown = [step for step in progress.steps if step.startswith("Layer ")]
    assert [step.split()[1] for step in shown] == [layer.name for layer in image.layers], "each with its size"
    assert all("MB compressed" in step for step in shown)


def test_the_same_bundle_is_the_same_image_anywhere_and_anytime(
    tmp_path: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for number, hash_seed in (("1", "1"), ("2", "77")):
        monkeypatch.setenv("PYTHONHASHSEED", hash_seed)
        folder = tmp_path / number
        bundle = make_bundle(folder, lock="packaging==24.2\n")
        settings = ImageSettings(name="line", base=str(debian(folder)), platform=Platform("amd64"))
        # the server is the largest and comes from the shared cache the first time, and from nothing the second
        made.append(build_image(bundle, settings=settings, cache=cache if number == "1" else folder, progress=Silent()))
    assert made[0].layers == made[1].layers
    assert made[0].digest == made[1].digest
    assert made[0].sbom.read_bytes() == made[1].sbom.read_bytes()
    assert made[0].layout != made[1].layout


def test_an_edited_script_is_another_code_layer_and_nothing_else(
    tmp_path: Path, cache: Path, settings: ImageSettings
) -> None:
    lock, large = _lock(tmp_path), bytes(range(256)) * 8192
    first = build_image(
        make_bundle(tmp_path, lock=lock, model=large), settings=settings, cache=cache, progress=Silent()
    )
    edited = make_bundle(tmp_path, lock=lock, model=large, script="def init(): pass\ndef run(data): return 2\n")
    second = build_image(edited, settings=settings, cache=cache, progress=Silent())
    changed = {layer.name: layer for layer in second.layers if layer not in first.layers}
    assert [*changed] == ["code"]
    assert changed["code"].compressed_bytes < 4096
    other_model = make_bundle(tmp_path, lock=lock, model=large[1:])
    third = build_image(other_model, settings=settings, cache=cache, progress=Silent())
    assert [layer.name for layer in third.layers if layer not in first.layers] == ["models", "code"]


def test_a_model_that_is_not_what_the_manifest_says_is_refused(
    tmp_path: Path, cache: Path, settings: ImageSettings
) -> None:
    bundle = make_bundle(tmp_path, model=b"a model that was changed")
    model = bundle / "azureml-models" / "m" / "1" / "model.bin"
    kept = model.read_bytes()
    model.chmod(0o644)
    model.write_bytes(kept.replace(b"changed", b"CHANGED"))
    with pytest.raises(StoreException, match=r"model\.bin is not what it was: its SHA-256 should be"):
        build_image(bundle, settings=settings, cache=cache, progress=Silent())
    model.parent.chmod(0o755)
    model.unlink()
    with pytest.raises(StoreException, match=r"azureml-models/m/1/model\.bin is missing or was added"):
        build_image(bundle, settings=settings, cache=cache, progress=Silent())
    model.write_bytes(kept)
    image = build_image(bundle, settings=settings, cache=cache, progress=Silent())
    assert kept in _files(image, "models").values()


def test_the_bill_says_what_is_in_it(tmp_path: Path, cache: Path, settings: ImageSettings) -> None:
    image = build_image(make_bundle(tmp_path, lock=_lock(tmp_path)), settings=settings, cache=cache, progress=Silent())
    bill = json.loads(image.sbom.read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert bill["metadata"]["component"]["name"] == "line"
    found = {each["purl"]: each for each in bill["components"]}
    assert found["pkg:pypi/mp-one@1.0"]["properties"] == [{"name": "modelport:layer", "value": "environment"}]
    layers = {each["name"]: each["properties"][0]["value"] for each in bill["components"]}
    assert (layers["uvloop"], layers["modelport-scoring"], layers["modelport-worker"]) == ("server", "server", "worker")
    assert len({each["bom-ref"] for each in bill["components"]}) == len(bill["components"])


def test_a_stock_image_has_neither_code_nor_environment(cache: Path, settings: ImageSettings) -> None:
    image = stock_image("3.11", settings=settings, cache=cache, progress=Silent())
    assert [layer.name for layer in image.layers] == ["base", "user", "server", "worker"]
    assert image.interpreter == ("/usr/bin/python3.11",)
    assert "modelport.bundle" not in _config(image)["config"]["Labels"]


def test_a_script_without_an_environment_runs_on_the_bases_python(
    tmp_path: Path, cache: Path, settings: ImageSettings
) -> None:
    bundle = make_bundle(tmp_path, kind="system")
    image = build_image(bundle, settings=settings, cache=cache, progress=Silent())
    assert image.interpreter == ("/usr/bin/python3",)
    assert image.keeps_python_path
    named = json.dumps({"name": "e", "python": {"interpreterPath": "/opt/own/python", "userManagedDependencies": True}})
    bundle = make_bundle(tmp_path, kind="system", definition=named)
    with pytest.raises(UserErrorException, match=r"/opt/own/python, is not in the base .*Pythons: /usr/bin/python3.11"):
        build_image(bundle, settings=settings, cache=cache, progress=Silent())


def test_a_base_without_the_python_says_where_to_get_it(tmp_path: Path, cache: Path, settings: ImageSettings) -> None:
    bundle = make_bundle(tmp_path, python="3.9.1")
    with pytest.raises(UserErrorException, match=r"needs Python 3.9, which its base .* lacks; .*debian.tar has 3.11"):
        build_image(bundle, settings=replace(settings, pythons=settings.base), cache=cache, progress=Silent())


def test_a_package_that_no_index_has_fails_in_uvs_words(tmp_path: Path, cache: Path, settings: ImageSettings) -> None:
    bundle = make_bundle(tmp_path, lock=f"--no-index\n--find-links {tmp_path}\nmp_nothing==1\n")
    with pytest.raises(EnvironmentException, match="mp-nothing"):
        build_image(bundle, settings=settings, cache=cache, progress=Silent())


def test_a_library_that_the_base_lacks_is_named(tmp_path: Path, cache: Path, settings: ImageSettings) -> None:
    make_wheel(tmp_path / "wheels", "lightgbm", "4.0")
    bundle = make_bundle(tmp_path, lock=f"--no-index\n--find-links {tmp_path / 'wheels'}\nlightgbm==4.0\n")
    with pytest.raises(UserErrorException, match=r"lightgbm needs the library libgomp\.so\.1"):
        build_image(bundle, settings=settings, cache=cache, progress=Silent())
    base = write_tar(tmp_path / "gomp.tar", {**DEBIAN, "usr/lib/x86_64-linux-gnu/libgomp.so.1": b""})
    assert build_image(bundle, settings=replace(settings, base=str(base)), cache=cache, progress=Silent())


def test_other_platforms_get_their_own_wheels(tmp_path: Path, cache: Path) -> None:
    """Every compiled library in an image for arm64 is one for that."""
    arm = Platform("arm64")
    settings = ImageSettings(name="line", base=str(_base_for(tmp_path, arm)), platform=arm)
    bundle = make_bundle(tmp_path, lock="markupsafe==3.0.2\n")
    image = build_image(bundle, settings=settings, cache=cache, progress=Silent())
    assert _config(image)["architecture"] == "arm64"
    machines: dict[str, Counter[int]] = {}
    for layer in image.own_layers:
        contents = [content for content in _files(image, layer.name).values() if isinstance(content, bytes)]
        native = (content for content in contents if content.startswith(b"\x7fELF"))
        machines[layer.name] = Counter(int.from_bytes(content[18:20], "little") for content in native)
    assert {machine for found in machines.values() for machine in found} == {183}, f"EM_AARCH64: {machines}"
    assert machines["environment"][183] >= 1 and machines["server"][183] >= 5, machines


def test_an_image_of_several_platforms_stands_on_one(tmp_path: Path, cache: Path) -> None:
    platforms = [Platform("amd64"), Platform("arm64")]
    bases = [str(_base_for(tmp_path, platform)) for platform in platforms]
    stocks = [
        stock_image("3.11", settings=ImageSettings(base=base, platform=platform), cache=cache, progress=Silent())
        for base, platform in zip(bases, platforms, strict=True)
    ]
    copy_images(stocks, tmp_path / "both", reference="1")
    (root,) = json.loads((tmp_path / "both" / "index.json").read_text())["manifests"]
    assert root["mediaType"] == "application/vnd.oci.image.index.v1+json"
    index = json.loads((tmp_path / "both" / "blobs" / root["digest"].replace(":", "/")).read_text())
    assert [each["platform"]["architecture"] for each in index["manifests"]] == ["amd64", "arm64"]
    assert sorted(path.name for path in (tmp_path / "both").glob("sbom*")) == [
        *("sbom-amd64.cdx.json", "sbom-arm64.cdx.json")
    ]
    bundle = make_bundle(tmp_path)
    for below, platform in zip(stocks, platforms, strict=True):
        settings = ImageSettings(base=str(tmp_path / "both"), platform=platform)
        image = build_image(bundle, settings=settings, cache=cache, progress=Silent())
        assert image.layers[0].digest == below.layers[0].digest
        assert _config(image)["architecture"] == platform.architecture
    write_layout_archive(tmp_path / "both", "x:1", tmp_path / "arm.tar", platform=platforms[1])
    with tarfile.open(tmp_path / "arm.tar") as archive:
        (row,) = json.loads(_member(archive, "manifest.json"))
        assert json.loads(_member(archive, row["Config"]))["architecture"] == "arm64"


def _base_for(folder: Path, platform: Platform) -> Path:
    content = {path.replace("x86_64", platform.machine): data for path, data in DEBIAN.items()}
    return write_tar(folder / f"{platform.architecture}.tar", content)


def test_an_archive_for_engines_holds_all_of_it(tmp_path: Path, cache: Path, settings: ImageSettings) -> None:
    image = build_image(make_bundle(tmp_path, lock=_lock(tmp_path)), settings=settings, cache=cache, progress=Silent())
    write_docker_archive(image, "team/line:7", tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as archive:
        names = archive.getnames()
        (row,) = json.loads(_member(archive, "manifest.json"))
        index = json.loads(_member(archive, "index.json"))
    assert row["RepoTags"] == ["team/line:7"]
    assert {row["Config"], *row["Layers"]} <= set(names)
    assert index["manifests"][0]["digest"] == image.digest
    left_out = image.layers[0]
    write_docker_archive(image, "team/line:7", tmp_path / "less.tar", without=[left_out.diff_id])
    with tarfile.open(tmp_path / "less.tar") as archive:
        assert set(names) - set(archive.getnames()) == {"blobs/" + left_out.digest.replace(":", "/")}
        assert _member(archive, "manifest.json") == json.dumps([row]).encode()
    again = replace(settings, base=str(tmp_path / "image.tar"))
    stacked = stock_image("3.11", settings=again, cache=cache, progress=Silent())
    assert [layer.diff_id for layer in stacked.layers][: len(image.layers)] == [layer.diff_id for layer in image.layers]


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


@pytest.mark.parametrize("kind", ["layout", "archive"])
def test_an_image_can_be_a_base(tmp_path: Path, cache: Path, settings: ImageSettings, kind: str) -> None:
    below = stock_image("3.11", settings=settings, cache=cache, progress=Silent())
    write_docker_archive(below, "x/y:1", tmp_path / "below.tar")
    base = {"layout": str(below.layout), "archive": str(tmp_path / "below.tar")}[kind]
    image = stock_image("3.11", settings=replace(settings, base=base), cache=cache, progress=Silent())
    assert [layer.diff_id for layer in image.layers][: len(below.layers)] == [layer.diff_id for layer in below.layers]
    assert all(layer.bytes > 0 for layer in image.layers)


def test_a_base_of_another_platform_is_refused(tmp_path: Path, cache: Path, settings: ImageSettings) -> None:
    below = stock_image("3.11", settings=settings, cache=cache, progress=Silent())
    other = replace(settings, base=str(below.layout), platform=Platform("arm64"))
    with pytest.raises(UserErrorException, match=r"has no image for linux/arm64\. It has: linux/amd64"):
        stock_image("3.11", settings=other, cache=cache, progress=Silent())


def test_a_base_that_is_not_there_is_named(tmp_path: Path, cache: Path, settings: ImageSettings) -> None:
    missing = replace(settings, base=str(tmp_path / "nothing.tar"))
    with pytest.raises(UserErrorException, match=r"The base image .*nothing\.tar is not there"):
        stock_image("3.11", settings=missing, cache=cache, progress=Silent())


def test_platforms_are_read() -> None:
    assert Platform.parse("linux/arm64") == Platform.parse("aarch64") == Platform("arm64")
    assert str(Platform.parse("amd64")) == "linux/amd64"
    with pytest.raises(UserErrorException, match=r"windows/amd64.*\n.*linux/amd64, linux/arm64"):
        Platform.parse("windows/amd64")


def test_a_damaged_layout_is_refused(tmp_path: Path, cache: Path, settings: ImageSettings) -> None:
    below = stock_image("3.11", settings=settings, cache=cache, progress=Silent())
    shutil.copytree(below.layout, tmp_path / "copy")
    path = tmp_path / "copy" / "blobs" / below.digest.replace(":", "/")
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "more": 1}))
    damaged = replace(settings, base=str(tmp_path / "copy"))
    with pytest.raises(UserErrorException, match="is damaged"):
        stock_image("3.11", settings=damaged, cache=cache, progress=Silent())


def test_a_base_that_cannot_be_pulled(settings: ImageSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELPORT_BASE_IMAGE", "nowhere.invalid/base:1")
    stock = replace(settings, base=None)
    with pytest.raises(
        RegistryException, match=r"nowhere\.invalid cannot be found(.*\n)+MODELPORT_BASE_IMAGE names another"
    ):
        build_image(make_bundle(tmp_path), settings=stock, cache=tmp_path / "cache", progress=Silent())
