"""python -m fastserve.rig report: results in, a page, a picture, Markdown and CSV out.

Knows files and the command line, and no markup. rig/cli.py calls add_parser() when the command is asked for.
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from fastserve.rig.measure import result
from fastserve.rig.report import as_csv, figures
from fastserve.rig.report.as_markdown import make_markdown
from fastserve.rig.report.figures import Part
from fastserve.rig.report.html import make_html
from fastserve.rig.report.svg import make_svg
from fastserve.words import Refusal, reason

ABOUT: Final = "Make a page, tables, a picture or CSV of what was measured. Several results are one page."
STDOUT: Final = "-"


def add_parser(commands: Any) -> None:
    """Add `report` to an argument parser's subparsers."""
    parser = commands.add_parser("report", help="make pages and tables of what was measured",
                                 description=ABOUT)
    add = parser.add_argument
    add("results", nargs="+", metavar="result.json", help="what measure has written")
    add("--html", metavar="FILE", help="write one page, with everything inside it; - is the standard output")
    add("--csv", metavar="FILE", help="write a row for each round")
    add("--percentiles", metavar="FILE", help="write CSV with a row for each round and percentile")
    add("--svg", metavar="FILE", help="write a picture of one result, for a README")
    add("--markdown", metavar="FILE", help="write tables, for a README or the summary of a CI job")
    add("--reference", metavar="NAME",
        help="compare all others with this contestant (default: fastserve, else the first)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it, and return the status. Raises Refusal."""
    results = [result.load(path).to_json() for path in options.results]
    outputs: list[tuple[str | None, Callable[[], str]]] = [
        (options.html, lambda: make_html(*results, reference=options.reference)),
        (options.csv, lambda: as_csv.rounds(results)),
        (options.percentiles, lambda: as_csv.percentiles(results)),
        (options.svg, lambda: make_svg(results[0])),
        (options.markdown, lambda: make_markdown(*results, reference=options.reference)),
    ]
    wanted = [(path, made) for path, made in outputs if path]
    if not wanted:
        raise Refusal("nothing to write; give --html FILE, --csv FILE, --percentiles FILE, --svg FILE or "
                      "--markdown FILE")
    if options.svg and len(results) > 1:
        raise Refusal("--svg shows one result; give one")
    check_reference(results, options.reference)
    for path, made in wanted:
        write(path, made())
    return 0


def check_reference(results: Iterable[Part], name: str | None) -> None:
    people = list(dict.fromkeys(each for one in results for each in figures.names(one)))
    if name is not None and name not in people:
        raise Refusal(f"--reference: {name!r} took no part; there are {', '.join(people)}")


def write(path: str, text: str) -> None:
    """Write a file, or the standard output where ``path`` is "-". Raises Refusal."""
    if path == STDOUT:
        sys.stdout.write(text)
        return
    try:
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise Refusal(f"cannot write {path!r}: {reason(error)}") from error
