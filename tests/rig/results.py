"""Results by a seed, as a measurement would write them: all kinds of scenarios, servers that differ as
servers do.

For the tests of what reads results. A server is its CPU time of a request, its memory and the tail of its
waits; a machine drifts, and all who take turns with it. Knows the JSON of a result, and measures nothing.
"""

import base64
import copy
import functools
import hashlib
import itertools
import math
import random
from collections.abc import Iterable, Iterator
from statistics import NormalDist
from typing import Any, NamedTuple

from fastserve.rig.measure.latency import Latency

KINDS = ("closed", "rate", "ramp", "churn", "mixed", "think")
MADE = "2026-11-30T13:00:00Z"
STEPS = tuple(10_000.0 * at for at in range(1, 15))
TURN = 7.0  # seconds from one round to the next
PLACES = (  # shares of the answers, in pieces that are finer where they are fewer
    *(at / 100 for at in range(100)), *(1 - 10 ** (-2 - at / 25) for at in range(100)), 1 - 1e-6)


class Server(NamedTuple):
    """``cpu`` is seconds of a request, ``tail`` the spread of the logarithm of waits, ``memory`` octets."""

    name: str
    version: str
    cpu: float
    tail: float
    memory: int
    command: tuple[str, ...]
    is_ours: bool = True  # to start and to look at; else only its answers are seen


SERVERS = (
    Server("fastserve", "0.1.0", 7.2e-6, 0.34, 22_500_000,
           ("python", "-m", "fastserve", "8001", "-d", "site")),
    Server("nginx", "1.22.1", 11.1e-6, 0.42, 15_500_000, ("nginx", "-c", "nginx.conf", "-g", "daemon off;")),
    Server("h2o", "2.2.5", 7.3e-6, 0.38, 14_800_000, ("h2o", "-c", "h2o.conf")),
    Server("lighttpd", "1.4.69", 8.3e-6, 0.45, 2_700_000, ("lighttpd", "-D", "-f", "lighttpd.conf")),
    Server("elsewhere", "", 9.0e-6, 0.6, 0, (), is_ours=False),
)


def result(
    seed: int = 1, kinds: Iterable[str] = KINDS, *, rounds: int = 5, interrupted: bool = False,
    errors: bool = True, servers: Iterable[Server] = SERVERS,
) -> dict[str, Any]:
    """Return one; the same for the same arguments. ``interrupted`` lacks rounds of its last scenario."""
    chance = random.Random(seed)
    clock = (at * TURN for at in range(1_000_000))
    scenarios = [scenario(kind, chance, list(servers), rounds, clock) for kind in kinds]
    if errors:
        spoil(scenarios[0]["contestants"][-1]["rounds"][-1])
    if interrupted:
        interrupt(scenarios[-1]["contestants"])
    return {
        "schema": 1, "made": MADE, "command": ["python", "-m", "fastserve.rig", "measure", "compare.toml"],
        "title": "File servers on one core", "commit": "6ec57f84c680d3a3778b",
        "machine": {
            "cpu": "AMD EPYC 9R14", "cores": 2, "memory": 8_200_000_000, "kernel": "6.18.44",
            "system": "Debian GNU/Linux 12", "python": "3.11.7", "governor": None, "loopback_mtu": 65536,
            "load_cores": [1], "server_cores": [0],
        },
        "tools": {"wrk": "4.1.0", "fastserve": "0.1.0"}, "left_out": {"caddy": "caddy is not installed"},
        "interrupted": interrupted, "scenarios": scenarios,
    }


TITLES = {
    "closed": ("file-1k", "A file of 1 KiB, 64 connections", 1024),
    "rate": ("file-1k-at-20k", "The same at 20,000 requests a second", 1024),
    "ramp": ("file-1k-rising", "The same, asked for more and more", 1024),
    "churn": ("fresh", "1 KiB, a new connection for each request", 1024),
    "mixed": ("site", "Twenty files of a site", 16_384),
    "think": ("people", "A thousand connections that think for a second", 1024),
}
COSTS = {"churn": 3.5, "mixed": 1.8, "think": 1.6, "rate": 1.3, "ramp": 1.3}  # beside a closed loop's
USUAL: dict[str, Any] = {
    "rate": None, "connections": 64, "seconds": 5.0, "warm_up": 1.0, "timeout": 10.0, "seed": 1,
    "path": "/1k.bin", "method": "GET", "headers": {}, "driver": "wrk",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "rate": {"rate": 20_000.0, "arrivals": "poisson", "driver": "drive"},
    "ramp": {"arrivals": "uniform", "p99_limit": 0.1, "reached_limit": 0.95, "steps": list(STEPS),
             "driver": "drive"},
    "churn": {"driver": "drive"},
    "think": {"think": 1.0, "thinking": "exponential", "connections": 1000, "driver": "drive"},
}


def scenario(
    kind: str, chance: random.Random, servers: list[Server], rounds: int, clock: Iterator[float],
) -> dict[str, Any]:
    name, title, octets = TITLES[kind]
    settings = {**USUAL, "rounds": rounds, **SETTINGS.get(kind, {})}
    people = [contestant(each, octets) for each in servers]
    for turn in range(rounds):
        drift = 1 + 0.04 * math.sin(turn * 1.3) + chance.gauss(0, 0.01)
        for server, own in zip(servers, people, strict=True):
            noise = drift * chance.gauss(1, 0.015)
            own["rounds"].append(one_round(kind, server, octets, noise, next(clock), settings))
    return {"name": name, "title": title, "kind": kind, "settings": settings, "contestants": people}


def contestant(server: Server, octets: int) -> dict[str, Any]:
    digest = hashlib.sha256(bytes(octets)).hexdigest()
    return {"name": server.name, "version": server.version, "command": list(server.command),
            "url": "http://127.0.0.1:8001/1k.bin",
            "answer": {"status": 200, "octets": octets, "sha256": digest},
            "rounds": []}


def one_round(
    kind: str, server: Server, octets: int, noise: float, began: float, settings: dict[str, Any],
) -> dict[str, Any]:
    cost = server.cpu * COSTS.get(kind, 1.0) * noise
    most, steps = 0.92 / cost, list(ramp(settings.get("steps", ()), server, cost))
    asked = {"rate": settings["rate"], "think": settings["connections"] / 1.02}.get(kind) or most
    kept = [each["reached"] for each in steps if each["reached"] == each["rate"]]
    rate = max(kept, default=min(asked, most))
    requests, is_open = int(rate * 5), kind in ("rate", "ramp", "think")
    wait = waiting(cost, rate / most) if is_open else settings["connections"] / rate
    sent = latency(wait * 0.8, server.tail * 0.7, requests) if is_open else None
    first = latency(wait * 0.95, server.tail, requests) if is_open else None
    return {
        "began": began, "seconds": 5.0, "requests": requests, "rate": rate,
        "octets": requests * (octets + 200), "errors": no_errors(),
        **seen(server, cost, requests, noise, began),
        "latency": latency(wait, server.tail, requests), "uncorrected": sent, "first_byte": first,
        "system_calls": 2.04 if kind == "closed" and server.is_ours else None, "steps": steps,
    }


def seen(server: Server, cost: float, requests: int, noise: float, began: float) -> dict[str, Any]:
    """What is known of who was started, and can be looked at."""
    if not server.is_ours:
        return {"cpu_seconds": None, "cpu_per_request": None, "memory_peak": None, "memory": []}
    sizes = [int(server.memory * (1 + 0.1 * (1 - math.exp(-at / 6)) * noise)) for at in range(25)]
    samples = [[round(began + at * 0.2, 3), size] for at, size in enumerate(sizes)]
    peak = max(sizes)
    return {"cpu_seconds": cost * requests, "cpu_per_request": cost, "memory_peak": peak, "memory": samples}


def ramp(rates: Iterable[float], server: Server, cost: float) -> Iterator[dict[str, Any]]:
    """Steps up to the first one that is not kept."""
    for asked in rates:
        load = asked * cost / 0.92
        reached = asked / max(load, 1)
        wait = waiting(cost, load) if load < 1 else 0.4 * load
        own = cost * (1.25 - 0.25 * min(load, 1)) if server.is_ours else None
        yield {"rate": asked, "reached": reached, "latency": latency(wait, server.tail, int(reached * 5)),
               "cpu_per_request": own, "errors": no_errors()}
        if load > 1:
            return


def waiting(cost: float, load: float) -> float:
    """Seconds that half of the answers take at a load, of 1, at which a server is saturated."""
    return 60e-6 + cost / max(1 - load, 0.02)


def no_errors() -> dict[str, int]:
    return dict.fromkeys(("connect", "read", "timeout", "status", "body"), 0)


def spoil(one: dict[str, Any]) -> None:
    one["errors"].update(timeout=17, status=2)


def interrupt(people: list[dict[str, Any]]) -> None:
    """The last round, and of the last one all of them, had not been finished."""
    for each in people[1:]:
        each["rounds"].pop()
    people[-1]["rounds"].clear()


def latency(half: float, tail: float, count: int) -> dict[str, Any]:
    """As it is told of ``count`` answers, half of which took no longer than ``half`` (seconds)."""
    return copy.deepcopy(told(half, tail, count))


@functools.lru_cache(None)
def told(half: float, tail: float, count: int) -> dict[str, Any]:
    counts, normal = [], NormalDist()
    for low, high in itertools.pairwise(PLACES):
        middle = (low + high) / 2
        value = half * math.exp(tail * normal.inv_cdf(middle)) * (1 + tail * max(middle - 0.999, 0) * 1000)
        counts.append((max(1, int(value * 1e6)), round(count * high) - round(count * low)))
    return Latency.from_counts(counts).to_json()


def octets_of(url: str) -> bytes:
    """What a data URL has."""
    return base64.b64decode(url.partition(";base64,")[2])
