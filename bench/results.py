"""Makes RESULTS.md and its chart: `python bench/results.py FILE...`, of what others have saved.

Reads the JSON of run.py, promises.py and syscalls.py, in any number; where two have the same workload, that
with more servers counts, or the later one. Measures nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import chart
import promises
import report
import syscalls
from processes import BenchError, concluded
from report import Entry
from workloads import WORKLOADS

HERE = Path(__file__).resolve().parent
NOT_SHOWN = ("bytes", "errors")  # columns, but where there are errors
INTRODUCTION = """# Results

Made by `bench/results.py`; [README.md](README.md) says what the workloads and columns are. One server under
load at a time, in turns, on one core, wrk on another; medians, and the least and most of all rounds in
brackets. *x floor* and *x http.server* compare CPU time within each round.
"""


class Saved:
    """What some files say, together."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.runs: list[dict[str, Any]] = []
        self.workloads: dict[str, list[Entry]] = {}
        self.promises: list[dict[str, Any]] = []
        self.syscalls: dict[str, dict[str, dict[str, float]]] = {}
        self.out: dict[str, str] = {}
        for path in files:
            self.add(json.loads(path.read_text()))

    def add(self, run: dict[str, Any]) -> None:
        self.runs.append(run)
        for name, entries in run["workloads"].items():
            if len(entries) >= len(self.workloads.get(name, [])):
                self.workloads[name] = [report.entry_from(each, saved) for each, saved in entries.items()]
        self.promises = run.get("promises", self.promises)
        self.syscalls |= run.get("syscalls", {})
        self.out |= run["left_out"]

    def versions(self) -> dict[str, str]:
        return {entry.name: entry.version for entries in self.workloads.values() for entry in entries}

    def heading(self) -> str:
        run = self.runs[0]
        return (f"fastserve {run['commit']}, {run['when'][:10]}: CPython {run['python']}, "
                f"Linux {run['kernel']}, {run['cpu']}; one core for the server, one for wrk")

    def chart(self, names: Sequence[str]) -> str:
        panels = [chart.panel(WORKLOADS[name], entries) for name in names
                  if (entries := self.workloads.get(name))]
        return chart.drawn(panels, self.heading())


# The page ------------------------------------------------------------------------------------------------

def page(saved: Saved) -> str:
    return "\n".join([INTRODUCTION, *machine(saved), *promised(saved), *compared(saved), *called(saved),
                      *versions(saved)])


def machine(saved: Saved) -> Iterator[str]:
    yield markdown([("run", "when", "commit", "rounds"), *(
        (str(number), run["when"], run["commit"] + (" and changes" if run["changed_since"] else ""),
         f"{run['flags']['rounds']} of {run['flags']['seconds']} s")
        for number, run in enumerate(saved.runs, 1))])
    run = saved.runs[0]
    yield (f"CPython {run['python']}, Linux {run['kernel']}, {run['cpus']} cores of {run['cpu']}; "
           f"{run['wrk'].partition(' Copyright')[0]}.\n")


def promised(saved: Saved) -> Iterator[str]:
    if saved.promises:
        yield "## What was promised, and what is reached\n"
        yield markdown([promises.HEADINGS, *(
            (each["work"], each["what"], each["bound"], promises.reached(each["values"]),
             "yes" if each["met"] else "**no**") for each in saved.promises)])


def compared(saved: Saved) -> Iterator[str]:
    yield "## The comparison\n\n![The charts of all workloads](chart-all.svg)\n"
    for name, workload in WORKLOADS.items():
        if saved.workloads.get(name):
            yield f"### {name}: {workload.title}\n"
            yield markdown(shown(report.table(saved.workloads[name])))


def shown(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Without the columns that say nothing, and our rows in bold."""
    columns = [at for at, name in enumerate(rows[0])
               if name not in NOT_SHOWN or (name == "errors" and any(row[at] != "0" for row in rows[1:]))]
    chosen = [tuple(row[at] for at in columns) for row in rows]
    return [(f"**{row[0]}**", *row[1:]) if row[0].startswith(chart.OURS) else row for row in chosen]


def called(saved: Saved) -> Iterator[str]:
    for name, found in saved.syscalls.items():
        yield f"## System calls of a request, {name}: {WORKLOADS[name].title}\n"
        yield markdown(syscalls.table(found))


def versions(saved: Saved) -> Iterator[str]:
    yield "## Who took part\n"
    yield markdown([("server", "version"), *saved.versions().items()])
    if saved.out:
        yield "Left out, with the reason:\n"
        yield "\n".join(f"- {name}: {reason}" for name, reason in saved.out.items()) + "\n"


def markdown(rows: Sequence[tuple[str, ...]]) -> str:
    """Names to the left, figures to the right."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    rule = "|---|" + "---:|" * (len(rows[0]) - 1)
    return "\n".join([lines[0], rule, *lines[1:], ""])


def write(files: Sequence[Path], folder: Path) -> None:
    for path in files:
        if not path.exists():
            raise BenchError(f"there is no {path}")
    saved = Saved(files)
    made = {"RESULTS.md": page(saved), "chart-all.svg": saved.chart(list(WORKLOADS))}
    for name, text in made.items():
        (folder / name).write_text(text)
        print("written to", folder / name)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench/results.py", description="Make RESULTS.md and its chart.")
    parser.add_argument("files", nargs="+", type=Path, help="JSON of run.py, promises.py, syscalls.py")
    parser.add_argument("--folder", type=Path, default=HERE, help="where they go; default: beside this")
    args = parser.parse_args(argv)
    return concluded(lambda: write(args.files, args.folder))


if __name__ == "__main__":
    sys.exit(main())
