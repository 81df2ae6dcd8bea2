"""What of an object was applied by whom."""

from __future__ import annotations

from typing import Any

from modelport.targets.kubernetes.owned_fields import applied_by

_OWNED = {
    "f:metadata": {
        "f:labels": {"f:ours": {}},
        "f:ownerReferences": {'k:{"uid":"1"}': {".": {}, "f:kind": {}, "f:uid": {}}},
    },
    "f:spec": {
        "f:args": {},
        "f:containers": {'k:{"name":"b"}': {".": {}, "f:name": {}, "f:image": {}, "f:tmp": {}, "f:gone": {}}},
        "f:finalizers": {'v:"x"': {}},
    },
}


def _found(**entry: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Thing",
        "metadata": {
            "name": "thing",
            "namespace": "ns",
            "uid": "9",
            "labels": {"ours": "1", "theirs": "2"},
            "ownerReferences": [{"uid": "1", "kind": "ConfigMap", "controller": False}],
            "managedFields": [
                {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {}}},
                {"manager": "modelport", "operation": "Apply", "fieldsV1": _OWNED, **entry},
            ],
        },
        "spec": {
            "args": ["a", "b"],
            "clusterIP": "10.0.0.1",
            "containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "j", "tmp": {}, "policy": "Always"}],
            "finalizers": ["x", "y"],
        },
        "status": {"ready": True},
    }


def test_what_was_applied() -> None:
    assert applied_by("modelport", _found()) == {
        "apiVersion": "v1",
        "kind": "Thing",
        "metadata": {
            "name": "thing",
            "namespace": "ns",
            "labels": {"ours": "1"},
            "ownerReferences": [{"uid": "1", "kind": "ConfigMap"}],
        },
        "spec": {"args": ["a", "b"], "containers": [{"name": "b", "image": "j", "tmp": {}}], "finalizers": ["x"]},
    }


def test_what_somebody_else_wrote_is_not_ours() -> None:
    assert applied_by("kubectl", _found()) is None
    assert applied_by("modelport", _found(operation="Update")) is None
    assert applied_by("modelport", _found(subresource="status")) is None
