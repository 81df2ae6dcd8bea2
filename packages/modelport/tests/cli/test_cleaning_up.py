"""Removing what is not needed any more, also where nobody answers for it."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from modelport.composition import Installation, open_workspace
from modelport.domain.deployments import Deployment, Placement, RunsOn
from modelport.domain.workspaces import WorkspaceLabels

from ..storage import samples
from .conftest import Call

ENGINE = "tcp://127.0.0.1:1"


def test_a_service_whose_engine_is_gone(call: Call, home: Path) -> None:
    context = open_workspace("shop", installation=Installation(home=home), create=WorkspaceLabels())
    place = Placement(runs_on=RunsOn.CONTAINER, engine=ENGINE, dns_name_label="line")
    row = replace(samples.service("line"), compute_type="ACI", deployment=Deployment(placement=place), versions=())
    context.registry.create_service(row)
    certificate = context.folder / "instances/line/tls/certificate.pem"
    certificate.parent.mkdir(parents=True)
    certificate.write_text("secret")
    context.registry.close()
    refused = call("service delete -w shop -n line", code=1)
    assert f"The container engine at {ENGINE} does not answer: Connection refused." in refused.stderr
    assert "gone for good: modelport service delete --force -n line" in refused.stderr
    said = call("service delete -w shop -n line --force").stderr
    assert f"export DOCKER_HOST={ENGINE}\n" in said and "Deleted the service 'line'" in said
    assert f"--filter label=modelport.dev/workspace-id={context.record.id}" in said
    assert "docker network rm modelport-shop-" in said
    assert not certificate.exists()
    assert call("service list -w shop -o json").json == []


def test_images_that_nobody_used_for_long(call: Call, home: Path) -> None:
    layout, blob = home / "images/images/0123", home / "images/blobs/sha256/4567"
    for file in (layout / "index.json", blob):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"x" * 500_000)
    then = time.time() - 40 * 24 * 3600
    for path in (layout, blob):
        os.utime(path, (then, then))
    said = call("images prune --dry-run").stdout
    assert said == f"Would remove 1 images and 0 layers of {home}/images: 1.0 MB. 0.0 MB would be left.\n"
    assert call("images prune --older-than 50 -o json").json["freedBytes"] == 0
    assert call("images prune -o json").json == {"images": 1, "layers": 0, "freedBytes": 1_000_000, "keptBytes": 0}
    assert not layout.exists() and not blob.exists()
    assert "not below 0" in call("images prune --to-size -1", code=1).stderr
