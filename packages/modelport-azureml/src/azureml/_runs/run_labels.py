"""Tags, properties, and the names of a run."""

from typing import Any, Dict, Iterable, Mapping, Optional, Union

from azureml._errors import user_error
from azureml._runs.folder import RunFolder
from azureml._runs.values import scalar


class RunLabels:
    """What a run is called and labelled with."""

    _folder: RunFolder

    @property
    def tags(self) -> Dict[str, Any]:
        return dict(self._folder.document.read()["tags"])

    def get_tags(self) -> Dict[str, Any]:
        """The tags as they are now."""
        return self.tags

    def tag(self, key: str, value: Any = None) -> None:
        """Set a tag; without a value the key alone says it."""
        self.set_tags({key: value})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Add tags, or give them new values."""
        texts = {str(key): _text(value) for key, value in tags.items()}
        self._folder.change(lambda content: content["tags"].update(texts))

    def remove_tags(self, tags: Union[str, Iterable[str]]) -> None:
        """Remove the tags with these keys; those that are not there are passed over."""
        keys = [tags] if isinstance(tags, str) else list(tags)

        def alter(content: Dict[str, Any]) -> None:
            for key in keys:
                content["tags"].pop(key, None)

        self._folder.change(alter)

    @property
    def properties(self) -> Dict[str, str]:
        return dict(self._folder.document.read()["properties"])

    def get_properties(self) -> Dict[str, str]:
        """The properties as they are now."""
        return self.properties

    def add_properties(self, properties: Mapping[str, Any]) -> None:
        """Add properties. Raises UserErrorException for one that is there with another value: they do not change."""
        texts = {str(key): str(value) for key, value in properties.items()}

        def alter(content: Dict[str, Any]) -> None:
            for key, value in texts.items():
                if content["properties"].get(key, value) != value:
                    raise user_error(
                        "The run has the property {!r} with the value {!r}, and properties do not change. Use a tag "
                        "instead.".format(key, content["properties"][key])
                    )
            content["properties"].update(texts)

        self._folder.change(alter)

    @property
    def display_name(self) -> Optional[str]:
        """The name that is shown; the id where none was given."""
        return self._folder.document.read()["name"] or self._folder.run_id

    @display_name.setter
    def display_name(self, value: str) -> None:
        self._folder.change(lambda content: content.update(name=value))

    @property
    def name(self) -> Optional[str]:
        """As ``display_name``; None where none was given."""
        return self._folder.document.read()["name"]  # type: ignore[no-any-return]

    @property
    def description(self) -> Optional[str]:
        return self._folder.document.read()["description"]  # type: ignore[no-any-return]

    @description.setter
    def description(self, value: Optional[str]) -> None:
        self._folder.change(lambda content: content.update(description=value))

    @property
    def number(self) -> Optional[int]:
        """Which run of its experiment it is, from 1."""
        return self._folder.document.read()["number"]  # type: ignore[no-any-return]

    @property
    def type(self) -> Optional[str]:
        """``azureml.scriptrun`` for a submitted script; None for a run that was started with ``start_logging``."""
        return self._folder.document.read()["type"]  # type: ignore[no-any-return]


def _text(value: Any) -> Optional[str]:
    kept = scalar(value)
    return None if kept is None else str(kept)
