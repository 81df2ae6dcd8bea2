"""Draw bars: ``python draw.py FILE`` with the panels as JSON on standard input. Runs in an environment of its own."""

from __future__ import annotations

import json
import sys
from typing import Any

from matplotlib import pyplot

OURS, THEIRS = "#1764ab", "#9aa5b1"


def main() -> None:
    pyplot.switch_backend("Agg")
    panels = json.load(sys.stdin)
    columns = (len(panels) + 1) // 2
    figure, grid = pyplot.subplots(2, columns, figsize=(5 * columns, 8), layout="constrained", squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        draw_panel(axes, panel)
    for axes in grid.flat[len(panels) :]:
        axes.axis("off")
    figure.savefig(sys.argv[1], dpi=80, metadata={"Software": None})


def draw_panel(axes: Any, panel: dict[str, Any]) -> None:
    names = [name for name, _ in panel["bars"]]
    values = [value for _, value in panel["bars"]]
    bars = axes.barh(names, values, color=[OURS if name.startswith("Modelport") else THEIRS for name in names])
    axes.bar_label(bars, labels=[f" {value:,.0f}" if value >= 100 else f" {value:.2f}" for value in values], fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.18)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.set_title(panel["title"], loc="left", fontsize=10)


main()
