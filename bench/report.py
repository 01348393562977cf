"""Rounds in, table and JSON out. Starts nothing but git. Called by run.py and stream.py."""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from load import Load

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"


@dataclass(frozen=True)
class Round:
    """One contestant under load for a few seconds."""

    load: Load
    cpu_seconds: float
    resident_bytes: int

    @property
    def rate(self) -> float:
        return self.load.requests / self.load.seconds

    @property
    def cpu_us(self) -> float:
        return self.cpu_seconds * 1e6 / self.load.requests


@dataclass(frozen=True)
class Entry:
    """One line of the table."""

    name: str
    version: str
    argv: list[str]
    answer_bytes: int
    rounds: list[Round]

    def ratio_to(self, other: Entry) -> float:
        """Neighbours in time are compared, so what drifts on the machine cancels."""
        return statistics.median(own.cpu_us / its.cpu_us for own, its in zip(self.rounds, other.rounds))

    def as_json(self) -> dict[str, Any]:
        rounds = [{**asdict(r.load), "rate": r.rate, "cpu_seconds": r.cpu_seconds, "cpu_us": r.cpu_us,
                   "resident_bytes": r.resident_bytes} for r in self.rounds]
        return {"version": self.version, "argv": self.argv, "answer_bytes": self.answer_bytes,
                "rounds": rounds}


def spread(values: list[float], digits: int) -> str:
    """Median, least and most."""
    three = statistics.median(values), min(values), max(values)
    return "{} ({}-{})".format(*(f"{value:,.{digits}f}" for value in three))


REFERENCES = ("floor", "http.server")  # whose CPU time that of the others is compared with

HEADINGS = (
    "server", "requests/s", "CPU us/request", *(f"x {name}" for name in REFERENCES),
    "RSS MiB", "p50 us", "p99 us", "bytes", "errors",
)


def _row(entry: Entry, references: list[Entry | None]) -> tuple[str, ...]:
    rounds = entry.rounds
    return (
        entry.name,
        spread([r.rate for r in rounds], 0),
        spread([r.cpu_us for r in rounds], 2),
        *(f"{entry.ratio_to(other):.2f}" if other else "-" for other in references),
        f"{max(r.resident_bytes for r in rounds) / 2**20:.1f}",
        f"{statistics.median(r.load.p50_us for r in rounds):,.0f}",
        f"{statistics.median(r.load.p99_us for r in rounds):,.0f}",
        str(entry.answer_bytes),
        str(sum(r.load.errors for r in rounds)),
    )


def table(entries: list[Entry]) -> str:
    named = {entry.name: entry for entry in entries}
    references = [named.get(name) for name in REFERENCES]
    return aligned([HEADINGS, *(_row(entry, references) for entry in entries)])


def aligned(rows: list[tuple[str, ...]]) -> str:
    """Names to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
        for row in rows
    )


def machine() -> dict[str, Any]:
    """What a figure must name to be worth keeping."""
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "commit": _git("rev-parse", "--short", "HEAD"),
        "changed_since": bool(_git("status", "--porcelain")),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cpu": _cpu_model(),
    }


def where() -> str:
    """The same in one line, to stand above a table."""
    known = machine()
    return f"commit {known['commit']}, Python {known['python']}, Linux {known['kernel']}, {known['cpu']}"


def _git(*command: str) -> str | None:
    try:
        run = subprocess.run(["git", *command], cwd=ROOT, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return None if run.returncode else run.stdout.strip()


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def save(result: dict[str, Any], path: Path | None) -> Path:
    path = path or RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}-{result['commit'] or 'uncommitted'}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path
