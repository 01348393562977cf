"""One picture of what run.py has measured, which the rig draws: a panel for each workload.

Knows entries, and no files. results.py calls `drawn`.
"""

from __future__ import annotations

from report import Entry
from workloads import Workload

from fastserve.rig.report import svg

OURS = "fastserve"


def panel(workload: Workload, entries: list[Entry]) -> svg.Panel:
    """The cheapest first."""
    if workload.idle:
        unit = "resident bytes of an idle connection"
        values = {entry.name: [r.idle.bytes_each for r in entry.rounds if r.idle] for entry in entries}
    else:
        unit = "CPU seconds of a gigabyte" if workload.per_gigabyte else "CPU microseconds of a request"
        values = {entry.name: entry.costs for entry in entries}
    bars = [svg.Bar(name, figures, name.startswith(OURS)) for name, figures in values.items()]
    return svg.Panel(workload.title, unit, sorted(bars, key=lambda bar: bar.median))


drawn = svg.drawn
