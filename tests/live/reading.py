"""Clients that read what somebody edits, and judge every answer by the ledger.

An answer must be of a state that was there between the moment before its request and the moment after its
last octet: of none before that, and no mixture, unless a file was written in place meanwhile. Knows no server
and no file. torture.py runs it, in processes of its own, and test_freshness.py.
"""

import collections
import contextlib
import random
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from helpers import connect, request
from live.ledger import ABSENT, BODY, LISTING, REDIRECT, Ledger, State, Window

PATIENCE = 10.0
LENGTH = re.compile(r"content-length: (\d+)")
RANGE = re.compile(r"content-range: bytes (?:(\d+)-(\d+)|\*)/(\d+)")
LISTED = b"Directory listing for"
KEPT_TAGS = 400


class Thing(NamedTuple):
    """A name that is edited: its number in the ledger, how it is asked for, whether it may be missed."""

    number: int
    target: str
    fields: tuple[str, ...] = ()
    may_be_missed: bool = False


class Asked(NamedTuple):
    thing: Thing
    octets: bytes
    method: str
    first: int  # the state that was there when it was made
    tag: str = ""  # of If-None-Match
    part: tuple[int, int] | None = None


class Answer(NamedTuple):
    """``is_whole``: no octet is missing. ``is_last``: it says that no other will come."""

    status: int
    head: str  # in lower case, but for the entity tag
    tag: str
    body: bytes
    is_whole: bool
    is_last: bool


class Peer:
    """A connection with what has been asked on it."""

    def __init__(self, address: Any) -> None:
        self.address = address
        self.sock: Any = None
        self._buffer = bytearray()

    def send(self, requests: Sequence[Asked]) -> None:
        self.sock = self.sock or connect(self.address, PATIENCE)
        with contextlib.suppress(ConnectionError):
            self.sock.sendall(b"".join(asked.octets for asked in requests))

    def answers(self, requests: Sequence[Asked]) -> Iterator[tuple[Asked, Answer | None]]:
        """One for each, up to the one that is the last; None where the end comes instead of it."""
        for asked in requests:
            answer = self._answer(asked.method)
            if answer is None or answer.is_last or not answer.is_whole:
                self.close()
            yield asked, answer
            if self.sock is None:
                return

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()
        self.sock = None
        self._buffer.clear()

    def _answer(self, method: str) -> Answer | None:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if not self._receive():
                return None
        head = bytes(self._buffer[: end + 2]).decode("latin-1")
        tag = re.search(r"(?i)\r\netag: (.*)\r\n", head)
        lower = head.lower()
        status = int(head[9:12])
        length = LENGTH.search(lower)
        size = int(length[1]) if length and method != "HEAD" and status != 304 else 0
        while len(self._buffer) < end + 4 + size and self._receive():
            pass
        body = bytes(self._buffer[end + 4 : end + 4 + size])
        del self._buffer[: end + 4 + size]
        is_last = "\r\nconnection: close\r\n" in lower or not head.startswith("HTTP/1.1 ")
        return Answer(status, lower, tag[1] if tag else "", body, len(body) == size, is_last)

    def _receive(self) -> bool:
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionError:
            data = b""
        self._buffer += data
        return bool(data)


class Reader:
    """Asks for things by chance, and judges."""

    def __init__(self, ledger: Ledger, things: Sequence[Thing], seed: str) -> None:
        self.ledger, self.things = ledger, things
        self.chance = random.Random(seed)
        self.faults: list[str] = []
        self.tally: collections.Counter[str] = collections.Counter()
        self._tags: collections.OrderedDict[tuple[int, str], tuple[State, ...]] = collections.OrderedDict()
        self._last_tag: dict[int, str] = {}

    # -- Asking --------------------------------------------------------------------------------

    def plainly(self, thing: Thing, *fields: str, method: str = "GET", **more: Any) -> Asked:
        """As late as can be before it is sent."""
        octets = request(method, thing.target, *thing.fields, *fields)
        return Asked(thing, octets, method, self.ledger.now(thing.number), **more)

    def by_chance(self, thing: Thing) -> Asked:
        kind = self.chance.random()
        tag = self.last_tag(thing)
        if kind < 0.6:
            return self.plainly(thing)
        if kind < 0.8:
            return self.plainly(thing, f"If-None-Match: {tag}", tag=tag)
        if kind < 0.9:
            first = self.chance.choice([0, 0, 7, 100])
            last = first + self.chance.choice([0, 9, 99, 1_000_000])
            return self.plainly(thing, f"Range: bytes={first}-{last}", part=(first, last))
        if kind < 0.97:
            return self.plainly(thing, method="HEAD")
        return self.plainly(thing, "Connection: close")

    def last_tag(self, thing: Thing) -> str:
        """The entity tag that came last."""
        return self._last_tag.get(thing.number, '"none"')

    def round(self, peers: Sequence[Peer]) -> None:
        """All ask before any is answered, some of them for several things."""
        batches = []
        for peer in peers:
            count = self.chance.choice([1, 1, 1, 1, 2, 5])
            wanted = self.chance.choices(self.things, k=count)
            batches.append([self.by_chance(thing) for thing in wanted])
            peer.send(batches[-1])
        for peer, batch in zip(peers, batches, strict=True):
            self.judge_all(peer, batch)

    def ask(self, peer: Peer, thing: Thing, *fields: str, **more: Any) -> Answer | None:
        """One request, judged."""
        asked = self.plainly(thing, *fields, **more)
        peer.send([asked])
        return self.judge_all(peer, [asked])

    def judge_all(self, peer: Peer, batch: Sequence[Asked]) -> Answer | None:
        answer = None
        try:
            for asked, answer in peer.answers(batch):
                self.note(asked, answer)
        except TimeoutError:
            peer.close()
            self.faults.append(f"{batch[0].octets!r}: no answer")
        return answer

    # -- Judging -------------------------------------------------------------------------------

    def note(self, asked: Asked, answer: Answer | None) -> None:
        window = self.ledger.since(asked.thing.number, asked.first)
        fault = self.judge(asked, answer, window)
        self.tally[f"{answer.status if answer else 'none'}"] += 1
        self.tally["while it changed"] += len(window.states) > 1
        if fault:
            states = ", ".join(map(str, window.states))
            said = answer and (answer.head, answer.body[:60], len(answer.body))
            self.faults.append(f"{fault}\n  asked {asked.octets!r}\n  from {window.first}: {states}\n"
                               f"  answer {said!r}")

    def judge(self, asked: Asked, answer: Answer | None, window: Window) -> str:
        """What is wrong, or ''."""
        if answer is None:
            return "the end instead of an answer"
        if not answer.is_whole:
            return self.judge_cut(window)
        judges: dict[int, Callable[[Asked, Answer, Window], str]] = {
            200: self.judge_whole, 206: self.judge_part, 304: self.judge_unmodified,
            404: self.judge_absent, 416: self.judge_no_part,
            301: lambda *args: self.judge_kind(REDIRECT, *args),
        }
        judge = judges.get(answer.status)
        return judge(asked, answer, window) if judge else "no such answer"

    def judge_cut(self, window: Window) -> str:
        """Only what becomes shorter while it is sent has no other way out."""
        self.tally["cut off"] += 1
        shrinks = any(after.torn and after.size < before.size
                      for before, after in zip(window.states, window.states[1:], strict=False))
        return "" if shrinks else "octets are missing"

    def judge_kind(self, kind: int, asked: Asked, answer: Answer, window: Window) -> str:
        return "" if any(state.kind == kind for state in window.states) else "it is not so"

    def judge_absent(self, asked: Asked, answer: Answer, window: Window) -> str:
        if asked.thing.may_be_missed and len(window.states) > 1:
            return ""
        return self.judge_kind(ABSENT, asked, answer, window)

    def judge_whole(self, asked: Asked, answer: Answer, window: Window) -> str:
        if LISTED in answer.body:
            return self.judge_kind(LISTING, asked, answer, window)
        length = int(LENGTH.search(answer.head)[1])  # type: ignore[index]
        if asked.method == "HEAD":
            is_listing = not answer.tag and any(state.kind == LISTING for state in window.states)
            return "" if window.has_size(length) or is_listing else "another length"
        return self.judge_octets(answer, window, 0, length)

    def judge_part(self, asked: Asked, answer: Answer, window: Window) -> str:
        found = RANGE.search(answer.head)
        if asked.part is None or not found or found[1] is None:
            return "a part that nobody asked for"
        first, last, size = int(found[1]), int(found[2]), int(found[3])
        wanted = asked.part[0], min(asked.part[1], size - 1)
        if (first, last) != wanted or last - first + 1 != len(answer.body):
            return "another part"
        return self.judge_octets(answer, window, first, size)

    def judge_no_part(self, asked: Asked, answer: Answer, window: Window) -> str:
        found = RANGE.search(answer.head)
        is_right = found and asked.part and asked.part[0] >= int(found[3]) and window.has_size(int(found[3]))
        return "" if is_right else "there is such a part"

    def judge_octets(self, answer: Answer, window: Window, first: int, size: int) -> str:
        """Those of one state, from ``first`` on; ``size`` is what is said of all of it."""
        body, cut = answer.body, slice(first, first + len(answer.body))
        like = tuple(state for state in window.states
                     if state.kind == BODY and state.size == size and state.body[cut] == body)
        if like:
            return self.judge_tag(answer, window, window.states if window.is_torn else like)
        if window.is_torn and window.has_size(size):
            self.tally["mixed while it was written"] += 1
            return "" if is_mixed(body, window, cut) else "octets of no state"
        for back, state in enumerate(reversed(window.before), 1):
            if state.kind == BODY and state.size == size and state.body[cut] == body:
                return f"stale by {back}"
        return "mixed, or of none"

    def judge_tag(self, answer: Answer, window: Window, like: tuple[State, ...]) -> str:
        """An entity tag is of one state and no other. Of which, is not always known at first."""
        if not answer.tag:
            return ""
        key = window.name, answer.tag
        known = self._tags.get(key, ())
        both = tuple(state for state in known if any(map(state.is_like, like)))
        if len(window.states) == 1 and known and not both:
            return f"its entity tag was that of {known[0]}"
        self._tags[key] = both or like
        self._tags.move_to_end(key)
        if len(self._tags) > KEPT_TAGS * len(self.things):
            self._tags.popitem(last=False)
        self._last_tag[window.name] = answer.tag
        return ""

    def judge_unmodified(self, asked: Asked, answer: Answer, window: Window) -> str:
        if answer.tag != asked.tag:
            return "304 with another entity tag than was asked about"
        known = self._tags.get((window.name, asked.tag), ())
        if known:
            self._tags.move_to_end((window.name, asked.tag))
        return "" if any(map(window.has, known)) else f"304, and it was {', '.join(map(str, known))}"


def is_mixed(body: bytes, window: Window, cut: slice) -> bool:
    """Whether each octet is that of one of the states, or a zero where one of them has ended."""
    bodies = [state.body[cut].ljust(len(body), b"\0") for state in window.states if state.kind == BODY]
    return all(octet in choices for octet, *choices in zip(body, *bodies, strict=False))
