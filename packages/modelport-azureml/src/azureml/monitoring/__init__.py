"""Data collection, which this version does not do, and says so."""

from typing import Any, List, Optional

__all__ = ["ModelDataCollector"]


class ModelDataCollector:
    """Collected inputs and predictions in the original. Here its constructor raises NotImplementedError.

    It is not a silent stand-in: a script that relies on collected data must not run on without it.
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
        raise NotImplementedError(
            "Modelport does not collect model data yet, so ModelDataCollector({!r}, …) would record nothing. Take it "
            "out of the entry script, or construct it only where collection is wanted.".format(model_name)
        )

    def collect(self, input_data: Any, user_correlation_id: str = "") -> Any:
        """Not reached: there is no object without the constructor."""
        raise NotImplementedError("Modelport does not collect model data yet.")

    def add_correlations(self, input_data: Any, correlations: Any) -> Any:
        """Not reached: there is no object without the constructor."""
        raise NotImplementedError("Modelport does not collect model data yet.")
