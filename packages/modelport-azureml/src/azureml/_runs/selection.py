"""Which runs are meant: by tags, properties, type and state."""

from typing import Any, Dict, Iterable, List, Mapping, Optional, Union

from azureml._runs.folder import RunFolder

Labels = Union[None, str, Mapping[str, Any]]
"""A key that must be there, or keys with their values."""


def selected(
    runs: Iterable[RunFolder],
    *,
    type: Optional[str] = None,
    tags: Labels = None,
    properties: Labels = None,
    status: Optional[str] = None,
) -> List[RunFolder]:
    """Those that fit, the newest first."""
    contents = [(folder.read(), folder) for folder in runs]
    contents.sort(key=lambda each: (each[0]["created_time"], each[0]["number"] or 0), reverse=True)
    return [
        folder
        for content, folder in contents
        if type in (None, content["type"])
        and status in (None, content["status"])
        and _has(content["tags"], tags)
        and _has(content["properties"], properties)
    ]


def _has(labels: Dict[str, Any], wanted: Labels) -> bool:
    if not wanted:
        return True
    if isinstance(wanted, str):
        return wanted in labels
    return all(
        key in labels and labels[key] == (None if value is None else str(value)) for key, value in wanted.items()
    )
