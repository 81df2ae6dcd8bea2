"""Modelport's own scoring server: plain and with batching, and with one feature less each to see what that costs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.scoring.entry_scripts import script_for
from bench.scoring.peers.interface import ALL, Peer, Place
from bench.scoring.peers.wire import PlainJson
from bench.scoring.processes import Launch

FOLDER = Path(__file__).parent
KEY = "the-benchmark-sends-this-key-with-every-request"
BEARER = (("Authorization", f"Bearer {KEY}"),)

# The names of the settings in service.json, here and nowhere else in the harness.
AUTH = {"auth": {"enabled": True, "key_digests": [hashlib.sha256(KEY.encode()).hexdigest()]}}
METRICS: Mapping[str, Any] = {"telemetry": {"metrics": True}}
NO_METRICS: Mapping[str, Any] = {"telemetry": {"metrics": False}}
BATCHING = {"batching": {"max_requests": 64}}


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Which Modelport is served: the one that is installed, or another tree's packages."""

    packages: Path | None = None

    @property
    def variables(self) -> dict[str, str]:
        if self.packages is None:
            return {}
        return {"PYTHONPATH": os.pathsep.join(str(path) for path in sorted(self.packages.glob("*/src")))}


def launcher(settings: Mapping[str, Any], sources: Sources) -> Callable[[Place], Launch]:
    """How a service with those settings is started, without the control plane: bundle, service.json, supervisor."""

    def launch(place: Place) -> Launch:
        service = place.scratch / "service"
        service.mkdir()
        write_service(service / "service.json", settings, place=place, bundle=write_bundle(place))
        command = [sys.executable, "-P", "-m", "modelport_scoring", str(service)]
        log = service / "logs" / "supervisor.log"
        return Launch(command=command, variables=sources.variables, folder=place.scratch, log=log)

    return launch


def write_service(path: Path, settings: Mapping[str, Any], *, place: Place, bundle: Path) -> None:
    revision = {"number": 1, "bundle": str(bundle), "interpreter": [str(place.python)]}
    wanted = {"name": "bench", "workspace": "bench", "port": place.port, "revision": revision, **settings}
    path.write_text(json.dumps(wanted))
    path.chmod(0o600)


def write_bundle(place: Place) -> Path:
    """A bundle as docs/architecture/02-bundle.md describes it."""
    bundle = place.scratch / "bundle"
    source = bundle / "app" / "source"
    source.mkdir(parents=True)
    shutil.copy(script_for(place.workload), source / "score.py")
    shutil.copytree(place.model_folder, bundle / "azureml-models" / "model" / "1")
    manifest = {
        "format": 1,
        "entry_script": "source/score.py",
        "source_directory": "source",
        "models": [{"name": "model", "version": "1", "framework": None, "framework_version": None}],
        "environment": {"name": "bench", "kind": "system", "lock_digest": "", "python": "3"},
        "environment_variables": {},
        "files": [],
    }
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    return bundle


def modelport(
    key: str,
    title: str,
    settings: Mapping[str, Any],
    *,
    sources: Sources,
    workloads: frozenset[str] = ALL,
) -> Peer:
    """A variant of Modelport."""
    return Peer(
        key=key,
        title=title,
        requirements=FOLDER / "requirements.txt",
        launch=launcher(settings, sources),
        wire=PlainJson(),
        headers=BEARER if "auth" in settings else (),
        workloads=workloads,
        worker_mark="modelport_worker",
        batches="batching" in settings,
    )


PLAIN = {**AUTH, **METRICS}
ONE_FEATURE = frozenset(("NULL",))
ROWS = frozenset(("W1", "W2", "W4", "W5"))
"""What can be batched: a schema says where the rows are."""


def peers(sources: Sources) -> tuple[Peer, ...]:
    """All variants, served from those sources."""
    return (
        modelport("modelport", "Modelport", PLAIN, sources=sources),
        modelport("modelport-batching", "Modelport, batching", {**PLAIN, **BATCHING}, sources=sources, workloads=ROWS),
        modelport("modelport-no-auth", "Modelport without auth", METRICS, sources=sources, workloads=ONE_FEATURE),
        modelport(
            "modelport-no-metrics",
            "Modelport without metrics",
            {**AUTH, **NO_METRICS},
            sources=sources,
            workloads=ONE_FEATURE,
        ),
    )
