"""Images as the workspace keeps them: versions, what they hold, how their creation ends."""

from __future__ import annotations

import fcntl
from dataclasses import replace
from pathlib import Path

import pytest

from modelport.bundles import read_manifest
from modelport.domain.environments import EnvironmentDefinition, Interpreter, Lock
from modelport.domain.errors import ConflictException, ResolutionFailed, StoreException, WebserviceException
from modelport.domain.images import CreationState, Image, ImageContent
from modelport.domain.models import ModelVersion
from modelport.domain.progress import Progress
from modelport.environments.memory import MemoryEnvironments
from modelport.usecases import run_service
from modelport.usecases.context import Context
from modelport.usecases.create_image import ImageRequest, create_image, log_of, observe_image
from modelport.usecases.delete_image import change_image, delete_image
from modelport.usecases.delete_model import delete_model
from modelport.usecases.deploy import DeployRequest, deploy
from modelport.usecases.find_images import ImageFilter, find_image, find_images
from modelport.usecases.prepare_revision import ImageRevision, RevisionRequest
from modelport.usecases.reload import reload
from modelport.usecases.run_image import run_image
from modelport.usecases.update import ServiceChange, update
from modelport.usecases.validate_inference import validate_inference

from .conftest import Workbench


class Unresolvable(MemoryEnvironments):
    """Environments of which none can be had."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def resolve(self, definition: EnvironmentDefinition | None, *, progress: Progress) -> Lock:
        progress.step("Resolving what cannot be")
        raise self.error


def make(bench: Workbench, *models: ModelVersion, name: str = "img", context: Context | None = None) -> Image:
    revision = bench.revision(*models)
    content = ImageContent(folder="", inference=revision.inference.configuration, tags={"kind": "test"})
    return create_image(context or bench.context, ImageRequest(name=name, revision=revision, content=content))


def deployed(bench: Workbench, image: Image, *models: ModelVersion, name: str = "svc") -> None:
    revision = ImageRevision(image=image, models=models)
    deploy(bench.context, DeployRequest(name=name, compute_type="Local", revision=revision))


def bundles(context: Context) -> set[str]:
    return {folder.name for folder in context.bundles.iterdir() if folder.is_dir()}


def test_each_creation_is_the_next_version(bench: Workbench) -> None:
    model = bench.model()
    first, second = make(bench, model), make(bench, model)
    assert [first.id, second.id] == ["img:1", "img:2"]
    assert first.content.state is CreationState.SUCCEEDED
    assert first.content.built is not None
    manifest = read_manifest(bench.context.bundles / first.content.built.bundle_digest)
    assert [f"{kept.name}:{kept.version}" for kept in manifest.models] == ["line:1"]
    log = log_of(bench.context, first).read_text()
    assert "Creating image img:1" in log
    assert first.content.built.bundle_digest in log
    assert find_image(bench.context, ImageFilter(name="img")).id == "img:2"
    assert [image.id for image in find_images(bench.context, ImageFilter(model_id="line:1"))] == ["img:2", "img:1"]
    assert find_images(bench.context, ImageFilter(tags=[("kind", "other")])) == []
    with pytest.raises(WebserviceException, match=r"ImageNotFound.*version 9\.\n.*has the versions 2, 1"):
        find_image(bench.context, ImageFilter(name="img", version=9))


def test_what_stops_a_creation_is_kept_and_logged(bench: Workbench) -> None:
    context = replace(bench.context, environments=Unresolvable(ResolutionFailed("no such package", hint="spell it")))
    image = make(bench, context=context)
    assert image.content.state is CreationState.FAILED
    assert "no such package" in str(image.content.error)
    assert "Resolving what cannot be" in log_of(context, image).read_text()
    assert "no such package" in log_of(context, image).read_text()
    with pytest.raises(StoreException):
        deployed(bench, image)
    with pytest.raises(WebserviceException, match="cannot be run: it is in state Failed"):
        run_image(context, image, "1")


def test_an_interrupted_creation_has_failed(bench: Workbench) -> None:
    context = replace(bench.context, environments=Unresolvable(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        make(bench, context=context)
    assert find_image(context, ImageFilter(name="img")).content.state is CreationState.FAILED


def test_an_image_whose_creator_was_killed_has_failed(bench: Workbench) -> None:
    image = make(bench)
    content = replace(image.content, state=CreationState.RUNNING, built=None)
    bench.context.registry.replace_asset("image", "img", 1, {**_body(content)})
    running = replace(image, content=content)
    with log_of(bench.context, image).open() as log:
        fcntl.flock(log, fcntl.LOCK_EX)  # as the creator does while it lives
        assert observe_image(bench.context, running).content.state is CreationState.RUNNING
        with pytest.raises(ConflictException, match="is being created"):
            delete_image(bench.context, running)
    seen = observe_image(bench.context, running)
    assert seen.content.state is CreationState.FAILED
    assert "ended before it was done" in str(seen.content.error)


def _body(content: ImageContent) -> dict[str, object]:
    from modelport.usecases.find_images import body_of

    return body_of(content)


def test_what_killed_creators_left_is_removed(bench: Workbench) -> None:
    left = bench.context.folder / "images" / "img-0123"
    left.mkdir(parents=True)
    (left / "build.log").write_text("killed before there was a row")
    make(bench)
    assert not left.exists()


def test_a_bundle_is_kept_while_an_image_has_it(bench: Workbench) -> None:
    model = bench.model()
    image = make(bench, model)
    deployed(bench, image, model)
    assert bench.context.service("svc").active.image_id == "img:1"
    before = bundles(bench.context)
    run_service.delete(bench.context, "svc")
    assert bundles(bench.context) == before
    assert image.content.built is not None
    assert image.content.built.bundle_digest in before
    delete_image(bench.context, image)
    assert bundles(bench.context) == set()
    assert not log_of(bench.context, image).parent.exists()
    delete_image(bench.context, image)  # again: nothing happens


def test_an_image_that_a_service_runs_is_not_deleted(bench: Workbench) -> None:
    model = bench.model()
    image = make(bench, model)
    deployed(bench, image, model)
    with pytest.raises(ConflictException, match="img:1 is used by the services svc"):
        delete_image(bench.context, image)
    with pytest.raises(ConflictException, match="line:1 is used by the images img:1"):
        delete_model(bench.context, model)
    second = make(bench, model)
    update(bench.context, "svc", ServiceChange(revision=ImageRevision(image=second, models=[model])))
    assert bench.context.service("svc").active.image_id == "img:2"
    delete_image(bench.context, image)  # the earlier revision, kept for a roll-back, has the bundle


def test_an_image_does_not_change_with_its_source(bench: Workbench) -> None:
    image = make(bench)
    deployed(bench, image)
    with pytest.raises(WebserviceException, match="runs the image img:1, and an image never changes"):
        reload(bench.context, "svc")


def test_the_environment_of_an_image_is_built_from_its_lock(bench: Workbench) -> None:
    class Counting(MemoryEnvironments):
        built: list[Lock] = []

        def resolve(self, definition: EnvironmentDefinition | None, *, progress: Progress) -> Lock:
            raise AssertionError("an image is locked")

        def materialise(self, lock: Lock, *, progress: Progress) -> Interpreter:
            self.built.append(lock)
            return super().materialise(lock, progress=progress)

    image = make(bench)
    context = replace(bench.context, environments=Counting())
    deploy(context, DeployRequest(name="svc", compute_type="Local", revision=ImageRevision(image=image, models=[])))
    assert image.content.built is not None
    assert [lock.digest for lock in Counting.built] == [image.content.built.lock_digest]


def test_an_image_that_was_made_elsewhere_says_so(bench: Workbench, tmp_path: Path) -> None:
    image = make(bench)
    elsewhere = replace(bench.context, folder=tmp_path / "another machine")
    with pytest.raises(StoreException, match="img:1 is not on this machine"):
        deploy(
            elsewhere, DeployRequest(name="svc", compute_type="Local", revision=ImageRevision(image=image, models=[]))
        )
    running = replace(image, content=replace(image.content, state=CreationState.RUNNING))
    assert observe_image(elsewhere, running).content.state is CreationState.SUCCEEDED


def test_tags_and_properties_change(bench: Workbench) -> None:
    image = make(bench)
    image = change_image(bench.context, image, add_tags={"a": "1"}, remove_tags=["kind"], add_properties={"p": "1"})
    assert (image.content.tags, image.content.properties) == ({"a": "1"}, {"p": "1"})
    assert change_image(bench.context, image, tags={"b": "2"}).content.tags == {"b": "2"}
    with pytest.raises(WebserviceException, match="properties never change"):
        change_image(bench.context, image, add_properties={"p": "2"})


def test_companions_lie_beside_the_script(bench: Workbench) -> None:
    (bench.folder / "lib").mkdir()
    (bench.folder / "lib" / "inner.py").write_text("x = 1")
    (bench.folder / "labels.txt").write_text("a,b")
    companions = {"lib": bench.folder / "lib", "labels.txt": bench.folder / "labels.txt"}
    inference = validate_inference(str(bench.script()), None, companions=companions)
    request = DeployRequest(name="svc", compute_type="Local", revision=RevisionRequest(models=[], inference=inference))
    service = deploy(bench.context, request)
    app = bench.context.bundles / service.active.bundle_digest / "app"
    assert sorted(str(path.relative_to(app)) for path in app.rglob("*.*")) == ["labels.txt", "lib/inner.py", "score.py"]
    (bench.folder / "labels.txt").write_text("c")
    reloaded = reload(bench.context, "svc")
    app = bench.context.bundles / reloaded.active.bundle_digest / "app"
    assert (app / "labels.txt").read_text() == "c"


@pytest.mark.parametrize("name", ["", "-a", "a-", "With Space", "Upper", "a" * 129])
def test_bad_names_are_refused_before_there_is_a_version(bench: Workbench, name: str) -> None:
    with pytest.raises(WebserviceException, match="Invalid image name"):
        make(bench, name=name)
    assert find_images(bench.context, ImageFilter()) == []
