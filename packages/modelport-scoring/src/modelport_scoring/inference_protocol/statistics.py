"""The protocol's statistics extension (triton-inference-server/server, docs/protocol/extension_statistics.md)."""

from __future__ import annotations

from typing import Any

from modelport_scoring.telemetry.statistics import Duration, RevisionStatistics

NOT_TIMED = {"count": 0, "ns": 0}
NANOSECONDS = 1_000_000_000


def describe_statistics(counted: RevisionStatistics, *, model: str, version: str) -> dict[str, Any]:
    """One of ``model_stats``.

    Reading and writing tensors is not timed apart, and there is no cache. The time of all requests is divided among
    those that succeeded and those that failed by their numbers.
    """
    answered = counted.succeeded + counted.failed
    each_s = counted.whole.seconds / answered if answered else 0.0
    return {
        "name": model,
        "version": version,
        "last_inference": 0 if counted.last_at is None else round(counted.last_at * 1000),
        "inference_count": counted.succeeded,
        "execution_count": counted.calls,
        "inference_stats": {
            "success": timed(Duration(counted.succeeded, each_s * counted.succeeded)),
            "fail": timed(Duration(counted.failed, each_s * counted.failed)),
            "queue": timed(counted.queue),
            "compute_input": NOT_TIMED,
            "compute_infer": timed(counted.run),
            "compute_output": NOT_TIMED,
            "cache_hit": NOT_TIMED,
            "cache_miss": NOT_TIMED,
        },
        "batch_stats": [],
    }


def timed(duration: Duration) -> dict[str, int]:
    return {"count": duration.count, "ns": round(duration.seconds * NANOSECONDS)}
