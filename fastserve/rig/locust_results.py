"""What Locust has measured, from the files that it writes, as a result of ours.

Knows the form of its files and of results, and no scenario but by its name and settings. locusts.py calls
collect().
"""

from __future__ import annotations

import csv
import datetime
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastserve import console
from fastserve.words import Refusal, reason

if TYPE_CHECKING:
    import argparse

    from fastserve.rig.measure.latency import Latency
    from fastserve.rig.measure.result import Errors, Result
    from fastserve.rig.measure.scenario import Plan

NOT_LOCUSTS: Final = ("warm_up", "seed")  # settings of a scenario that it does not heed
AGGREGATED: Final = "Aggregated"  # the name of the row that is about all of the others
PERCENTILE: Final = re.compile(r"([0-9.]+)%")

# What texts of failures are about, in this order: the generated file's, Python's, geventhttpclient's.
FAULTS: Final = (
    ("status", r"\bstatus \d|BadStatusCode"),
    ("body", r"\bbody of "),
    ("timeout", r"(?i)timed? ?out"),
    ("connect", r"(?i)refused|unreachable|no route|getaddrinfo|gaierror|address|name or service"),
    ("read", r""),
)


@dataclass
class Totals:
    """All requests of a run. ``seconds`` is from the first to the last one, ``octets`` of bodies alone."""

    requests: int
    failures: int
    seconds: float
    octets: int
    latency: Latency


def collect(options: argparse.Namespace, plan: Plan | None, command: list[str]) -> Result:
    """Return the result of what Locust has written.

    ``options`` are those of `locust`; ``plan`` is the part of a scenario file that Locust was given: one
    scenario, of which the first contestant was asked. Raises Refusal where a file is not one of its.
    """
    from fastserve.rig.measure import machine, result

    read = from_csv if options.collect.endswith(".csv") else from_json
    totals = read(options.collect)
    errors, texts = failures(options.failures, totals.failures)
    answered = totals.requests - errors.connect - errors.read - errors.timeout
    users = options.users if options.users is not None else most_users(options.history)
    scenario = entry_of(plan, options.url)
    scenario.settings |= {
        "driver": "locust", "rounds": 1, "seconds": round(totals.seconds, 3), "connections": users,
        "users": users, "workers": options.workers, "failures": texts}
    scenario.contestants[0].rounds.append(result.Round(
        0.0, totals.seconds, answered, answered / totals.seconds, totals.octets, totals.latency, errors))
    made = datetime.datetime.fromtimestamp(Path(options.collect).stat().st_mtime, datetime.timezone.utc)
    return result.Result(
        made.strftime("%Y-%m-%dT%H:%M:%SZ"), command,
        machine.machine([], []), plan.title if plan else "", machine.commit(Path.cwd()),
        {**machine.tools(), **locust_version()}, scenarios=[scenario])


def entry_of(plan: Plan | None, url: str | None) -> Any:
    """The scenario of a result, and its contestant, by the plan; without one they are Locust's own."""
    from fastserve.rig.measure import result

    if plan is None:
        contestant = result.Contestant(url or "server", "", [], url or "")
        return result.Scenario("locust", "", "think", {"rate": None}, [contestant])
    scenario, known = plan.scenarios[0], plan.contestants[0]
    contestant = result.Contestant(known.name, "", list(known.command), url or known.url or "")
    told = {name: value for name, value in scenario.told().items() if name not in NOT_LOCUSTS}
    return result.Scenario(scenario.name, scenario.title, scenario.kind, told, [contestant])


def locust_version() -> dict[str, str]:
    """That of the Locust which is installed here, as a rule the one that was used; none where none is."""
    from importlib import metadata

    try:
        return {"locust": metadata.version("locust")}
    except metadata.PackageNotFoundError:
        return {}


# -- The files that Locust writes ----------------------------------------------------------------


def from_json(path: str) -> Totals:
    """Return what --json-file has written: all that is known. Raises Refusal."""
    from fastserve.rig.measure.latency import Latency

    try:
        entries = json.loads(text_of(path))
        counts: dict[float, int] = {}
        for entry in entries:
            for milliseconds, count in entry["response_times"].items():
                counts[float(milliseconds)] = counts.get(float(milliseconds), 0) + int(count)
        seconds = max(each["last_request_timestamp"] or 0 for each in entries) - min(
            each["start_time"] for each in entries)
        latency = Latency.from_counts((round(each * 1e3), counts[each]) for each in sorted(counts))
        least = min(each["min_response_time"] or 0 for each in entries) / 1e3
        most = max(each["max_response_time"] for each in entries) / 1e3
        mean = sum(each["total_response_time"] for each in entries) / sum(counts.values()) / 1e3
        requests, failed, octets = (
            sum(int(each[name]) for each in entries)
            for name in ("num_requests", "num_failures", "total_content_length"))
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise not_locust_s(path, "--json-file", error) from error
    # What was rounded to three digits may lie beyond what was not.
    percentiles = {name: min(max(value, least), most) for name, value in latency.percentiles.items()}
    latency = replace(latency, min=least, mean=mean, max=most, percentiles=percentiles)
    return Totals(requests, failed, spent(path, seconds), octets, latency)


def from_csv(path: str) -> Totals:
    """Return what --csv has written into NAME_stats.csv: percentiles and no distribution. Raises Refusal."""
    from fastserve.rig.measure.latency import Latency

    try:
        row = next(each for each in rows_of(path) if each["Name"] == AGGREGATED)
        requests, rate = int(row["Request Count"]), float(row["Requests/s"])
        found = {f"{float(match[1]):g}": float(value) / 1e3 for name, value in row.items()
                 if (match := PERCENTILE.fullmatch(name)) and match[1] != "100"}
        least, mean, most = (float(row[f"{name} Response Time"]) / 1e3 for name in ("Min", "Average", "Max"))
        latency = Latency(requests, least, mean, most, found, None)
        octets = round(float(row["Average Content Size"]) * requests)
        return Totals(requests, int(row["Failure Count"]), spent(path, requests / rate), octets, latency)
    except (ArithmeticError, LookupError, StopIteration, TypeError, ValueError) as error:
        raise not_locust_s(path, "--csv (as NAME_stats.csv)", error) from error


def spent(path: str, seconds: float) -> float:
    if not 0 < seconds < math.inf:
        raise Refusal(f"{path!r} has no request in it")
    return seconds


def failures(path: str | None, count: int) -> tuple[Errors, dict[str, int]]:
    """Return errors by their kind, and by their texts, of NAME_failures.csv. Raises Refusal.

    Where there is no file all ``count`` are told as connections that broke, and a person is told that.
    """
    from fastserve.rig.measure.result import Errors

    texts: dict[str, int] = {}
    if path is not None:
        try:
            for row in rows_of(path):
                texts[row["Error"]] = texts.get(row["Error"], 0) + int(row["Occurrences"])
        except (LookupError, TypeError, ValueError) as error:
            raise not_locust_s(path, "--csv (as NAME_failures.csv)", error) from error
    elif count:
        console.complain(f"{count} failures are counted as read errors; --failures NAME_failures.csv, which "
                         "locust writes with --csv NAME, tells which they were")
        texts[""] = count
    errors = Errors()
    for text, number in texts.items():
        kind = kind_of(text)
        setattr(errors, kind, getattr(errors, kind) + number)
    return errors, texts


def kind_of(text: str) -> str:
    """Return which member of Errors a failure's text belongs to."""
    return next(kind for kind, pattern in FAULTS if re.search(pattern, text))


def most_users(path: str | None) -> int | None:
    """Return how many users there were at most, by NAME_stats_history.csv, if any. Raises Refusal."""
    if path is None:
        return None
    try:
        return max(int(row["User Count"]) for row in rows_of(path))
    except (LookupError, TypeError, ValueError) as error:
        raise not_locust_s(path, "--csv (as NAME_stats_history.csv)", error) from error


def rows_of(path: str) -> Iterable[dict[str, str]]:
    return csv.DictReader(text_of(path).splitlines())


def text_of(path: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeError) as error:
        raise Refusal(f"cannot read {path!r}: {reason(error)}") from error


def not_locust_s(path: str, option: str, error: Exception) -> Refusal:
    return Refusal(f"{path!r} is no file that locust {option} has written ({error!r})")
