"""Makes RESULTS.md and its chart: `python bench/results.py FILE...`, of what the rig has written.

Measures nothing. Of a file of promises.py it has what was promised, and that comes first.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import common
import promises
from common import HERE

from fastserve.rig.measure import result
from fastserve.rig.report import as_markdown, svg
from fastserve.words import Refusal

INTRODUCTION = """# Results

Made by `bench/results.py`; [README.md](README.md) says what is measured and who takes part. One server is
under load at a time, in turns, on one core, and the load is on another; medians, and in brackets the least
and the most of all rounds.
"""


def promised(path: Path) -> list[Sequence[str]]:
    """The rows of promises.py, where a file has them."""
    found: list[Sequence[str]] = json.loads(path.read_text()).get("promises", [])
    return found


def markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---|---|---:|---:|---:|", *lines[1:], ""])


def page(rows: Sequence[Sequence[str]], results: Sequence[Any]) -> str:
    """RESULTS.md."""
    parts = [INTRODUCTION]
    if rows:
        parts += ["## What was promised, and what is reached\n", markdown([promises.HEADINGS, *rows])]
    parts += ["## The comparison\n\n![All of it](chart-all.svg)\n", as_markdown.make_markdown(*results)]
    return "\n".join(parts)


def chart(results: Sequence[Any]) -> str:
    """A picture of every scenario, once: the one with most contestants."""
    panels: dict[str, Any] = {}
    for each in (each for one in results for each in one["scenarios"]):
        if len(each["contestants"]) > len(panels.get(each["name"], {"contestants": []})["contestants"]):
            panels[each["name"]] = each
    return svg.make_svg({**results[0], "scenarios": list(panels.values())})


def write(files: Sequence[Path], folder: Path) -> None:
    results = {path: result.load(path).to_json() for path in files}  # all are looked at, before one is used
    rows = {path: promised(path) for path in files}
    compared = [results[path] for path in files if not rows[path]]
    if not compared:
        raise Refusal("there is no comparison; give a file of python -m fastserve.rig measure")
    folder.mkdir(parents=True, exist_ok=True)
    made = {"RESULTS.md": page([row for each in rows.values() for row in each], compared),
            "chart-all.svg": chart(compared)}
    for name, text in made.items():
        (folder / name).write_text(text)
        print("written to", folder / name)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench/results.py", description="Make RESULTS.md and its chart.")
    parser.add_argument("files", nargs="+", type=Path, help="JSON of measure, promises.py, tls.py")
    parser.add_argument("--folder", type=Path, default=HERE, help="where they go; default: beside this")
    args = parser.parse_args(argv)
    return common.concluded(lambda: write(args.files, args.folder))


if __name__ == "__main__":
    sys.exit(main())
