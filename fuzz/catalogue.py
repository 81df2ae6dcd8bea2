"""Which targets there are, and the inputs that are kept for each."""

from __future__ import annotations

from pathlib import Path

PARSER = tuple(f"modelport_scoring.http.{module}" for module in ("parser", "arriving_head", "chunk_framing", "framing"))
LINK = tuple(f"modelport_scoring.workers.{module}" for module in ("link", "inbox", "outbox"))

TARGETS = {
    "autoscaler": ("modelport_scoring.workers.autoscaler", "modelport_scoring.workers.group"),
    "clients": ("modelport_scoring.http",),
    "frames": (*LINK, "modelport_worker.link"),
    "handover": (
        "modelport_scoring.sockets.handover",
        "modelport_scoring.sockets.meeting",
        "modelport_scoring.supervision.succession",
    ),
    "http_connection": ("modelport_scoring.http",),
    "http_reader": ("modelport_scoring.http.reader", *PARSER, "modelport_scoring.http.known_heads"),
    "inference_protocol": ("modelport_scoring.inference_protocol",),
    "leaders": (
        "modelport_scoring.control.leading",
        "modelport_scoring.control.lines",
        "modelport_scoring.control.peers",
        "modelport_scoring.control.verbs",
        "modelport_scoring.revisions",
    ),
    "multipart": ("azureml.contrib.services",),
    "numbers": ("modelport_scoring.workers.numbers", "modelport_scoring.workers.replies", "modelport_worker.batching"),
    "pool": ("modelport_scoring.workers",),
    "replies": (
        *LINK,
        "modelport_scoring.workers.large_bodies",
        "modelport_scoring.workers.replies",
        "modelport_scoring.workers.worker",
    ),
    "revisions": (
        "modelport_scoring.revisions",
        "modelport_scoring.traffic",
        "modelport_scoring.service",
        "modelport_scoring.control.verbs",
        "modelport_scoring.workers.pool",
        "modelport_scoring.workers.group",
        "modelport_scoring.workers.queue",
    ),
    "router": ("modelport_scoring.router", *PARSER, "modelport_scoring.http.watched"),
    "router_clients": ("modelport_scoring.router", "modelport_scoring.http"),
    "script_requests": ("azureml.contrib.services",),
    "second_reader": (*PARSER, "h11"),
    "supervisor": (
        "modelport_scoring.supervision.supervisor",
        "modelport_scoring.supervision.server_process",
        "modelport_scoring.supervision.pulse",
        "modelport_scoring.processes.backoff",
    ),
    "template": (
        "modelport_scoring.workers.forked",
        "modelport_scoring.workers.group",
        "modelport_scoring.workers.process",
        "modelport_scoring.workers.template",
        "modelport_scoring.workers.worker",
    ),
}
"""Each with the modules whose coverage guides the search."""

CORPUS = Path(__file__).with_name("corpus")
FINDINGS = Path(__file__).with_name("findings")
"""Inputs that once broke something."""


def kept_inputs(target: str) -> list[Path]:
    """The corpus of the target, and what was found with it."""
    return sorted(path for folder in (CORPUS, FINDINGS) for path in folder.glob(f"{target}/*"))
