"""Results as CSV (RFC 4180), for spreadsheets and other programs: a row for a round, or for a percentile.

Plain numbers in seconds, octets and requests a second; what is not known is empty. Knows results. html and
cli call it.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any, Final

from fastserve.rig.report import figures
from fastserve.rig.report.figures import Part

WHO: Final = ("title", "made", "commit", "scenario", "kind", "contestant", "version", "round")
PLAIN: Final = ("began", "seconds", "requests", "rate", "octets", "cpu_seconds", "cpu_per_request",
                "memory_peak", "system_calls")
FAULTS: Final = ("connect", "read", "timeout", "status", "body")
LATENCIES: Final = ("latency", "uncorrected", "first_byte")
PERCENTILES: Final = ("50", "75", "90", "99", "99.9", "99.99")
DETAILS: Final = ("min", "mean", "max")

ROUNDS: Final = (
    *WHO, *PLAIN, *(f"errors_{kind}" for kind in FAULTS),
    *(f"{name}_{part}" for name in LATENCIES for part in (*DETAILS, *(f"p{key}" for key in PERCENTILES))))
BY_PERCENTILE: Final = (*WHO, "rate_asked", "rate_reached", "latency", "percentile", "seconds", "count")


def rounds(results: Iterable[Part]) -> str:
    """Return a row for each scenario, contestant and round, with all figures; the first row has the names."""
    return written(ROUNDS, ([*who, *figures_of(one)] for who, one in every_round(results)))


def percentiles(results: Iterable[Part]) -> str:
    """Return a row for each round and percentile that it has, and for each of each step of a ramp.

    ``rate_asked`` is empty where the row is of no step. ``latency`` is "latency", "uncorrected" or
    "first_byte".
    """
    rows = ([*who, *row] for who, one in every_round(results) for row in latencies(one))
    return written(BY_PERCENTILE, rows)


def written(headings: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\r\n").writerows([headings, *rows])
    return file.getvalue()


def every_round(results: Iterable[Part]) -> Iterator[tuple[list[Any], Part]]:
    """What is in front of all rows of a round, and the round."""
    for result in results:
        run = [result.get("title"), result.get("made"), result.get("commit")]
        for scenario in result["scenarios"]:
            for own in scenario["contestants"]:
                who = [*run, scenario["name"], scenario["kind"], own["name"], own.get("version")]
                for number, one in enumerate(own["rounds"], 1):
                    yield [*map(safe, who), number], one


def safe(text: Any) -> Any:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if isinstance(text, str) and text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def number(value: Any) -> Any:
    """Return a number as it is, None for what is none."""
    return None if figures.known(value) is None else value


def figures_of(one: Part) -> Iterator[Any]:
    yield from (number(one.get(name)) for name in PLAIN)
    yield from ((one.get("errors") or {}).get(kind, 0) for kind in FAULTS)
    for name in LATENCIES:
        found = one.get(name) or {}
        found = found if found.get("count") else {}  # nobody knows, or there were no answers
        yield from (number(found.get(part)) for part in DETAILS)
        yield from (number((found.get("percentiles") or {}).get(key)) for key in PERCENTILES)


def latencies(one: Part) -> Iterator[list[Any]]:
    for name in LATENCIES:
        yield from by_percentile(one.get(name), ["", one.get("rate"), name])
    for step in one.get("steps") or []:
        yield from by_percentile(step.get("latency"), [step["rate"], step["reached"], "latency"])


def by_percentile(found: Part | None, before: list[Any]) -> Iterator[list[Any]]:
    if found:
        for key, value in found["percentiles"].items():
            yield [*before, key, number(value), found.get("count")]
