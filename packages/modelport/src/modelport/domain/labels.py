"""Tags and properties, and conditions on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelport.domain.models import Condition


def labels_fit(labels: Mapping[str, str], conditions: Sequence[Condition]) -> bool:
    """Whether every condition holds: ``"key"``, there is one of that key; ``("key", "value")``, with that value."""
    return all(_label_fits(labels, condition) for condition in conditions)


def _label_fits(labels: Mapping[str, str], condition: Condition) -> bool:
    key, *value = [condition] if isinstance(condition, str) else condition
    return key in labels and all(labels[key] == wanted for wanted in value)
