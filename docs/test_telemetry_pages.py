"""What docs/metrics.md and docs/settings.md say of telemetry is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from prometheus_client import parser

from modelport_scoring.settings.telemetry import TelemetrySettings
from modelport_scoring.telemetry.telemetry import Telemetry
from modelport_scoring.telemetry.tracer import Described

METRICS = Path(__file__).parent / "metrics.md"
SETTINGS = Path(__file__).parent / "settings.md"

Row = tuple[str, str, frozenset[str]]


def rendered() -> set[Row]:
    telemetry = Telemetry(TelemetrySettings(), service=Described("demo"))
    telemetry.scored(200, 1, 1.0, 1.1, 5, 1, 1.2)
    telemetry.answered("/", 200)
    telemetry.shadow_compared(1, equal=True)
    telemetry.shadow_dropped(1)
    _, body = telemetry.render(None)
    return {
        (
            family.name + ("_total" if family.type == "counter" else ""),
            family.type,
            frozenset(name for sample in family.samples for name in sample.labels) - {"le"},
        )
        for family in parser.text_string_to_metric_families(body.decode())
    }


def documented() -> set[Row]:
    rows = re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \|([^|]*)\|", METRICS.read_text(), re.MULTILINE)
    return {(name, kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def test_every_metric_is_documented_with_its_type_and_labels() -> None:
    assert documented() == rendered()


def test_every_setting_is_documented_with_its_default() -> None:
    section = SETTINGS.read_text().split("### Telemetry\n")[1].split("\n### ")[0]
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| ([^|]*) \|", section, re.MULTILINE)
    fields = {field.name: as_written(field.default) for field in msgspec.structs.fields(TelemetrySettings)}
    assert dict(rows) == fields


def as_written(default: object) -> str:
    """The default as the page writes it."""
    if default is None:
        return "none"
    return f"`{str(default).lower()}`"
