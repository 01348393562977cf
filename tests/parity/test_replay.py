"""The replay lane against the driven one: what is sent from a recording is what the handler would have sent.

Two servers in one process: one of a class, and one of the same class that never replays. Thousands of
requests go to both, each three times to the first: to be recorded, and twice to be sent from the recording.
Date aside, all answers must be the same octets, and the lines of the log the same lines.
"""

import contextlib
import functools
import io
import random
import re
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from helpers import Client, nothing_left_behind, running, wait_until
from pairs import TLSClient, certificate

import fastserve

from .observe import stderr_as
from .replay_corpus import CODINGS, Asked, Facts, Known, made, requests
from .replay_files import CONDITIONED, make_files
from .replay_wire import END, Wire, alone, in_batches, in_pieces, side_by_side

TIMES = 3
MORE = 150  # requests by chance for each class
TIME = re.compile(r"\[\d\d/[A-Z][a-z]{2}/\d{4} \d\d:\d\d:\d\d\]")


# -- The classes -------------------------------------------------------------------------------


class Files(fastserve.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"


class Telling(Files):
    """Its log is its own."""

    def log_message(self, format: str, *args: Any) -> None:
        sys.stderr.write(
            f"{self.command} {self.path} {self.close_connection} says {format % args}\n")


class Adding(Files):
    """What it adds to a head is always the same."""

    pure_end_headers = True

    def end_headers(self) -> None:
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()


class Kind(NamedTuple):
    """A class: its base, its own attributes, what a partial gives it; and who serves it."""

    attributes: dict[str, Any]
    options: dict[str, Any] = {}
    base: Any = Files
    server: Any = fastserve.HTTPServer
    client: Any = Client

    def serve(self, stack: contextlib.ExitStack, folder: Path, **more: Any) -> Any:
        handler = type("Handler", (self.base,), {**self.attributes, **more})
        make = functools.partial(handler, directory=str(folder), **self.options)
        secure = {"certfile": certificate()} if self.client is TLSClient else {}
        server = self.server(("127.0.0.1", 0), make, **secure)
        stack.enter_context(running(server))
        return server


OWN_WORDS = {404: ("Nowhere", "Nobody knows"), 200: ("Fine", "")}
OWN_NAMES = {
    "server_version": "Own/1", "sys_version": "",
    "index_pages": ["home.html", "missing", "index.htm", "index.html"],
    "extensions_map": {".txt": "text/x-own", ".own": "x/own", "": "x/none"},
    "default_content_type": "x/default", "responses": {**Files.responses, **OWN_WORDS},
    "error_message_format": "%(code)d %(message)s %(explain)s", "error_content_type": "text/plain",
    "timeout": 60,
}
EXTRA = (("X-Extra", "one"), ("Cache-Control", "no-cache"), ("CONTENT-TYPE", "none"), ("Vary", "Cookie"),
         ("X-Extra", "two"), ("ETag", '"own"'))

KINDS = {
    "plain": Kind({}),
    "one-zero": Kind({"protocol_version": "HTTP/1.0"}),
    "siblings": Kind({"precompressed": True}),
    "charset": Kind({"default_charset": "utf-8"}),
    "no-links": Kind({"follow_symlinks": False}),
    "no-dotfiles": Kind({"hide_dotfiles": True}),
    "strict-siblings": Kind({"precompressed": True, "follow_symlinks": False, "hide_dotfiles": True}),
    "extra": Kind({}, {"extra_response_headers": EXTRA}),
    "extra-siblings": Kind({"precompressed": True}, {"extra_response_headers": [*EXTRA]}),
    "names": Kind(OWN_NAMES),
    "telling": Kind({}, base=Telling),
    "adding": Kind({}, base=Adding),
    "threads": Kind({}, server=fastserve.ThreadingHTTPServer),
    "tls": Kind({"precompressed": True}, server=fastserve.HTTPSServer, client=TLSClient),
}
# Of those over TLS nobody has said that they are sent from recordings.
RIDING = [name for name, kind in KINDS.items() if kind.client is Client]


# -- The servers -------------------------------------------------------------------------------


def hits(server: Any) -> int:
    """How many answers a server has sent from recordings."""
    recordings = getattr(server, "recordings", None)
    return recordings.hits if recordings is not None else 0


class Run(NamedTuple):
    """What was answered to each request, and what of it was logged; and how often from a recording."""

    answers: list[bytes]
    log: list[list[str]]
    hits: list[int]


class Pair:
    """Both servers of one kind, the corpus for them, and what has come of it when each was asked alone."""

    def __init__(self, name: str, folder: Path, stack: contextlib.ExitStack) -> None:
        self.kind = KINDS[name]
        self.driven = self.kind.serve(stack, folder, replay=False)
        self.lane = self.kind.serve(stack, folder)
        facts = self.learn_facts()
        self.requests = requests(name, facts, MORE, self.kind.attributes.get("precompressed", False))
        self.expected = self.run(self.driven, self.requests)
        repeated = [asked for asked in self.requests for _ in range(TIMES)]
        self.seen = self.run(self.lane, repeated, sum(map(len, self.expected.log)) * TIMES)

    def connect(self, server: Any) -> Callable[[], socket.socket]:
        return lambda: self.kind.client(server.server_address).sock

    def learn_facts(self) -> Facts:
        facts: Facts = {}
        with stderr_as(io.StringIO()), contextlib.closing(Wire(self.connect(self.driven))) as wire:
            for target in CONDITIONED:
                for coding in ["", *CODINGS]:
                    fields = [f"Accept-Encoding: {coding}"] if coding else []
                    octets = wire.ask(made("HEAD", target, *fields))
                    found = dict(re.findall(r"\r\n(ETag|Last-Modified): ([^\r]*)", octets.decode("latin-1")))
                    facts[target, coding] = Known(found.get("ETag", ""), found.get("Last-Modified", ""))
        return facts

    def run(self, server: Any, requests: Sequence[Asked], lines: int = 0) -> Run:
        """Ask each alone. The log may come a moment after the answer, where there will be so many lines."""
        run = Run([], [], [])
        log = io.StringIO()
        with stderr_as(log):
            for octets in alone(self.connect(server), requests):
                run.answers.append(octets)
                run.hits.append(hits(server))
                run.log.append(log.getvalue()[log.seek(0) :].splitlines() if not lines else [])
                if not lines:
                    log.truncate(0)
            if lines:
                wait_until(lambda: log.getvalue().count("\n") >= lines)
                run.log.append(log.getvalue().splitlines())
        return run

    def answers(self, requests: Sequence[Asked]) -> list[bytes]:
        """What is expected for them."""
        known = dict(zip(self.requests, self.expected.answers, strict=True))
        return [known[asked] for asked in requests]

    def pick(self, chance: random.Random, size: int, *without: bytes) -> list[Asked]:
        """So many requests in any order, some of them several times, but none so long, or answered so."""
        return chance.choices([
            asked for asked, octets in zip(self.requests, self.expected.answers, strict=True)
            if len(asked.octets) < 50_000 and octets[9:12] not in without], k=size)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Pair]]:
    folder = tmp_path_factory.mktemp("replay") / "served"
    make_files(folder)
    with nothing_left_behind(), contextlib.ExitStack() as stack:
        yield functools.cache(lambda name: Pair(name, folder, stack))


@pytest.fixture(params=KINDS)
def pair(request: pytest.FixtureRequest, pairs: Callable[[str], Pair]) -> Pair:
    return pairs(request.param)


# -- What must be the same ---------------------------------------------------------------------


def assert_same(asked: Sequence[Asked], seen: Sequence[bytes], expected: Sequence[bytes]) -> None:
    """The first differences are shown, and of long ones where they begin."""
    wrong = [show(*each) for each in zip(asked, seen, expected, strict=True) if each[1] != each[2]]
    assert not wrong, f"{len(wrong)} of {len(asked)} answers differ:\n" + "\n".join(wrong[:5])


def show(asked: Asked, seen: bytes, expected: bytes) -> str:
    at = next((at for at, (one, other) in enumerate(zip(seen, expected, strict=False)) if one != other),
              min(len(seen), len(expected)))
    cut = slice(max(at - 200, 0), at + 100)
    return (f"{asked.octets[:300]!r}\n   after {at} of {len(expected)} octets\n   seen     {seen[cut]!r}\n"
            f"   expected {expected[cut]!r}")


def test_every_answer(pair: Pair) -> None:
    repeated = [asked for asked in pair.requests for _ in range(TIMES)]
    expected = [octets for octets in pair.expected.answers for _ in range(TIMES)]
    assert_same(repeated, pair.seen.answers, expected)


def test_the_log(pair: Pair) -> None:
    """In the same order: there is one connection at a time."""
    expected = [TIME.sub("[]", line) for lines in pair.expected.log for line in lines * TIMES]
    assert len(expected) >= len(pair.requests)
    assert [TIME.sub("[]", line) for line in pair.seen.log[-1]] == expected


def test_pipelines(pair: Pair) -> None:
    """As long as they can be: at HTTP/1.0 of one request each."""
    chance = random.Random("pipelines")
    asked = pair.pick(chance, 300)
    ends = {each for each, octets in zip(asked, pair.answers(asked), strict=True) if octets.endswith(END)}
    seen = list(in_batches(pair.connect(pair.lane), asked, ends, chance))
    assert_same(asked, seen, pair.answers(asked))


def test_octet_by_octet(pair: Pair) -> None:
    """But for what is refused: that may be refused before all of it has come."""
    asked = pair.pick(random.Random("octets"), 50, b"400", b"431")
    assert_same(asked, list(in_pieces(pair.connect(pair.lane), asked)), pair.answers(asked))


def test_several_connections(pair: Pair) -> None:
    asked = pair.pick(random.Random("connections"), 300)
    assert_same(asked, list(side_by_side(pair.connect(pair.lane), asked, 8)), pair.answers(asked))


# -- That it is the lane that has answered -----------------------------------------------------


@pytest.mark.parametrize("name", RIDING)
def test_what_comes_from_a_recording(name: str, pairs: Callable[[str], Pair]) -> None:
    """The second and the third answer to what is stated in the corpus."""
    pair = pairs(name)
    found = {asked.stated: pair.seen.hits[at * TIMES + 2] - pair.seen.hits[at * TIMES]
             for at, asked in enumerate(pair.requests) if asked.stated}
    if pair.kind.base is Telling:  # a 404 is two calls of its log, of which one is for an error
        found = {label: count for label, count in found.items() if "404" not in label}
    assert {label: count for label, count in found.items() if count != TIMES - 1} == {}


@pytest.mark.parametrize("name", RIDING)
def test_most_of_all_comes_from_recordings(name: str, pairs: Callable[[str], Pair]) -> None:
    pair = pairs(name)
    count = pair.seen.hits[-1] - pair.seen.hits[0]
    assert count > len(pair.requests), f"{count} of {len(pair.requests) * TIMES} answers"


def test_a_class_that_does_not_replay(pair: Pair) -> None:
    assert hits(pair.driven) == 0


# -- The corpus --------------------------------------------------------------------------------


def test_the_corpus_is_large_and_varied(pairs: Callable[[str], Pair]) -> None:
    plain, siblings = pairs("plain"), pairs("siblings")
    assert sum(len(pairs(name).requests) for name in KINDS) >= 2000
    assert len({asked for name in KINDS for asked in pairs(name).requests}) >= 2000
    statuses = {int(octets[9:12]) for pair in (plain, siblings) for octets in pair.expected.answers
                if octets.startswith(b"HTTP/")}
    assert statuses >= {100, 200, 206, 301, 304, 400, 404, 406, 412, 414, 416, 431, 501, 505}
