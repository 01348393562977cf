"""What a test says of the answers to come, and what it is told of the requests that came.

A Script chooses the answer to a Received and keeps both on record. Any thread may call it. Knows no socket
and no handler; testing.py serves it.
"""

from __future__ import annotations

import re
import threading
import urllib.parse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, Final, Literal, TypeAlias, get_args

from fastserve.handlers.paths import split_target
from fastserve.rig.origin.answers import JSON, OCTETS, TEXT, Answer, Body

PATIENCE: Final = 5.0  # seconds that wait_for() waits where nothing is said
SHOWN: Final = 10  # requests that a message lists

Kind: TypeAlias = Literal[
    "reset", "truncate", "hang", "garbage", "empty", "bad-status-line", "bad-header", "bad-chunk",
    "chunk-truncate", "dup-length", "wrong-length"]
KINDS: Final = get_args(Kind)
PARTIAL: Final = ("reset", "truncate", "hang")  # of an answer of the test's own; the others are endpoints
Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Received:
    """One request, whole.

    ``target`` is as it was sent, ``headers`` an email.message.Message, ``time`` what time.monotonic() was
    when its head had come, ``client`` the address that it came from, ``connection`` the number of its
    connection, of which the first one is 1.

    ``complete`` is False where the client was gone before its body was there, or its chunks are none. Of a
    body with a length of up to 64 KiB nothing is received before all of it has come.
    """

    method: str
    target: str
    headers: Message
    body: bytes
    time: float
    client: Any
    connection: int
    complete: bool = True

    @property
    def path(self) -> str:
        """The target without its query, still encoded (str)."""
        return split_target(self.target)[0]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """What the query has, decoded, in its order."""
        return urllib.parse.parse_qsl(split_target(self.target)[1], keep_blank_values=True)

    @property
    def query(self) -> dict[str, str]:
        """The same by name; of a name that is there twice it is the last value."""
        return dict(self.pairs)

    @property
    def text(self) -> str:
        """The body as UTF-8 text; what is none is replaced."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """What the body is as JSON. Raises ValueError where it is none."""
        import json

        return json.loads(self.body)

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


@dataclass(frozen=True)
class Fault:
    """An answer that goes wrong.

    reset      the connection is reset, behind ``after`` octets of the answer's body; None: before any answer
    truncate   the connection ends behind ``after`` octets of the body; None: behind half of it
    hang       nothing more comes behind ``after`` octets; None: no answer at all
    garbage    what is sent is no HTTP

    The others are those of the origin's endpoints below /fault/, whose body has ``after`` octets.

    Raises ValueError for another kind, or where ``after`` is less than 0.
    """

    kind: Kind
    after: int | None = None
    answer: Answer = field(default_factory=lambda: Answer(bytes(1024), OCTETS))

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is none of the faults {', '.join(KINDS)}")
        if self.after is not None and self.after < 0:
            raise ValueError(f"a fault after {self.after} octets cannot be")


# What may be said for an answer: a status, a body as text or octets, and what is called with the Received.
Reply: TypeAlias = "Answer | Fault | int | str | bytes | Callable[[Received], Any]"


def make_answer(
    status: int, body: str | Body, json: Any, headers: Headers, content_type: str | None
) -> Answer:
    """Return an Answer of parts. Raises ValueError for a body and a value for JSON together."""
    kind = TEXT if isinstance(body, str) else OCTETS
    if json is not ...:
        if body != b"":
            raise ValueError("an answer has a body or a value to be sent as JSON, and not both")
        from json import dumps

        body, kind = dumps(json).encode(), JSON
    if isinstance(body, str):
        body = body.encode()
    fields = list(headers.items() if isinstance(headers, Mapping) else headers)
    return Answer(body, content_type or (kind if body != b"" else None), status, fields)


def as_answer(reply: Any) -> Answer | Fault:
    """Return what a Reply that is not called stands for. Raises TypeError where it is none."""
    if isinstance(reply, (Answer, Fault)):
        return reply
    if isinstance(reply, int):
        return Answer(b"", None, reply)
    if isinstance(reply, (str, bytes)):
        return make_answer(200, reply, ..., (), None)
    raise TypeError(f"{type(reply).__name__} is no answer: give an Answer, a Fault, a status, text or octets")


def replies_of(answer: Any) -> list[Any]:
    """Return the replies of what is one, or a sequence of them. Raises TypeError and ValueError."""
    replies = [answer] if isinstance(answer, (str, bytes)) or not isinstance(answer, Sequence) else [*answer]
    if not replies:
        raise ValueError("a sequence of answers has at least one")
    return [each if callable(each) else as_answer(each) for each in replies]


class Scripted:
    """Scripted answers to the requests for one path: what answer() returns.

    ``used`` is how many requests it has answered (int), ``received`` which they were.
    """

    def __init__(
        self, method: str | None, path: str | re.Pattern[str], replies: list[Any], times: int | None,
        when: Callable[[Received], Any] | None, ordered: bool, delay: float,
    ) -> None:
        self.method, self.path, self.when = method and method.upper(), path, when
        self.replies, self.ordered, self.delay = replies, ordered, delay
        once = ordered or len(replies) > 1
        self.times = len(replies) * (times or 1) if times or once else None
        self.received: list[Received] = []
        self._plain, self._pairs = "", None
        if isinstance(path, str):
            self._plain, query, _ = split_target(path)
            if "?" in path:
                self._pairs = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self._check(times, delay)

    def _check(self, times: int | None, delay: float) -> None:
        if times is not None and times < 1:
            raise ValueError(f"an answer cannot be given {times} times")
        if delay < 0:
            raise ValueError(f"an answer cannot wait {delay} seconds")
        if isinstance(self.path, str) and not self._plain.startswith("/") and self._plain != "*":
            raise ValueError(f"path {self.path!r} does not begin with a slash")

    @property
    def used(self) -> int:
        return len(self.received)

    @property
    def is_used_up(self) -> bool:
        return self.times is not None and self.used >= self.times

    @property
    def is_missing(self) -> bool:
        """Whether there are answers that were not given."""
        return self.used < (self.times or 1)

    def is_about(self, request: Received) -> bool:
        """Whether it is for the request's method and path."""
        methods = (request.method, "GET" if request.method == "HEAD" else None)
        if self.method is not None and self.method not in methods:
            return False
        path = request.path
        if isinstance(self.path, re.Pattern):
            return self.path.fullmatch(path) is not None
        return self._plain in (path, urllib.parse.unquote(path))

    def fits(self, request: Received) -> bool:
        """Whether its query and its condition are met, too."""
        if self._pairs is not None and sorted(request.pairs) != self._pairs:
            return False
        return self.when is None or bool(self.when(request))

    def take(self, request: Received) -> Any:
        """Count the request, and return the reply that is for it."""
        reply = self.replies[self.used % len(self.replies)]
        self.received.append(request)
        return reply

    def __str__(self) -> str:
        path = self.path.pattern if isinstance(self.path, re.Pattern) else self.path
        return f"{self.method or 'any method'} {path}"

    def __repr__(self) -> str:
        return f"<{self}, {self.used} of {self.times or 'any number of'} answers given>"


@dataclass(frozen=True)
class Choice:
    """How a request is answered: by ``reply`` of ``scripted``, else by an endpoint, else not, and ``why``."""

    reply: Any = None
    scripted: Scripted | None = None
    why: str = ""


class Script:
    """The scripted answers of a server, and its record."""

    def __init__(self) -> None:
        self._changed = threading.Condition()  # holds all that follows; a condition of a test may come back
        self._scripted: list[Scripted] = []
        self._received: list[Received] = []
        self._unexpected: list[Received] = []
        self._errors: list[tuple[Received, Exception]] = []
        self._age = 0

    # -- The test --------------------------------------------------------------------------------

    def add(self, scripted: Scripted) -> None:
        with self._changed:
            self._scripted.append(scripted)

    def clear(self) -> None:
        """Forget everything; of a request that is still under way nothing will be recorded."""
        with self._changed:
            self._age += 1
            self._scripted, self._errors = [], []
            self._received, self._unexpected = [], []

    @property
    def received(self) -> list[Received]:
        with self._changed:
            return [*self._received]

    @property
    def unexpected(self) -> list[Received]:
        with self._changed:
            return [*self._unexpected]

    def wait_for(self, count: int, timeout: float) -> list[Received]:
        """Return what was received once it is ``count`` requests. Raises AssertionError after the time."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._received) >= count, timeout):
                came = f"{len(self._received)} of {count} requests came within {timeout:g} seconds"
                raise AssertionError(f"{came}{listed(': ', self._received)}")
            return [*self._received]

    def check(self) -> None:
        """Raise AssertionError where not all has gone as it was scripted."""
        with self._changed:
            missing = [f"{each} ({times(each)})" for each in self._scripted if each.is_missing]
            failed = [f"{request} ({error!r})" for request, error in self._errors]
            faults = [
                listed("scripted answers were not given: ", missing),
                listed("requests were not expected: ", self._unexpected),
                listed("what is called for an answer has failed: ", failed),
            ]
            first = self._errors[0][1] if self._errors else None
        if any(faults):
            raise AssertionError("; ".join(filter(None, faults))) from first

    # -- The server ------------------------------------------------------------------------------

    @property
    def age(self) -> int:
        """How often it was cleared."""
        return self._age

    def choose(self, request: Received, age: int, has_endpoint: bool) -> Choice:
        """Record a request that began at that age, and return how it is answered."""
        with self._changed:
            if age != self._age:
                return Choice(why="this is from before all was cleared")
            self._received.append(request)
            self._changed.notify_all()
            if not request.complete:
                return Choice()
            choice = self._choose(request)
            if choice.scripted is None and (choice.why or not has_endpoint):
                self._unexpected.append(request)
            return choice

    def failed(self, request: Received, error: Exception) -> None:
        """A function of the test that was called for the request has raised it."""
        with self._changed:
            self._errors.append((request, error))

    def _choose(self, request: Received) -> Choice:
        here = [each for each in self._scripted if each.is_about(request)]
        if not here:
            return Choice()
        left = [each for each in here if not each.is_used_up]
        if not left:
            return Choice(why=f"all scripted answers to {here[0]} have been given")
        due = next((each for each in self._scripted if each.ordered and not each.is_used_up), None)
        fitting = [each for each in left if self._fits(each, request)]
        ready = [each for each in fitting if each is due or not each.ordered]
        if not ready:
            turn = f"it is the turn of {due}" if fitting else f"no scripted answer to {here[0]} fits"
            return Choice(why=turn)
        # Those that are given so many times, in order; else what was said last of the others.
        found = next((each for each in ready if each.times is not None), ready[-1])
        return Choice(found.take(request), found)

    def _fits(self, scripted: Scripted, request: Received) -> bool:
        try:
            return scripted.fits(request)
        except Exception as error:  # the test's own condition: check() tells of it
            self._errors.append((request, error))
            return False


def times(scripted: Scripted) -> str:
    return "never" if not scripted.used else f"{scripted.used} of {scripted.times}"


def listed(title: str, items: Sequence[object]) -> str:
    """Return the title and the items in one line, of many the first ones; '' where there are none."""
    if not items:
        return ""
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return title + ", ".join(map(str, items[:SHOWN])) + more
