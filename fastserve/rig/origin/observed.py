"""Endpoints by which an origin tells of itself: what it has answered and how fast, and how it was set up.

The counts are those of all worker processes, as the server's own figures for /metrics have them. Knows the
handler, and of its server the counts and the limits.
"""

import functools
import os
import sys
import time
from collections import Counter
from http import HTTPStatus
from typing import Any, Final

import fastserve
from fastserve._tally import GAUGES, TOTALS, Tally
from fastserve.rig.origin import handler, routes, sizes
from fastserve.rig.origin.answers import TEXT, Answer, as_json
from fastserve.rig.origin.handler import Origin
from fastserve.rig.origin.routes import Refusal
from fastserve.serving.pidfile import is_running

endpoint = functools.partial(routes.endpoint, group="Observe")

NO_STORE: Final = [("Cache-Control", "no-store")]
STATUSES: Final = 1000  # what is counted by status comes first among the marks, what is counted at all behind


def tally_of(request: Origin) -> Tally | None:
    """Return the counts of the request's server, None where it has none."""
    found: Tally | None = getattr(request.server, "_fastserve_tally", None)
    return found


def counts(tally: Tally) -> tuple[Counter[int], dict[str, int]]:
    """Return how many answers there were by their status, and totals, since the server was started.

    Those whose status is none, or is not counted by itself, have 0.
    """
    by_status: Counter[int] = Counter()
    for _, status, count in tally.answers():
        by_status[int(status)] += count
    return by_status, tally.totals()


def since_reset(request: Origin, tally: Tally) -> tuple[dict[str, int], dict[str, int]]:
    """Return the same since /reset-stats."""
    marks = request.statistics.marks
    by_status, totals = counts(tally)
    left = {str(status or "other"): count - marks[status] for status, count in sorted(by_status.items())}
    return ({status: count for status, count in left.items() if count},
            {name: totals[name] - marks[STATUSES + at] for at, name in enumerate(TOTALS)})


def open_now(tally: Tally) -> dict[str, int]:
    """Return what all workers that live have at this moment."""
    found = dict.fromkeys(GAUGES, 0)
    for row in range(tally.rows):
        pid = tally.owner(row)
        if pid and is_running(pid):
            for name, count in tally.gauges(row).items():
                found[name] += count
    return found


@endpoint("/stats", "Connections, answers and octets, and how long endpoints took as the server saw it, in "
          "seconds, since the start or /reset-stats.")
def stats(request: Origin) -> Answer:
    statistics = request.statistics
    said: dict[str, Any] = {
        "seconds": round(time.time() - statistics.since, 6),
        "endpoints": {name: each.as_dict() for name, each in statistics.summaries().items()},
    }
    tally = tally_of(request)
    if tally is not None:
        by_status, totals = since_reset(request, tally)
        now = open_now(tally)
        said["connections"] = {"accepted": totals["connections"], "turned_away": totals["turned_away"],
                               "active": now["open"]}
        said["answers"] = {"total": sum(by_status.values()), "by_status": by_status,
                           "octets": totals["body_octets"]}
        said["recordings"] = {"answers": totals["hits"], "kept": now["recordings"],
                              "octets": now["recorded_octets"]}
    return as_json(said, headers=NO_STORE)


@endpoint("/reset-stats", "Counts from here on, in all workers; /metrics goes on as it was.",
          methods=("POST",))
def reset_stats(request: Origin) -> Answer:
    tally, marks = tally_of(request), request.statistics.marks
    if tally is not None:
        by_status, totals = counts(tally)
        for status, count in by_status.items():
            marks[status] = count
        for at, name in enumerate(TOTALS):
            marks[STATUSES + at] = totals[name]
    request.statistics.reset()
    return Answer(status=HTTPStatus.NO_CONTENT, content_type=None)


@endpoint("/config", "Seed, version and limits.")
def config(request: Origin) -> Answer:
    server: Any = request.server
    return as_json({
        "seed": request.seed,
        "version": fastserve.__version__,
        "python": sys.version.split()[0],
        "pid": os.getpid(),
        "scheme": request.scheme,
        "limits": {
            "content_octets": handler.MOST_CONTENT,
            "digest_octets": sizes.MOST_HASHED,
            "digest_field_octets": sizes.MOST_DIGESTED,
            "chunk_octets": sizes.MOST_CHUNK,
            "duration_seconds": sizes.MOST_SECONDS,
            "max_connections": getattr(server, "max_connections", None),
            "max_threads": getattr(server, "max_threads", None),
            "timeouts": server.timeouts._asdict() if hasattr(server, "timeouts") else None,
        },
    }, headers=NO_STORE)


@endpoint("/metrics", "What it has counted since it was started, for Prometheus; the loop answers it.")
def figures(request: Origin) -> Answer:
    """Where no loop does: the request has a body, or the server no metrics_path."""
    tally = tally_of(request)
    if tally is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "this server counts nothing")
    from fastserve.serving.metrics import exposition

    return Answer("".join(exposition(tally)).encode(), TEXT, headers=NO_STORE)
