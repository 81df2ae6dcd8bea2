"""Data collection (azureml-v1 reference, 11): off as in v1 where nobody asks for it, refused where somebody does."""

import os
import sys
from typing import Any, Dict, List, Optional

__all__ = ["ModelDataCollector"]

_SWITCHES = ("AML_MODEL_DC_STORAGE_ENABLED", "AML_MODEL_DC_DEBUG")


class ModelDataCollector:
    """What a script collects of its inputs and predictions.

    Where collection is not switched on it says so and records nothing, as in v1. Where it is (``collect_model_data`` in
    the deployment configuration), the constructor raises NotImplementedError: a deployment that relies on collected
    data must not run on without it.
    """

    def __init__(
        self,
        model_name: str,
        designation: str = "default",
        feature_names: Optional[List[str]] = None,
        workspace: str = "default/default/default",
        webservice_name: str = "default",
        model_version: str = "default",
        collection_name: str = "default",
        **_: Any,
    ) -> None:
        asked = [name for name in _SWITCHES if os.environ.get(name, "").lower() == "true"]
        if asked:
            raise NotImplementedError(
                "Modelport does not collect model data yet, so ModelDataCollector({!r}, …) would record nothing, and "
                "{} asks for it. Deploy with collect_model_data=False.".format(model_name, asked[0])
            )
        notice = "ModelDataCollector({!r}, …): model data collection is not switched on; nothing is recorded."
        sys.stdout.write(notice.format(model_name) + "\n")

    def collect(self, input_data: Any, user_correlation_id: str = "") -> Dict[str, str]:
        """Record nothing: there are no correlation headers."""
        return {}

    def add_correlations(self, input_data: Any, correlations: Any) -> Any:
        """The data as they are: there is nothing to correlate them with."""
        return input_data
