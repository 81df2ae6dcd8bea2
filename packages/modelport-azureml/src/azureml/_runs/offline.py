"""What a script gets for its run where it has none: what it logs is printed (azureml-v1 reference, 2.12)."""

import uuid
from types import TracebackType
from typing import Any, Dict, Iterable, Mapping, Optional, Sequence, Type, Union

from azureml._runs.metric_logging import MetricLogging

_WORDS = {
    "scalar": "scalar metric",
    "list": "list metric",
    "row": "row metric",
    "table": "table metric",
    "image": "image",
    "artifact": "metric",
}


class _OfflineRun(MetricLogging):
    """The run of a script that is no run of a workspace. It keeps nothing, has no experiment, and registers no models:
    scripts ask for its class, its id or what it lacks to find out."""

    def __init__(self) -> None:
        self._id = "OfflineRun_{}".format(uuid.uuid4())
        self._tags: Dict[str, Any] = {}
        self._properties: Dict[str, str] = {}
        self._status = "Running"

    @property
    def id(self) -> str:
        """Starts with ``OfflineRun``."""
        return self._id

    @property
    def name(self) -> str:
        return self._id

    def _keep_metric(self, kind: str, name: str, value: Any, description: Optional[str], step: Optional[int]) -> None:
        _say("Attempted to log {} {}:\n{}".format(_WORDS[kind], name, value))

    def _keep_shown_file(self, kind: str, name: str, file_name: str, path: str, description: Optional[str]) -> None:
        if kind == "image":
            _say("Attempted to log image {}".format(name))
            return
        with open(path, encoding="utf-8") as file:
            _say("Attempted to log metric {}:\n{}".format(name, file.read()))

    def upload_file(self, name: str, path_or_stream: Any, datastore_name: Optional[str] = None) -> None:
        """Print that nothing was kept."""
        where = "a stream" if hasattr(path_or_stream, "read") else path_or_stream
        _say("Attempted to track file {} at {}".format(name, where))

    def upload_files(self, names: Sequence[str], paths: Sequence[str], **_: Any) -> None:
        """Print that nothing was kept."""
        for name, path in zip(names, paths):
            self.upload_file(name, path)

    def upload_folder(self, name: str, path: str, datastore_name: Optional[str] = None) -> None:
        """Print that nothing was kept."""
        _say("Attempted to track folder {} at {}".format(name, path))

    # --- labels and states: of this object alone ----------------------------------------------------------------------

    @property
    def tags(self) -> Dict[str, Any]:
        return dict(self._tags)

    def get_tags(self) -> Dict[str, Any]:
        return self.tags

    def tag(self, key: str, value: Any = None) -> None:
        self._tags[key] = value

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        self._tags.update(tags)

    def remove_tags(self, tags: Union[str, Iterable[str]]) -> None:
        for key in [tags] if isinstance(tags, str) else tags:
            self._tags.pop(key, None)

    @property
    def properties(self) -> Dict[str, str]:
        return dict(self._properties)

    def get_properties(self) -> Dict[str, str]:
        return self.properties

    def add_properties(self, properties: Mapping[str, Any]) -> None:
        self._properties.update({key: str(value) for key, value in properties.items()})

    @property
    def status(self) -> str:
        return self._status

    def get_status(self) -> str:
        return self._status

    def get_metrics(self, *_: Any, **__: Any) -> Dict[str, Any]:
        """Empty: what is logged is printed and not kept."""
        return {}

    def child_run(self, name: Optional[str] = None, run_id: Optional[str] = None, outputs: Any = None) -> "_OfflineRun":
        """Another one of these."""
        return _OfflineRun()

    def start(self) -> None:
        self._status = "Running"

    def complete(self, _set_status: bool = True) -> None:
        self._status = "Completed"

    def fail(self, error_details: Any = None, error_code: Optional[str] = None, _set_status: bool = True) -> None:
        self._status = "Failed"

    def cancel(self) -> None:
        self._status = "Canceled"

    def flush(self, timeout_seconds: int = 300) -> None:
        """Nothing is kept, so there is nothing to wait for."""

    def __enter__(self) -> "_OfflineRun":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if error is None:
            self.complete()
        else:
            self.fail()


def _say(text: str) -> None:
    print(text)  # noqa: T201 - printing is what an offline run does
