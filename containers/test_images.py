"""Images that are made without an engine, run by real ones."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from containers.bases import base_archive, find_python
from containers.engines import Engine
from containers.test_packages import ANSWERS, Bench, running
from modelport import CondaDependencies, Environment, Workspace
from modelport.domain.progress import Silent
from modelport.images import ImageSettings, Platform, stock_image, write_docker_archive
from modelport.images.blobs import Blobs
from modelport.images.image import ZSTD_LAYER
from modelport.images.layers import zstd
from modelport.images.manifests import CONFIG, MANIFEST, descriptor, write_layout
from modelport.sdk.packages import ModelPackage

STRICT = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL")
"""As strict as a cluster may be: nothing but the folder for temporary files can be written."""

IMAGE = "modelport-test-built:latest"


@pytest.fixture(scope="session")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the layers of all tests are kept, so that the base is compressed once and the server installed once."""
    return tmp_path_factory.mktemp("layers")


@pytest.fixture
def bench(workspace: Workspace, layers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    workspace.context.images.symlink_to(layers)
    monkeypatch.setenv("MODELPORT_BASE_IMAGE", str(base_archive()))
    monkeypatch.delenv("MODELPORT_PYTHON_IMAGE", raising=False)
    return Bench(workspace, tmp_path)


def script(bench: Bench, imports: str, more: str) -> None:
    """The script, writing where these containers let it."""
    bench.script(imports, more)
    text = (bench.source / "score.py").read_text()
    (bench.source / "score.py").write_text(text.replace('"written_beside"', '"/tmp/written"'))


def load(engine: Engine, package: ModelPackage, folder: Path) -> str:
    """Have the engine know the image, under the name that it has there."""
    package.save_archive(folder / "image.tar")
    engine.run("load", "--input", str(folder / "image.tar"))
    return IMAGE


def test_an_image_serves_as_strictly_as_can_be(engine: Engine, bench: Bench, tmp_path: Path) -> None:
    script(bench, "import numpy", "float(numpy.mean([1, 2]))")
    dependencies = CondaDependencies.create(python_version="3.11", pip_packages=["numpy==2.0.2", "azureml-defaults"])
    package = bench.package(bench.environment(dependencies), generate_dockerfile=False)
    image = load(engine, package, tmp_path)
    with running(engine, image, *STRICT, "--env=WORKER_COUNT=2") as container:
        response = container.ask("POST", "/score", [1])
        assert response.status_code == 200, (response.text, container.log)
        answer = response.json()
        assert answer.pop("python").startswith("3.11.")
        assert answer == {**ANSWERS, "more": 1.5}
        assert container.ask("GET", "/swagger.json").json()["info"]["title"] == "modelport-test-built"
        assert container.log.count("init in /var/azureml-app by 10001") == 2
        command = ["/opt/modelport/server/bin/python", "-P", "-m", "modelport_scoring.container", "--check"]
        assert engine.run("exec", container.id, *command).returncode == 0
        assert engine.says("exec", container.id, "id", "-un") == "modelport"
        engine.run("stop", container.id)
        assert engine.says("inspect", "--format", "{{.State.ExitCode}}", container.id) == "0"
    about = json.loads(engine.says("image", "inspect", image))[0]
    assert about["Config"]["User"] == "10001:10001"
    assert about["Config"]["Labels"]["modelport.bundle"] == package.serialize()["bundleDigest"]
    index = json.loads((package.folder / "index.json").read_text())
    manifest = package.folder / "blobs" / index["manifests"][0]["digest"].replace(":", "/")
    config = json.loads(manifest.read_text())["config"]["digest"]
    assert config.removeprefix("sha256:") in about["Id"], "what engines call it, is what it was made as"


def test_the_sample_of_2019_has_its_own_python(
    engine: Engine, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base has no Python 3.6: it is brought, and the scoring server runs on the base's."""
    home = find_python("3.6")
    if home is None:
        pytest.skip("there is no Python 3.6 on this machine")
    monkeypatch.setenv("MODELPORT_PYTHON_IMAGE", str(home))
    script(bench, "import sklearn\nfrom sklearn.externals import joblib", "[sklearn.__version__, joblib.__name__]")
    pins = ["numpy==1.16.4", "scipy==1.2.1", "scikit-learn==0.20.0", "azureml-defaults~=1.0.57"]
    dependencies = CondaDependencies.create(python_version="3.6.2", pip_packages=pins)
    image = load(engine, bench.package(bench.environment(dependencies), generate_dockerfile=False), tmp_path)
    with running(engine, image, *STRICT) as container:
        answer = container.ask("POST", "/score", [1]).json()
        assert answer.pop("python").startswith("3.6.")
        assert answer == {**ANSWERS, "more": ["0.20.0", "sklearn.externals.joblib"]}


def test_a_base_without_python_gets_one_for_everything(
    engine: Engine, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No interpreter is in the base, nor the libraries that one needs."""
    bare = tmp_path / "bare.tar"
    keep_out = ("./usr/bin/python3", "./usr/lib/python3", "./usr/lib/x86_64-linux-gnu/libexpat")
    _filtered(base_archive(), bare, keep_out)
    monkeypatch.setenv("MODELPORT_BASE_IMAGE", str(bare))
    monkeypatch.setenv("MODELPORT_PYTHON_IMAGE", str(base_archive()))
    script(bench, "import ssl", "ssl.OPENSSL_VERSION[:7]")
    dependencies = CondaDependencies.create(python_version="3.11", pip_packages=["azureml-defaults"])
    image = load(engine, bench.package(bench.environment(dependencies), generate_dockerfile=False), tmp_path)
    with running(engine, image, *STRICT) as container:
        answer = container.ask("POST", "/score", [1]).json()
        assert (answer["answer"], answer["more"]) == (42, "OpenSSL")


def test_the_steps_of_a_dockerfile_are_run_by_the_engine(
    engine: Engine, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "engine"
    program.write_text("#!/bin/sh\nexec " + " ".join(engine.command) + ' "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("MODELPORT_CONTAINER_ENGINE", str(program))
    for name, value in engine.environ.items():
        monkeypatch.setenv(name, value)
    script(bench, "import in_the_image", "in_the_image.VALUE")
    environment = Environment.from_dockerfile(
        "own", "FROM modelport-test/bookworm\nRUN echo VALUE = 7 > /usr/lib/python3/dist-packages/in_the_image.py\n"
    )
    environment.python.user_managed_dependencies = True
    environment.python.interpreter_path = "/usr/bin/python3"
    environment.environment_variables = {"MINE": str(ANSWERS["mine"])}
    package = bench.package(environment, generate_dockerfile=False)
    with running(engine, package.pull(), *STRICT) as container:
        answer = container.ask("POST", "/score", [1]).json()
        assert (answer["answer"], answer["more"]) == (42, 7)


def test_a_base_whose_layers_are_compressed_with_zstd(
    engine: Engine, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = Blobs(tmp_path / "base")
    with base_archive().open("rb") as archive:
        diff_id = f"sha256:{hashlib.file_digest(archive, 'sha256').hexdigest()}"
    with blobs.draft() as layer, base_archive().open("rb") as archive:
        packer = zstd.ZstdCompressor(level=1)
        while chunk := archive.read(1 << 20):
            layer.write(packer.compress(chunk))
        layer.write(packer.flush())
    rootfs = {"type": "layers", "diff_ids": [diff_id]}
    config = json.dumps({"os": "linux", "architecture": "amd64", "config": {}, "rootfs": rootfs}).encode()
    zipped = {"mediaType": ZSTD_LAYER, "digest": layer.digest, "size": layer.size}
    manifest = json.dumps({"schemaVersion": 2, "config": descriptor(CONFIG, config), "layers": [zipped]}).encode()
    blobs.add(config)
    blobs.add(manifest)
    write_layout(tmp_path / "base", [descriptor(MANIFEST, manifest)])
    monkeypatch.setenv("MODELPORT_BASE_IMAGE", str(tmp_path / "base"))
    script(bench, "", "1")
    dependencies = CondaDependencies.create(python_version="3.11", pip_packages=["azureml-defaults"])
    image = load(engine, bench.package(bench.environment(dependencies), generate_dockerfile=False), tmp_path)
    with running(engine, image, *STRICT) as container:
        assert container.ask("POST", "/score", [1]).json()["answer"] == 42


def test_a_stock_image_starts_the_server_with_what_is_mounted(engine: Engine, layers: Path, tmp_path: Path) -> None:
    settings = ImageSettings(name="stock", base=str(base_archive()), platform=Platform.of_this_machine())
    image = stock_image("3.11", settings=settings, cache=layers, progress=Silent())
    write_docker_archive(image, "modelport-test-stock:1", tmp_path / "stock.tar")
    engine.run("load", "--input", str(tmp_path / "stock.tar"))
    said = engine.run("run", "--rm", *STRICT, "modelport-test-stock:1", check=False)
    assert "The package cannot be served" in said.stdout, "nothing is mounted"


def _filtered(archive: Path, target: Path, without: tuple[str, ...]) -> None:
    with tarfile.open(archive) as source, tarfile.open(target, "w") as copy:
        for member in source:
            if not member.name.startswith(without):
                copy.addfile(member, source.extractfile(member) if member.isfile() else None)
