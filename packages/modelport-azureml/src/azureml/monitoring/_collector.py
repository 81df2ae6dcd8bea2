"""``ModelDataCollector``: it takes rows from ``run()`` and gives them to a writer in the background."""

import datetime as dt
import os
import sys
import uuid
from typing import Any, Dict, Optional, Sequence

from azureml import _modelport
from azureml.monitoring._rows import Correlated, Table, table_of, with_columns
from azureml.monitoring._text import csv_text
from azureml.monitoring._where import Place, boundary_folders, boundary_minutes, model_data_folder, place_of
from azureml.monitoring._writer import Record, give

STORAGE_SWITCH = "AML_MODEL_DC_STORAGE_ENABLED"
DEBUG_SWITCH = "AML_MODEL_DC_DEBUG"

DESIGNATIONS = ("inputs", "predictions", "labels", "signals", "general")
_NAMED_COLLECTIONS = ("signals", "general")
"""Of these, several collections may be told apart by a name."""

_OFF, _STORES, _PRINTS = "off", "stores", "prints"


def _is_on(switch: str) -> bool:
    return os.environ.get(switch, "").strip().lower() == "true"


if _is_on(STORAGE_SWITCH) or _is_on(DEBUG_SWITCH):
    _modelport.want_request_ids()


class ModelDataCollector:
    """Collects rows of one kind: what a model is asked (``inputs``), what it answers (``predictions``), or others.

    Where collection is on (``collect_model_data=True`` in the deployment configuration), each call of ``collect`` adds
    rows to a CSV file of the day, below the folder that AZUREML_MODEL_DATA_DIR names::

        <subscription>/<resource group>/<workspace>/<service>/<model>/<version>/<designation>/<year>/<month>/<day>/

    Where AML_MODEL_DC_DEBUG is ``true`` they are printed instead. Where neither is on, it says so once and does
    nothing. No method raises: a service must not fail for its records. Rows are written by a thread in the background;
    what it cannot keep up with is dropped, and counted in the log.

    ``feature_names`` name the columns, in their order; a data frame brings its own. ``identifier`` is the name that
    ``designation`` had in 2019.
    """

    def __init__(
        self,
        model_name: str,
        designation: str = "default",
        feature_names: Optional[Sequence[str]] = None,
        workspace: str = "default/default/default",
        webservice_name: str = "default",
        model_version: str = "default",
        collection_name: str = "default",
        identifier: Optional[str] = None,
        **_: Any,
    ) -> None:
        self.model_name = model_name
        self.designation = _designation(designation if identifier is None else identifier)
        self.collection_name = collection_name
        self.feature_names = [str(name) for name in feature_names or ()]
        self._mode = _OFF if self.designation is None else _mode(model_name)
        self._failed = False
        if self._mode != _OFF:
            self._place = place_of(model_name, workspace, webservice_name, str(model_version))
            self._folder = self._place.folder(str(self.designation))
            self._file_stem = self._stem()

    def collect(self, input_data: Any, user_correlation_id: str = "") -> Dict[str, str]:
        """Record the rows: a list, a NumPy array, a pandas or Spark data frame. The data may be changed afterwards.

        Returns what rows of another collector can be related by (``add_correlations``); nothing where collection is
        off. ``user_correlation_id`` takes the place of the request's id.
        """
        if self._mode == _OFF:
            return {}
        try:
            return self._collected(input_data, str(user_correlation_id or ""))
        except Exception as error:
            self._tell_failure(error)
            return {}

    def add_correlations(self, input_data: Any, correlations: Any) -> Any:
        """The data with the columns of ``correlations``, which ``collect`` of another collector has returned: a new
        data frame, or rows that ``collect`` understands."""
        if self._mode == _OFF or not correlations:
            return input_data
        try:
            return with_columns(input_data, correlations, self.feature_names)
        except Exception as error:
            self._tell_failure(error)
            return input_data

    def _collected(self, data: Any, user_correlation_id: str) -> Dict[str, str]:
        now = dt.datetime.now(dt.timezone.utc)
        request_id = _modelport.request_id()
        correlations = _correlations(self._place, user_correlation_id or request_id, request_id, now)
        table = table_of(data, self.feature_names)
        if self.designation == "inputs" and not isinstance(data, Correlated):
            table = Table(table.names + list(correlations), table.rows, table.more + list(correlations.values()))
        if self._mode == _PRINTS:
            sys.stdout.write("{}: {}\n{}".format(self.model_name, self.designation, csv_text(table, header=True)))
        else:
            folder = os.path.join(self._folder, boundary_folders(now))
            give(Record(model_data_folder(), folder, self._file_stem, table))
        return correlations

    def _stem(self) -> str:
        named = self.designation in _NAMED_COLLECTIONS
        return Place.component(self.collection_name) if named else str(self.designation)

    def _tell_failure(self, error: Exception) -> None:
        """Once: a script that collects what is no table does so at each request."""
        if not self._failed:
            self._failed = True
            _say(
                "ModelDataCollector({!r}, designation={!r}): this data cannot be collected, and more of its kind is "
                "passed over in silence: {}: {}".format(self.model_name, self.designation, type(error).__name__, error)
            )


def _designation(given: Any) -> Optional[str]:
    """The designation; None, and a word about it, for one that there is not."""
    wanted = "general" if given in (None, "default") else given
    if wanted in DESIGNATIONS:
        return str(wanted)
    _say(
        "ModelDataCollector: there is no designation {!r}; nothing is recorded. There are: {}.".format(
            given, ", ".join(DESIGNATIONS)
        )
    )
    return None


def _mode(model_name: str) -> str:
    if _is_on(DEBUG_SWITCH):
        return _PRINTS
    if not _is_on(STORAGE_SWITCH):
        _say(
            "ModelDataCollector({!r}, …): model data collection is not switched on; nothing is recorded.".format(
                model_name
            )
        )
        return _OFF
    if not model_data_folder():
        _say(
            "ModelDataCollector({!r}, …): nothing is recorded, though {} is true: AZUREML_MODEL_DATA_DIR names no "
            "folder for it. Set that variable to a folder that can be written.".format(model_name, STORAGE_SWITCH)
        )
        return _OFF
    return _STORES


def _correlations(place: Place, correlation_id: str, request_id: str, now: dt.datetime) -> Dict[str, str]:
    return {
        "$aml_dc_correlation_id": correlation_id or uuid.uuid4().hex,
        "$aml_dc_scoring_timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "$aml_dc_boundary": str(boundary_minutes()),
        "$aml_workspace": place.workspace,
        "$aml_service_name": place.service,
        "$aml_model_name": place.model,
        "$aml_model_version": place.version,
        "$aml_request_id": request_id,
    }


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
