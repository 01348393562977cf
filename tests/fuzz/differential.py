"""Where requests begin and end, to fastserve and to nginx: `python -m fuzz.differential --count N` in tests/.

The same octets go to nginx, fastserve and http.server, with a sentinel request behind them. Each answer
names its request, so what is one request to a server and two to another is seen: the difference that request
smuggling lives on. It is a fault unless judging.JUSTIFIED has a class for it; the octets of a fault are
minimised and printed, and the exit status is 1. http.server is only counted.

What a request means, and which status is right, it does not know. test_differential.py runs it too.
"""

import argparse
import collections
import contextlib
import itertools
import random
import select
import socket
import struct
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from fuzz.judging import JUSTIFIED, SENTINEL, Talk, explain, understand
from fuzz.mutations import Input, Mutator
from fuzz.naming import CONTESTANTS

from fastserve.limits import MAX_COLLECTED_BODY

# For who waits: the next request, or the rest of a body, without which fastserve answers none that is short.
FILLER: Final = SENTINEL + b"x" * MAX_COLLECTED_BODY + b"\r\n\r\n"
BATCH: Final = 128  # inputs whose connections are open at the same time
PAUSE: Final = 0.004  # seconds between two pieces of an input
# Seconds without an octet on any connection, after which those still open are taken to wait for more. PATIENT
# is for an input on its own, when the first look may have been wrong.
QUIET, PATIENT = 0.1, 0.5
LF: Final = ord("\n")
TRIES: Final = 3
ENOUGH: Final = 10  # faults, after which a run ends


# -- Conversations ---------------------------------------------------------------------------------


class Exchange:
    """A connection on which an input and the sentinel are sent, and everything is read."""

    def __init__(self, address: Any, pieces: Sequence[bytes]) -> None:
        self.sock = socket.socket()
        # A close is a reset: nothing lingers, and no port stays taken.
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self.sock.connect(address)
        self.stream = bytearray()
        self.waits = True
        self.pieces = iter([*pieces[:-1], pieces[-1] + SENTINEL])

    def send_piece(self) -> None:
        """The next one, if there is one."""
        self.send(next(self.pieces, b""))

    def send(self, octets: bytes) -> None:
        with contextlib.suppress(ConnectionError):  # the server has closed
            self.sock.sendall(octets)

    def close(self) -> None:
        self.sock.close()

    def receive(self) -> bool:
        """Whether more may come."""
        octets = b""
        with contextlib.suppress(ConnectionError):
            octets = self.sock.recv(1 << 16)
        self.stream += octets
        self.waits = bool(octets)
        return self.waits


def receive_all(exchanges: Sequence[Exchange], quiet: float) -> None:
    """Until all are closed, or nothing comes on any."""
    poll, left = select.poll(), {each.sock.fileno(): each for each in exchanges}
    for descriptor in left:
        poll.register(descriptor, select.POLLIN)
    while left and (events := poll.poll(quiet * 1000)):
        for descriptor, _ in events:
            if not left[descriptor].receive():
                poll.unregister(descriptor)
                del left[descriptor]


def observe(addresses: Iterable[Any], inputs: Sequence[Input], quiet: float = QUIET) -> list[list[Talk]]:
    """What each server makes of each input, all at the same time."""
    with contextlib.ExitStack() as stack:
        exchanges = [[stack.enter_context(contextlib.closing(Exchange(address, each.pieces)))
                      for address in addresses] for each in inputs]
        flat = list(itertools.chain.from_iterable(exchanges))
        for turn in range(max(len(each.pieces) for each in inputs)):
            time.sleep(PAUSE if turn else 0)
            for exchange in flat:
                exchange.send_piece()
        receive_all(flat, quiet)
        waiting = [each for each in flat if each.waits]
        for exchange in waiting:
            exchange.send(FILLER)
        receive_all(waiting, quiet)
        return [[understand(bytes(each.stream), each.waits) for each in row] for row in exchanges]


# -- The run ---------------------------------------------------------------------------------------


class Fault(NamedTuple):
    """A difference that nothing justifies, its octets minimised, and what every server made of them."""

    server: str
    kind: str
    octets: bytes
    talks: dict[str, Talk]


class Run:
    """Compares the servers of ``addresses`` with the first, nginx; ``judged`` names those that matter."""

    def __init__(self, addresses: Mapping[str, Any], judged: Sequence[str]) -> None:
        self.addresses, self.judged = dict(addresses), judged
        self.count = self.fleeting = 0
        self.counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self.faults: list[Fault] = []

    def over(self, inputs: Iterator[Input], count: int, seconds: float) -> None:
        """Until that many have been sent, or the time is up, or there are faults enough."""
        end = time.monotonic() + seconds
        while self.count < count and time.monotonic() < end and len(self.faults) < ENOUGH:
            batch = list(itertools.islice(inputs, min(BATCH, count - self.count)))
            for each, talks in zip(batch, observe(self.addresses.values(), batch), strict=True):
                self.compare(each, dict(zip(self.addresses, talks, strict=True)))
            self.count += len(batch)

    def compare(self, tried: Input, talks: dict[str, Talk]) -> None:
        for server in list(talks)[1:]:
            kind, is_fault = explain(tried.octets, talks[server], talks["nginx"])
            self.counts[server][kind] += 1
            if is_fault and server in self.judged:
                self.look_again(server, kind, tried)

    def look_again(self, server: str, kind: str, tried: Input) -> None:
        """On its own and with patience: what depends on the time alone is no fault."""
        if not all(self.kinds(server, [tried], PATIENT) == [kind] for _ in range(TRIES)):
            self.fleeting += 1
            return
        octets = self.minimise(server, kind, tried.octets)
        if octets not in [fault.octets for fault in self.faults]:
            talks = observe(self.addresses.values(), [Input((octets,))], PATIENT)[0]
            self.faults.append(Fault(server, kind, octets, dict(zip(self.addresses, talks, strict=True))))

    def kinds(self, server: str, inputs: Sequence[Input], quiet: float = QUIET) -> list[str]:
        """The kind of fault that each is; "" for what is none."""
        talks = observe([self.addresses[server], self.addresses["nginx"]], inputs, quiet)
        found = [explain(each.octets, *pair) for each, pair in zip(inputs, talks, strict=True)]
        return [kind if is_fault else "" for kind, is_fault in found]

    def minimise(self, server: str, kind: str, octets: bytes) -> bytes:
        """Leave out lines, and then octets, as long as the fault is the same."""
        lines = without_lines(octets)
        while (found := self.first(server, kind, lines)) is not None:
            octets = lines[found]
            lines = without_lines(octets)
        for size in (16, 4, 1):
            at = 0
            while at < len(octets):
                shorter = [octets[:each] + octets[each + size :] for each in range(at, len(octets))]
                found = self.first(server, kind, shorter)
                octets, at = (octets, len(octets)) if found is None else (shorter[found], at + found)
        return octets

    def first(self, server: str, kind: str, candidates: Sequence[bytes]) -> int | None:
        """Which one is the first with that fault."""
        for at in range(0, len(candidates), BATCH):
            kinds = self.kinds(server, [Input((each,)) for each in candidates[at : at + BATCH]])
            if kind in kinds:
                return at + kinds.index(kind)
        return None

    def report(self) -> str:
        """All that has been found, as text."""
        lines = [f"{self.count} inputs; {self.fleeting} differences were not seen again"]
        for server, counts in sorted(self.counts.items()):
            lines += [f"{server}:", *(f"{count:9} {kind}" for kind, count in counts.most_common())]
        lines += ["Justified:", *(f"  {each.name}: {each.reason}" for each in JUSTIFIED)]
        for fault in self.faults:
            lines += [f"FAULT of {fault.server}: {fault.kind}", f"  {fault.octets!r}"]
            lines += [f"  {server}: {talk}" for server, talk in fault.talks.items()]
        return "\n".join(lines)


def without_lines(octets: bytes) -> list[bytes]:
    """Without any that follow one another, the shortest first."""
    ends = [0, *(at + 1 for at, octet in enumerate(octets) if octet == LF), len(octets)]
    pairs = itertools.combinations(sorted(set(ends)), 2)
    return sorted((octets[:start] + octets[end:] for start, end in pairs), key=len)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Find octets that fastserve and nginx divide differently.")
    parser.add_argument("--count", type=int, default=10_000, help="of inputs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3600, help="after which no more is tried")
    args = parser.parse_args(argv)
    print(f"--seed {args.seed}", flush=True)
    with contextlib.ExitStack() as stack:
        addresses = {name: stack.enter_context(start()) for name, start in CONTESTANTS.items()}
        run = Run(addresses, [name for name in addresses if name.startswith("fastserve")])
        run.over(Mutator(random.Random(args.seed)).inputs(), args.count, args.seconds)
    print(run.report())
    return int(bool(run.faults))


if __name__ == "__main__":
    sys.exit(main())
