"""Profile models: run their service for a while, under limits, and say what it needs (azureml-v1 reference, 8)."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from modelport.domain.deployments import Deployment
from modelport.domain.errors import ConflictException, ModelportError, WebserviceException
from modelport.domain.failures import Phase, in_phase
from modelport.domain.profiles import Measurement, Profile, ProfileContent, ProfileState
from modelport.domain.progress import Silent
from modelport.domain.services import DesiredState, Revision, Service
from modelport.storage.memory import MemoryStore
from modelport.targets.interface import ConfinedTarget, Confining
from modelport.targets.memory import OneTarget
from modelport.usecases.context import Context
from modelport.usecases.creation_log import Logged, is_held
from modelport.usecases.deploy import check_models
from modelport.usecases.find_profiles import (
    KIND,
    LOG,
    SERVICE_LOG,
    body_of,
    find_profile,
    folder_of_profiles,
    keep_profile,
    profile_folder,
    profile_of,
)
from modelport.usecases.measure_service import MemoryExceeded, Watch, measure
from modelport.usecases.prepare_revision import (
    RevisionRequest,
    bundles_held,
    prepare_revision,
    remove_unused_bundles,
)
from modelport.usecases.register_model import current_user
from modelport.usecases.start_active import start_active
from modelport.usecases.wait import wait_for_deployment

_TARGET = "Local"
_SERVICE = "profile"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,254}")
_LONGEST_S = 25 * 60.0
"""How long v1 said that a profile may take; the start of the service has as much."""
_LOG_LINES = 5000
_BYTES_PER_GB = 2**30


@dataclass(frozen=True, kw_only=True)
class ProfileRequest:
    """A profile to be. ``bodies`` are sent as they are, one after the other."""

    name: str
    revision: RevisionRequest
    bodies: Sequence[str]
    cpu: float
    memory_gb: float
    input_dataset_id: str | None = None
    description: str | None = None


def profile_models(context: Context, request: ProfileRequest) -> Profile:
    """Build, start, measure; returns when that is over, well or not: ``content.state`` tells.

    What stops it is kept as ``content.error``. Raises WebserviceException for a bad name, or without a request to send,
    and ConflictException for a name that is taken, before there is a profile.
    """
    if not isinstance(request.name, str) or not _NAME.fullmatch(request.name):
        raise WebserviceException(
            f"Invalid profile name {request.name!r}: it may hold letters, digits, '_', '-' and '.'."
        )
    if not request.bodies:
        raise WebserviceException("There is nothing to send: the input data set has no rows.")
    check_models(request.revision.models)
    if context.registry.asset(KIND, request.name) is not None:
        raise ConflictException(
            f"There is a profile named {request.name!r} already, and a profile does not change.",
            hint="Choose another name; ModelProfile(workspace, name) shows that one.",
        )
    _remove_leftovers(context)
    with _log_folder(context, request.name) as (folder, log):
        content = ProfileContent(
            folder=folder.name,
            model_ids=tuple(model.id for model in request.revision.models),
            requested_cpu=request.cpu,
            requested_memory_gb=request.memory_gb,
            input_dataset_id=request.input_dataset_id,
            description=request.description,
        )
        asset = context.registry.add_asset(KIND, request.name, body_of(content), created_by=current_user(), unique=True)
        logged = replace(context, progress=Logged(context.progress, log))
        logged.progress.step(f"Profiling {request.name}")
        profile = _made(logged, profile_of(asset), request, folder)
        log.write(f"{profile.content.state}: {profile.content.error or 'measured'}\n")
    remove_unused_bundles(context)
    return profile


def observe_profile(context: Context, name: str) -> Profile:
    """The profile as it is now. One that nobody makes any more, because the program was killed, has failed.

    Raises WebserviceException where there is none.
    """
    profile = find_profile(context, name)
    log = profile_folder(context, profile) / LOG
    if profile.content.state.is_final or not log.exists() or is_held(log):
        return profile
    profile = find_profile(context, name)  # it may have been finished between the two looks
    if profile.content.state.is_final:
        return profile
    error = "The program that made the profile ended before it was done."
    return keep_profile(context, name, replace(profile.content, state=ProfileState.FAILED, error=error))


def _made(context: Context, profile: Profile, request: ProfileRequest, folder: Path) -> Profile:
    content = profile.content
    try:
        with bundles_held(context):
            revision, bundle = prepare_revision(context, request.revision, number=1)
            content = replace(
                content, environment_name=revision.environment_name, environment_version=revision.environment_version
            )
            measured = _measured(context, request, revision, bundle, folder)
        return keep_profile(context, profile.name, replace(content, state=ProfileState.SUCCEEDED, measured=measured))
    except BaseException as error:
        text = error.text if isinstance(error, ModelportError) else repr(error)
        failed = keep_profile(context, profile.name, replace(content, state=ProfileState.FAILED, error=text))
        if isinstance(error, ModelportError):
            return failed
        raise


def _measured(context: Context, request: ProfileRequest, revision: Revision, bundle: Path, folder: Path) -> Measurement:
    """Serve it as long as that takes. Raises what stops it."""
    service = _service(revision)
    local = context.target(service)
    if not isinstance(local, Confining):
        raise WebserviceException("This target cannot tell what a service uses.")
    with local.confined(cpu=request.cpu, memory_gb=request.memory_gb) as target:
        for note in target.not_enforced:
            context.progress.step(note)
        # A registry of its own: the service is nobody else's business.
        registry = MemoryStore(workspace=context.record.name)
        registry.create_workspace(context.record)
        registry.create_service(service)
        here = replace(context, registry=registry, targets=OneTarget(target), progress=Silent())
        try:
            return _served(context, here, target, service, bundle, request)
        except WebserviceException as error:
            if target.killed_for_memory:
                raise _out_of_memory(request) from error
            raise
        finally:
            logs = target.logs(service, lines=_LOG_LINES)
            (folder / SERVICE_LOG).write_text(logs, encoding="utf-8")
            target.delete(service)


def _served(
    context: Context,
    here: Context,
    target: ConfinedTarget,
    service: Service,
    bundle: Path,
    request: ProfileRequest,
) -> Measurement:
    context.progress.step(f"Starting the service, with {request.cpu:g} cores and {request.memory_gb:g} GB of memory")
    with in_phase(Phase.START):
        start_active(here, service, bundle)
    running = wait_for_deployment(here, service.name, timeout_s=_LONGEST_S)
    is_watched = any("memory" in note for note in target.not_enforced)
    watch = Watch(
        usage=lambda: target.usage(running),
        most_memory_bytes=request.memory_gb * _BYTES_PER_GB if is_watched else float("inf"),
    )
    context.progress.step(f"Sending {len(request.bodies)} requests, one after the other")
    measured = measure("127.0.0.1", running.port or 0, request.bodies, watch, within_s=_LONGEST_S)
    if measured.total_queries < len(request.bodies):
        context.progress.step(f"Stopped after {_LONGEST_S / 60:g} minutes and {measured.total_queries} requests")
    if target.killed_for_memory:
        raise _out_of_memory(request)
    return measured


def _out_of_memory(request: ProfileRequest) -> MemoryExceeded:
    return MemoryExceeded(
        f"OutOfMemory: the service needed more than the {request.memory_gb:g} GB of memory that it may use, and the "
        "system ended a process of it.",
        hint="Profile it with more memory_in_gb, or load less in init().",
    )


def _service(revision: Revision) -> Service:
    now = dt.datetime.now(dt.UTC)
    return Service(
        name=_SERVICE,
        compute_type=_TARGET,
        deployment=Deployment(workers=1),
        desired_state=DesiredState.RUNNING,
        revisions=(replace(revision, model_ids=()),),  # that registry has no models
        active_revision=revision.number,
        last_number=revision.number,
        created_time=now,
        updated_time=now,
    )


# --- folders of logs --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _log_folder(context: Context, name: str) -> Iterator[tuple[Path, TextIO]]:
    """A new folder and its log, locked while the profile is being made."""
    folder = folder_of_profiles(context) / f"{name}-{uuid.uuid4().hex[:12]}"
    folder.mkdir(parents=True)
    with (folder / LOG).open("w", encoding="utf-8") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        yield folder, log


def _remove_leftovers(context: Context) -> None:
    """Folders that no profile has and nobody works in: somebody was killed, or the name was taken."""
    root = folder_of_profiles(context)
    folders = [*root.iterdir()] if root.is_dir() else []
    known = {profile_of(asset).content.folder for asset in context.registry.assets(KIND)}
    for folder in folders:
        if folder.name not in known and not is_held(folder / LOG):
            shutil.rmtree(folder, ignore_errors=True)
