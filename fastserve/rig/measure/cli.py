"""python -m fastserve.rig measure: scenarios in, tables and files out; and two results held to each other.

Knows the command line and nothing of how it is measured. rig/cli.py calls `add_parser`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from fastserve.rig.measure import compare, engine, result, scenario, terminal
from fastserve.rig.measure.result import Result
from fastserve.words import Refusal

ABOUT: Final = "measure servers, by a scenario file or addresses, or compare two results"
EPILOG: Final = ("exit status: 0, 1 where nothing was measured or --compare found what got worse, "
                 "2 where something cannot be, 130 where it was interrupted")
QUICK: Final = {"seconds": 1.0, "rounds": 2, "warm_up": 0.0}
INTERRUPTED: Final = 130

Outputs = list[tuple[str, Callable[[Result, str], None]]]


def add_parser(commands: Any) -> None:
    """Add `measure` to an argument parser's subparsers; it sets ``run``."""
    parser = commands.add_parser("measure", help=ABOUT, epilog=EPILOG,
                                 description=f"{ABOUT[0].upper()}{ABOUT[1:]}.")
    add = parser.add_argument
    add("what", nargs="*", metavar="FILE.toml | URL",
        help="a scenario file, or addresses of servers that run already")
    add("--seconds", type=number("seconds", 0.1), metavar="N", help="of load in a round")
    add("--rounds", type=whole("rounds", 1), metavar="N", help="how often each contestant is loaded")
    add("--connections", type=whole("connections", 1), metavar="N", help="that are open at once")
    add("--rate", type=number("rate", 1e-3), metavar="N",
        help="requests a second; without it, as many as there can be")
    add("--scenario", action="append", metavar="NAME", help="only this scenario (may be repeated)")
    add("--contestant", action="append", metavar="NAME", help="only this contestant (may be repeated)")
    add("--all", action="store_true", help="also the scenarios and contestants that are optional")
    add("--system-calls", action="store_true", help="count them too, by strace, in a round of their own")
    add("--quick", action="store_true",
        help="two rounds of one second without a warm-up, to see whether it works at all")
    add("--json", metavar="OUT", help="write the result, for report and --compare")
    add("--csv", metavar="OUT", help="write a row for each round")
    add("--html", metavar="OUT", help="write one page with charts")
    add("--svg", metavar="OUT", help="write one picture, as for a README")
    add("--markdown", metavar="OUT", help="write tables, as for a README or the summary of a CI job")
    add("--compare", nargs=2, metavar=("OLD.json", "NEW.json"), help="say what differs between two results")
    add("--threshold", type=compare.threshold, default=0.05, metavar="SHARE",
        help="how much worse ends --compare with status 1 (default: 5%%)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it, and return the exit status. Raises Refusal."""
    if options.compare is not None:
        if options.what:
            raise Refusal("--compare measures nothing; leave out what is to be measured")
        old, new = options.compare
        return compare_runs(old, new, options.threshold)
    plan = plan_of(options)
    outputs: Outputs = [(path, write) for path, write in (
        (options.json, result.save), (options.csv, write_csv), (options.html, write_html),
        (options.svg, write_svg), (options.markdown, write_markdown)) if path]
    for path, _ in outputs:
        check_writable(path)
    with terminal.watching() as watcher:
        found = engine.measure(plan, watcher, ["python", "-m", "fastserve.rig", *sys.argv[1:]])
    return finish(found, outputs)


def finish(found: Result, outputs: Outputs) -> int:
    """Show a result, write it, and return the exit status."""
    is_taken = any(path in result.STDOUT for path, _ in outputs)
    terminal.show(found, sys.stderr if is_taken else sys.stdout)
    for path, write in outputs:
        write(found, path)
    if found.interrupted:
        return INTERRUPTED
    return 0 if found.scenarios and all(each.contestants for each in found.scenarios) else 1


def plan_of(options: argparse.Namespace) -> scenario.Plan:
    """Return what is to be measured. Raises Refusal."""
    if not options.what:
        raise Refusal("nothing to measure; give a scenario file or http://host:port/path")
    urls = [each for each in options.what if "://" in each]
    if not urls:
        if len(options.what) > 1:
            raise Refusal("one scenario file can be measured at a time")
        plan = scenario.load(options.what[0])
    elif len(urls) < len(options.what):
        raise Refusal("give a scenario file or addresses, not both")
    else:
        plan = scenario.of_addresses(urls)
    said = {name: getattr(options, name) for name in ("seconds", "rounds", "connections", "rate")}
    quick = QUICK if options.quick else {}
    calls = {"system_calls": True} if options.system_calls else {}
    return plan.chosen(options.scenario, options.contestant, options.all).changed(
        **{**quick, **calls, **{name: value for name, value in said.items() if value is not None}})


def compare_runs(old: str, new: str, threshold: float) -> int:
    """Show what changed from one result to another. Returns 1 where it got worse beyond the threshold."""
    comparison = compare.runs(result.load(old), result.load(new))
    terminal.show_comparison(comparison, threshold)
    return int(any(each.is_regression(threshold) for each in comparison.changes))


# -- Outputs -------------------------------------------------------------------------------------


def write_csv(found: Result, path: str) -> None:
    """Write a row for each round. Raises Refusal."""
    from fastserve.rig.report import as_csv, cli

    cli.write(path, as_csv.rounds([found.to_json()]))


def write_html(found: Result, path: str) -> None:
    """Write a page. Raises Refusal."""
    from fastserve.rig.report import cli, html

    cli.write(path, html.make_html(found.to_json()))


def write_svg(found: Result, path: str) -> None:
    """Write a picture. Raises Refusal."""
    from fastserve.rig.report import cli, svg

    cli.write(path, svg.make_svg(found.to_json()))


def write_markdown(found: Result, path: str) -> None:
    """Write lines and tables. Raises Refusal."""
    from fastserve.rig.report import as_markdown, cli

    cli.write(path, as_markdown.make_markdown(found.to_json()))


def check_writable(path: str) -> None:
    """Raise Refusal where a file cannot be made: better before a measurement of an hour than behind it."""
    target = Path(path)
    there = target if target.exists() else target.parent
    if path != "-" and (target.is_dir() or not os.access(there, os.W_OK)):
        raise Refusal(f"cannot write {path!r}; give a file in a folder that is there")


# -- Words ---------------------------------------------------------------------------------------


def number(name: str, least: float) -> Callable[[str], float]:
    """Return what reads a number that is at least so large, and raises Refusal."""
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = least - 1
        if not least <= value <= 1e8:
            raise Refusal(f"--{name} {text!r} is not a number from {least:g} up")
        return value

    return read


def whole(name: str, least: int) -> Callable[[str], int]:
    """Return what reads a whole number that is at least so large, and raises Refusal."""
    def read(text: str) -> int:
        if text.isascii() and text.isdecimal() and len(text) < 10 and int(text) >= least:
            return int(text)
        raise Refusal(f"--{name} {text!r} is not a whole number from {least} up")

    return read
