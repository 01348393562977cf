"""Rounds in, tables and JSON out, and rounds again from JSON. Starts nothing but git. Called by others."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from load import Load

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"


@dataclass(frozen=True)
class Idle:
    """What a server was like without the idle connections, and what each of them has taken of memory."""

    connections: int
    bytes_each: float
    rate_without: float
    cpu_us_without: float


@dataclass(frozen=True)
class Round:
    """One contestant under load for a few seconds."""

    load: Load
    cpu_seconds: float
    resident_bytes: int
    idle: Idle | None = None  # where the load was beside idle connections

    @property
    def rate(self) -> float:
        return self.load.requests / self.load.seconds

    @property
    def cpu_us(self) -> float:
        """Of a request."""
        return self.cpu_seconds * 1e6 / max(self.load.requests, 1)

    @property
    def cpu_per_gigabyte(self) -> float:
        """Seconds."""
        return self.cpu_seconds * 1e9 / self.load.bytes

    @property
    def rate_kept(self) -> float:
        """Of the requests a second that there were without idle connections."""
        assert self.idle
        return self.rate / self.idle.rate_without

    def as_json(self) -> dict[str, Any]:
        idle = {"idle": {**asdict(self.idle), "rate_kept": self.rate_kept}} if self.idle else {}
        return {**asdict(self.load), "rate": self.rate, "cpu_seconds": self.cpu_seconds,
                "cpu_us": self.cpu_us, "cpu_per_gigabyte": self.cpu_per_gigabyte,
                "resident_bytes": self.resident_bytes, **idle}


def round_from(saved: dict[str, Any]) -> Round:
    """What as_json() has made of it."""
    def made(kind: Any, values: dict[str, Any]) -> Any:
        return kind(**{each.name: values[each.name] for each in fields(kind) if each.name in values})
    idle = made(Idle, saved["idle"]) if "idle" in saved else None
    return Round(made(Load, saved), saved["cpu_seconds"], saved["resident_bytes"], idle)


@dataclass(frozen=True)
class Entry:
    """One line of the table."""

    name: str
    version: str
    argv: list[str]
    answer_bytes: int
    rounds: list[Round]
    per_gigabyte: bool = False

    @property
    def costs(self) -> list[float]:
        """CPU time, round by round: of a request, or of a gigabyte."""
        return [r.cpu_per_gigabyte if self.per_gigabyte else r.cpu_us for r in self.rounds]

    def ratios_to(self, other: Entry) -> list[float]:
        """Neighbours in time are compared, so what drifts on the machine cancels."""
        return [own / its for own, its in zip(self.costs, other.costs)]

    def as_json(self) -> dict[str, Any]:
        return {"version": self.version, "argv": self.argv, "answer_bytes": self.answer_bytes,
                "per_gigabyte": self.per_gigabyte, "rounds": [r.as_json() for r in self.rounds]}


def entry_from(name: str, saved: dict[str, Any]) -> Entry:
    rounds = [round_from(each) for each in saved["rounds"]]
    return Entry(name, saved["version"], saved["argv"], saved["answer_bytes"], rounds, saved["per_gigabyte"])


def spread(values: list[float], digits: int) -> str:
    """Median, least and most."""
    three = statistics.median(values), min(values), max(values)
    return "{} ({}-{})".format(*(f"{value:,.{digits}f}" for value in three))


REFERENCES = ("floor", "http.server")  # whose CPU time that of the others is compared with


def _headings(first: Entry) -> tuple[str, ...]:
    idle = ("idle, bytes each", "rate kept") if first.rounds[0].idle else ()
    cost = "CPU s/GB" if first.per_gigabyte else "CPU us/request"
    return ("server", "requests/s", cost, *(f"x {name}" for name in REFERENCES), *idle, "RSS MiB", "p50 us",
            "p99 us", "bytes", "errors")


def _row(entry: Entry, references: list[Entry | None]) -> tuple[str, ...]:
    rounds = entry.rounds
    return (
        entry.name,
        spread([r.rate for r in rounds], 1 if entry.per_gigabyte else 0),
        spread(entry.costs, 3 if entry.per_gigabyte else 2),
        *(f"{statistics.median(entry.ratios_to(other)):.2f}" if other else "-" for other in references),
        *_idle_cells(rounds),
        f"{max(r.resident_bytes for r in rounds) / 2**20:.1f}",
        f"{statistics.median(r.load.p50_us for r in rounds):,.0f}",
        f"{statistics.median(r.load.p99_us for r in rounds):,.0f}",
        str(entry.answer_bytes),
        str(sum(r.load.errors for r in rounds)),
    )


def _idle_cells(rounds: list[Round]) -> tuple[str, ...]:
    if not rounds[0].idle:
        return ()
    return (spread([r.idle.bytes_each for r in rounds if r.idle], 0),
            spread([r.rate_kept for r in rounds], 2))


def table(entries: list[Entry]) -> list[tuple[str, ...]]:
    """Headings, and a row for each."""
    if not entries:
        return [("nobody took part",)]
    named = {entry.name: entry for entry in entries}
    references = [named.get(name) for name in REFERENCES]
    return [_headings(entries[0]), *(_row(entry, references) for entry in entries)]


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
        "cpus": os.cpu_count(),
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
