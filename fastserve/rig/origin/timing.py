"""Endpoints that take their time: before an answer, between its octets, between its events, or for ever.

Times are bounded: by ``most_seconds`` of the server, 10 s where that has none. A handler that waits keeps its
thread, so that only a threading server goes on with others meanwhile; /hang alone needs none.
"""

import functools
import json
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

from fastserve.rig.origin import chance, raw, routes
from fastserve.rig.origin.answers import TEXT, Answer, as_json
from fastserve.rig.origin.echo import body_of, facts_of
from fastserve.rig.origin.handler import Origin
from fastserve.rig.origin.routes import ANY_METHOD, Refusal, bounded

MOST_SECONDS: Final = 10.0
MOST_OCTETS: Final = 10 << 20
MOST_EVENTS: Final = 100_000
LONGEST_PERIOD: Final = 86_400.0
GRAIN: Final = 0.001  # seconds: octets that are closer to each other than that leave together
LETTERS: Final = b"abcdefghijklmnopqrstuvwxyz\n"

endpoint = functools.partial(routes.endpoint, group="Timing")


def most_seconds(request: Origin) -> float:
    """Return how long an answer may be made to take, in seconds."""
    return float(getattr(request.server, "most_seconds", MOST_SECONDS))


def seconds_of(request: Origin, name: str, default: float) -> float:
    """Return a time that the query has, in seconds. Raises Refusal where it is too long."""
    return request.query.number(name, min(default, most_seconds(request)), 0, most_seconds(request))


def seconds_in_ms(request: Origin, name: str, default: float) -> float:
    """Return in seconds a time that the query has in milliseconds. Raises Refusal where it is too long."""
    return request.query.number(name, default, 0, most_seconds(request) * 1000) / 1000


def letters(count: int) -> bytes:
    """That many octets of text, always the same."""
    return (LETTERS * (count // len(LETTERS) + 1))[:count]


def trickle(request: Origin, octets: bytes, duration: float) -> Iterator[bytes]:
    """Give the first octet at once, the last one after ``duration`` seconds, and the others evenly between.

    Each is a piece of its own, unless they are closer to each other than a millisecond.
    """
    began, steps = time.monotonic(), max(len(octets) - 1, 1)
    pause = duration / steps
    sent = 0
    while sent < len(octets):
        wait = began + pause * sent - time.monotonic()
        if wait > 0:
            request.pause(wait)
        together = 1 if pause >= GRAIN else due(time.monotonic() - began, pause, len(octets)) - sent
        yield octets[sent:sent + max(together, 1)]
        sent += max(together, 1)


def due(passed: float, pause: float, count: int) -> int:
    """Return how many of ``count`` octets should have left by now, and within GRAIN from now."""
    return min(count, int((passed + GRAIN) / pause) + 1) if pause else count


# -- Before the answer -----------------------------------------------------------------------------


@endpoint("/delay/{seconds:float}", "The request, told after so many seconds. jitter= and dist= (constant, "
          "uniform, exp, normal, lognormal) draw them anew each time, around that mean.",
          example="/delay/0.1?dist=exp", methods=ANY_METHOD)
def delay(request: Origin, seconds: float) -> Answer:
    """The n-th delay of a seed is ``DISTRIBUTIONS[dist](seconds, jitter, *Draw(seed, n).numbers(2))``.

    It is at least 0 and at most ``most_seconds``. Without jitter= that is ``seconds`` for exp, and half of it
    for the others; without dist= that is uniform where there is a jitter=, else constant.
    """
    mean = bounded("seconds", seconds, 0, most_seconds(request))
    said = {**facts_of(request), **body_of(request)}
    usual = "uniform" if request.query.text("jitter") else "constant"
    dist = request.query.choice("dist", chance.DISTRIBUTIONS, usual)
    spread = request.query.number("jitter", mean if dist == "exp" else mean / 2, 0, most_seconds(request))
    drawn = chance.draw(request, "delay")
    waited = chance.DISTRIBUTIONS[dist](mean, spread, *drawn.numbers(2))
    waited = min(max(waited, 0.0), most_seconds(request))
    request.pause(waited)
    said["delay"] = {"seconds": waited, "seed": drawn.seed, "n": drawn.n}
    return as_json(said, headers=[("Server-Timing", f"delay;dur={waited * 1000:.3f}")])


@endpoint("/stall", "A server that stalls: answers at once, but in the last for= seconds of each every= "
          "seconds of the clock it waits until they have passed.", example="/stall?every=10&for=1",
          methods=ANY_METHOD)
def stall(request: Origin) -> Answer:
    """It stalls while ``time.time() % every >= every - for``, for all clients alike."""
    every = request.query.number("every", 10, GRAIN, LONGEST_PERIOD)
    length = seconds_of(request, "for", 1)
    if length > every:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"for={length:g} is longer than every={every:g}")
    request.content()
    now = time.time()
    end = (now // every + 1) * every
    if now < end - length:
        return Answer(b"at once\n")
    while now < end:
        request.pause(end - now)
        now = time.time()
    return Answer(b"waited\n")


@endpoint("/hang", "Accepts and never answers, until the client goes or the server ends.", methods=ANY_METHOD)
def hang(request: Origin) -> None:
    request.log_request()
    raw.hold(request)


# -- Within the answer -----------------------------------------------------------------------------


@endpoint("/drip", "numbytes= octets evenly over duration= seconds, after delay= seconds; code= is the "
          "status.", example="/drip?duration=1&numbytes=10&code=200")
def drip(request: Origin) -> Answer:
    count = request.query.integer("numbytes", 10, 0, MOST_OCTETS)
    duration, before = seconds_of(request, "duration", 2), seconds_of(request, "delay", 0)
    code = request.query.integer("code", 200, 200, 599)
    request.pause(before)
    return Answer(trickle(request, b"*" * count, duration), TEXT, code, length=count)


@endpoint("/slow-headers", "A head that comes octet by octet, ms= milliseconds apart.",
          example="/slow-headers?ms=2")
def slow_headers(request: Origin) -> None:
    pause = seconds_in_ms(request, "ms", 10)
    body = b"The head took its time.\n"
    head = raw.head(request, HTTPStatus.OK, [("Content-Type", TEXT), ("Content-Length", str(len(body)))])
    duration = check_total(request, pause * max(len(head) - 1, 0))
    request.log_request(HTTPStatus.OK)
    written = raw.RawHead(request, HTTPStatus.OK)
    for piece in trickle(request, head, duration):
        written.write(piece)
    written.end()
    if request.command != "HEAD":
        request.wfile.write(body)


@endpoint("/slow-body", "A head at once, and count= octets behind it, ms= milliseconds apart.",
          example="/slow-body?count=20&ms=50")
def slow_body(request: Origin) -> Answer:
    count = request.query.integer("count", 10, 0, MOST_OCTETS)
    pause = seconds_in_ms(request, "ms", 100)
    duration = check_total(request, pause * count)
    return Answer(behind_the_head(request, letters(count), pause, duration), length=count)


def behind_the_head(request: Origin, octets: bytes, pause: float, duration: float) -> Iterator[bytes]:
    yield b""  # a head leaves with what is first
    request.pause(pause)
    yield from trickle(request, octets, max(duration - pause, 0))


def check_total(request: Origin, duration: float) -> float:
    """Return a time in seconds. Raises Refusal where it is too long."""
    if duration > most_seconds(request):
        raise Refusal(HTTPStatus.BAD_REQUEST, f"that would take {duration:g} s, and may take "
                      f"{most_seconds(request):g}")
    return duration


@endpoint("/sse", "count= server-sent events over duration= seconds, after delay= seconds. They have "
          "ids, and Last-Event-ID says where to go on.", example="/sse?count=5&duration=1")
def sse(request: Origin) -> Answer:
    """The events have the ids 0 to ``count - 1``. Behind the last one there is 204: browsers stop then."""
    count = request.query.integer("count", 10, 0, MOST_EVENTS)
    duration, before = seconds_of(request, "duration", 5), seconds_of(request, "delay", 0)
    first = next_event(request.headers.get("Last-Event-ID", ""))
    if first >= count:
        return Answer(status=HTTPStatus.NO_CONTENT, content_type=None)
    pause = duration / (count - 1) if count > 1 else 0
    return Answer(events(request, first, count, pause, before), "text/event-stream",
                  headers=[("Cache-Control", "no-store")])


def next_event(last: str) -> int:
    """Return the number of the event behind that with an id; 0 where that is none of ours."""
    return int(last) + 1 if last.isascii() and last.isdecimal() and len(last) < 10 else 0


def events(request: Origin, first: int, count: int, pause: float, before: float) -> Iterator[bytes]:
    """Event after event, ``pause`` seconds apart."""
    request.pause(before)
    began = time.monotonic()
    for n in range(first, count):
        request.pause(max(began + pause * (n - first) - time.monotonic(), 0))
        data = json.dumps({"id": n, "of": count, "timestamp": round(time.time() * 1000)})
        yield f"id: {n}\nevent: ping\ndata: {data}\n\n".encode()
