"""Profiles of the workspace: assets whose body is a ProfileContent, and a folder with logs each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from modelport.domain.assets import Asset
from modelport.domain.errors import WebserviceException
from modelport.domain.profiles import Profile, ProfileContent
from modelport.usecases.context import Context

KIND = "profile"
LOG = "profile.log"
"""Of the steps, locked while somebody makes the profile."""
SERVICE_LOG = "service.log"
"""What the script printed, and the server said of it."""


def find_profile(context: Context, name: str) -> Profile:
    """The profile of that name, as the workspace has it. Raises WebserviceException (``ProfileNotFound``)."""
    asset = context.registry.asset(KIND, name)
    if asset is None:
        known = ", ".join(repr(each.name) for each in context.registry.assets(KIND, latest=True))
        raise WebserviceException(
            f"ProfileNotFound: the workspace {context.record.name!r} has no profile named {name!r}.",
            hint=f"It has: {known}." if known else "It has no profiles: Model.profile(…) makes one.",
        )
    return profile_of(asset)


def profile_folder(context: Context, profile: Profile) -> Path:
    """Where its logs are."""
    return folder_of_profiles(context) / profile.content.folder


def folder_of_profiles(context: Context) -> Path:
    """Where the workspace keeps the logs of profiles."""
    return context.folder / "profiles"


def profile_of(asset: Asset) -> Profile:
    """The profile that the asset is."""
    content = msgspec.convert(asset.body, ProfileContent)
    return Profile(name=asset.name, content=content, created_time=asset.created_time, created_by=asset.created_by)


def keep_profile(context: Context, name: str, content: ProfileContent) -> Profile:
    """Replace what the workspace keeps of the profile. Raises UserErrorException where it is not there any more."""
    return profile_of(context.registry.replace_asset(KIND, name, 1, body_of(content)))


def body_of(content: ProfileContent) -> dict[str, Any]:
    """The content as the body of an asset."""
    body: dict[str, Any] = msgspec.to_builtins(content)
    return body
