"""Which settings a service takes over while it runs, and which it keeps until it is started again."""

from __future__ import annotations

import msgspec

from modelport_scoring.settings.service import Changes, RevisionSettings, ServiceSettings

CHANGEABLE = frozenset(Changes.__struct_fields__) | {"revision", "others", "traffic"}
OF_REVISION = frozenset(("workers", "autoscale", "limits"))
"""What may change of a revision that keeps its number: all else is what its workers were started with."""


def as_far_as_changeable(now: ServiceSettings, wanted: ServiceSettings) -> tuple[ServiceSettings, list[str]]:
    """The wanted settings with what a running service keeps of those of now, and the names of what it keeps though it
    is wanted otherwise."""
    if wanted.port == 0:  # whichever the system chose
        wanted = msgspec.structs.replace(wanted, port=now.port)
    kept = unlike(now, wanted, but=CHANGEABLE)
    known = {revision.number: revision for revision in now.revisions}
    revisions = []
    for revision in wanted.revisions:
        same = known.get(revision.number)
        if same is not None:
            names = unlike(same, revision, but=OF_REVISION)
            kept += [f"{name} of revision {revision.number}" for name in names]
            revision = with_kept(same, revision, names)
        revisions.append(revision)
    merged = msgspec.structs.replace(
        wanted, **{name: getattr(now, name) for name in kept if name in ServiceSettings.__struct_fields__}
    )
    return msgspec.structs.replace(merged, revision=revisions[0], others=revisions[1:]), kept


def unlike(now: msgspec.Struct, wanted: msgspec.Struct, *, but: frozenset[str]) -> list[str]:
    """Names of the fields in which the two differ, without those in ``but``."""
    return [name for name in now.__struct_fields__ if name not in but and getattr(now, name) != getattr(wanted, name)]


def with_kept(now: RevisionSettings, wanted: RevisionSettings, names: list[str]) -> RevisionSettings:
    """The wanted one with those fields as they are now."""
    return msgspec.structs.replace(wanted, **{name: getattr(now, name) for name in names})
