"""The ``log`` methods of a run, for runs that keep what is logged and for those that print it."""

import json
import os
import tempfile
import time
from typing import Any, Dict, Optional

from azureml._errors import user_error
from azureml._runs import metrics, values


class MetricLogging:
    """What a script logs. Subclasses say what becomes of a value, and of a file that shows one."""

    def _keep_metric(self, kind: str, name: str, value: Any, description: Optional[str], step: Optional[int]) -> None:
        raise NotImplementedError

    def _keep_shown_file(self, kind: str, name: str, file_name: str, path: str, description: Optional[str]) -> None:
        raise NotImplementedError

    def log(self, name: str, value: Any, description: str = "", step: Optional[int] = None) -> None:
        """Log a number or a text. Logged again under the same name, it becomes a list."""
        self._keep_metric(metrics.SCALAR, name, values.scalar(value), description, step)

    def log_list(self, name: str, value: Any, description: str = "") -> None:
        """Log a list of numbers or texts. Raises UserErrorException for what is no list."""
        self._keep_metric(metrics.LIST, name, values.sequence(name, value), description, None)

    def log_row(self, name: str, description: Optional[str] = None, **kwargs: Any) -> None:
        """Log one row of a table: a column for each named argument."""
        row = {key: values.column(value) for key, value in kwargs.items()}
        self._keep_metric(metrics.ROW, name, row, description, None)

    def log_table(self, name: str, value: Any, description: str = "") -> None:
        """Log a table: a dictionary of columns. Raises UserErrorException for anything else."""
        self._keep_metric(metrics.TABLE, name, values.table(name, value), description, None)

    def log_image(self, name: str, path: Optional[str] = None, plot: Any = None, description: str = "") -> None:
        """Log an image file, or what ``plot`` (matplotlib's pyplot, or a figure) shows, as a file of the run.

        Raises UserErrorException unless exactly one of both is given, or where there is no such file.
        """
        if (path is None) == (plot is None):
            raise user_error("log_image needs a path or a plot, and not both: run.log_image(name, plot=plt).")
        if path is not None:
            self._keep_image(name, path, os.path.splitext(path)[1] or ".png", description)
            return
        with tempfile.TemporaryDirectory(prefix="modelport-image-") as folder:
            drawn = os.path.join(folder, "plot.png")
            plot.savefig(drawn, bbox_inches="tight")
            self._keep_image(name, drawn, ".png", description)

    def _keep_image(self, name: str, path: str, ending: str, description: str) -> None:
        if not os.path.isfile(path):
            raise user_error("There is no image file {!r} in {}.".format(path, os.getcwd()))
        file_name = "{}_{}{}".format(name, int(time.time() * 1000), ending)
        self._keep_shown_file(metrics.IMAGE, name, file_name, path, description)

    def log_confusion_matrix(self, name: str, value: Any, description: str = "") -> None:
        """Log a confusion matrix: a dictionary of v1's schema, or its JSON. Raises UserErrorException for others."""
        self._keep_schema("confusion_matrix", name, value, description)

    def log_accuracy_table(self, name: str, value: Any, description: str = "") -> None:
        """Log an accuracy table: a dictionary of v1's schema, or its JSON. Raises UserErrorException for others."""
        self._keep_schema("accuracy_table", name, value, description)

    def log_predictions(self, name: str, value: Any, description: str = "") -> None:
        """Log predictions: a dictionary of v1's schema, or its JSON. Raises UserErrorException for others."""
        self._keep_schema("predictions", name, value, description)

    def log_residuals(self, name: str, value: Any, description: str = "") -> None:
        """Log residuals: a dictionary of v1's schema, or its JSON. Raises UserErrorException for others."""
        self._keep_schema("residuals", name, value, description)

    def _keep_schema(self, schema: str, name: str, value: Any, description: str) -> None:
        content = _checked(schema, name, value)
        with tempfile.TemporaryDirectory(prefix="modelport-metric-") as folder:
            written = os.path.join(folder, "value.json")
            with open(written, "w", encoding="utf-8") as file:
                json.dump(content, file)
            self._keep_shown_file(metrics.ARTIFACT, name, name, written, description)


def _checked(schema: str, name: str, value: Any) -> Dict[str, Any]:
    """The dictionary. Raises UserErrorException, saying what it must look like."""
    try:
        content = json.loads(value) if isinstance(value, str) else value
        json.dumps(content)
    except (TypeError, ValueError) as error:
        raise user_error("The value of the metric {!r} is not JSON: {}.".format(name, error))
    if not isinstance(content, dict) or content.get("schema_type") != schema or "data" not in content:
        raise user_error(
            "The value of the metric {!r} must be a dictionary with 'schema_type': {!r}, 'schema_version' and "
            "'data'.".format(name, schema)
        )
    return content
