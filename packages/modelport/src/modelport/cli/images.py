"""``modelport images``: the folder in which images are made."""

from __future__ import annotations

from typing import Annotated

import typer

from modelport.cli.command import command, group
from modelport.cli.output import Result
from modelport.cli.session import Session
from modelport.composition import Installation
from modelport.domain.errors import UserErrorException
from modelport.images import prune

app = group("See to the folder in which images are made, for all workspaces.")

_DAY_S = 24 * 3600.0
_GIGABYTE = 10**9


@app.callback()
def _group() -> None:
    """A group, though it has one command."""


@command(app, "prune")
def prune_command(
    session: Session,
    older_than: Annotated[
        float, typer.Option("--older-than", metavar="DAYS", help="Remove what was not used for so many days.")
    ] = 30.0,
    to_size: Annotated[
        float | None,
        typer.Option("--to-size", metavar="GB", help="Then what was used longest ago, until this much is left."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing, and say what would be.")] = False,
) -> object:
    """Remove layers and images that were made for earlier deployments and packages, and are not used any more.

    What was used within the last hour stays, and so do packages, images in engines and registries, and whatever runs:
    these have copies of their own. What is needed again later is made again.
    """
    if older_than < 0 or (to_size is not None and to_size < 0):
        raise UserErrorException("Days and gigabytes are not below 0.", hint="Look at --older-than and --to-size.")
    cache = Installation.from_environment().home / "images"
    pruned = prune(
        cache,
        unused_for_s=older_than * _DAY_S,
        most_bytes=None if to_size is None else int(to_size * _GIGABYTE),
        is_rehearsal=dry_run,
    )
    verb = "Would remove" if dry_run else "Removed"
    text = (
        f"{verb} {pruned.images} images and {pruned.layers} layers of {cache}: {pruned.freed_bytes / 1e6:.1f} MB. "
        f"{pruned.kept_bytes / 1e6:.1f} MB {'would be' if dry_run else 'are'} left."
    )
    document = {
        "images": pruned.images,
        "layers": pruned.layers,
        "freedBytes": pruned.freed_bytes,
        "keptBytes": pruned.kept_bytes,
    }
    return Result(document, text=text)
