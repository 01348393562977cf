"""What differential.py calls a fault, and that it finds none here: a few hundred inputs of many."""

import contextlib
import random
from collections.abc import Iterator

import pytest
from fuzz.differential import Run
from fuzz.judging import (
    ANOTHER,
    BEYOND,
    LAST,
    LAXER,
    ONE_AS_TWO,
    SAME,
    STRICTER,
    TWO_AS_ONE,
    Talk,
    explain,
    judge,
    understand,
)
from fuzz.mutations import LARGEST, Input, Mutator
from fuzz.naming import CONTESTANTS, NAME

ONE, TWO = "GET /1 HTTP/1.1", "GET /2 HTTP/1.1"
BOTH, ALL = Talk((ONE, LAST)), Talk((ONE, TWO, LAST))


@pytest.mark.parametrize(
    ("ours", "theirs", "kind"),
    [
        (ALL, ALL, SAME),
        (Talk((ONE,), 400), Talk((ONE,)), SAME),
        (Talk(waits=True), Talk(waits=True), SAME),
        (Talk((ONE,), waits=True), ALL, TWO_AS_ONE),
        (BOTH, ALL, ANOTHER),
        (ALL, BOTH, ANOTHER),
        (ALL, Talk((ONE,), waits=True), ONE_AS_TWO),
        (Talk(("GET /12 HTTP/1.1",)), Talk((ONE,)), ANOTHER),
        (Talk((ONE,), 400, beyond=1), ALL, BEYOND),
        (Talk((ONE,), 400, waits=True), ALL, BEYOND),
        (Talk((ONE,), 400), ALL, STRICTER),
        (Talk((ONE,)), ALL, STRICTER),
        (Talk((ONE,)), Talk((ONE,), waits=True), STRICTER),
        (ALL, Talk((ONE,), 400), LAXER),
        (ALL, Talk((ONE,), 405, waits=True), LAXER),
        (Talk((ONE,), waits=True), Talk((ONE,), 400), LAXER),
    ],
)
def test_kinds(ours: Talk, theirs: Talk, kind: str) -> None:
    assert judge(ours, theirs) == kind


@pytest.mark.parametrize(
    ("head", "theirs", "is_fault"),
    [
        (b"G!T /1 HTTP/1.1\r\nHost: a\r\n", Talk((), 400), False),
        (b"GET a:80 HTTP/1.1\r\nHost: a\r\n", Talk((), 400), False),
        (b"GET /1 HTTP/1.1\r\nHost: :80\r\n", Talk((), 400), False),
        (b"GET /1 HTTP/1.1\r\nHost: a..b\r\n", Talk((), 400), False),
        (b"GET /1 HTTP/1.1\r\nHost: a.b\r\n", Talk((), 400), True),
        (b"GET /1 HTTP/1.1\r\nContent-Length: 0\r\nHost: a\r\nContent-Length: 0\r\n", Talk((), 400), False),
        (b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: xclose\r\n", Talk(("GET /1 HTTP/1.1",)), False),
        (b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: xclose\r\n", Talk((), 400), True),
        (b"GET /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 1\r\n", Talk((), 400), True),
        (b"GET /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n", Talk((), 501), True),
    ],
)
def test_laxer_needs_a_reason(head: bytes, theirs: Talk, is_fault: bool) -> None:
    line = head.partition(b"\r\n")[0].decode()
    kind, found = explain(head + b"\r\n", Talk((line, LAST)), theirs)
    assert found == is_fault
    assert kind.startswith(LAXER)


CHUNK = b"GET /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n%b\r\n"


@pytest.mark.parametrize(
    ("octets", "ours", "theirs", "is_fault"),
    [
        (CHUNK % b"z", Talk((ONE,)), Talk((), 400), False),
        (CHUNK % b"z", Talk((ONE,), waits=True), Talk((), 405, waits=True), False),
        (CHUNK % b"z", Talk((ONE,), waits=True), Talk((), 400), True),
        (CHUNK % b"z", Talk((LAST,)), Talk((), 400), True),
        (CHUNK % b"1000000000000000", Talk((ONE,), waits=True), Talk((), 400), False),
        (CHUNK % b"1000000000000000", Talk((ONE,), waits=True), Talk((ONE,)), False),
        (CHUNK % b"1000000000000000", Talk((ONE, LAST)), Talk((), 400), True),
        (CHUNK % b"100000000000000", Talk((ONE,), waits=True), Talk((), 400), True),
    ],
)
def test_where_nobody_goes_on(octets: bytes, ours: Talk, theirs: Talk, is_fault: bool) -> None:
    assert explain(octets, ours, theirs)[1] == is_fault


def test_stricter_is_no_fault() -> None:
    assert explain(b"", Talk((), 400), ALL) == ("stricter: refuses with 400", False)
    assert explain(b"", Talk((ONE,)), ALL) == ("stricter: closes", False)


def answer(line: str, status: int = 200, body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {status} x\r\n{NAME}: {line}\r\nContent-Length: {len(line)}\r\n\r\n".encode() + body


def test_a_stream_of_answers() -> None:
    stream = answer("HEAD /1") + b"HTTP/1.1 100 Continue\r\n\r\n" + answer(ONE, body=ONE.encode())
    assert understand(stream, waits=True) == Talk(("HEAD /1", ONE), waits=True)
    assert understand(stream + b"GET /old\n", waits=False) == Talk(("HEAD /1", ONE, "GET /old"))
    assert understand(answer(ONE, 400, ONE.encode()) + stream, waits=False) == Talk((), 400, beyond=2)
    assert understand(b"<html>", waits=False) == Talk((), 400)


def test_the_same_inputs_for_a_seed() -> None:
    one, same, other = (Mutator(random.Random(seed)).inputs() for seed in (1, 1, 2))
    inputs = [next(one) for _ in range(300)]
    assert inputs == [next(same) for _ in range(300)] != [next(other) for _ in range(300)]
    assert len(set(inputs)) > 280
    assert max(len(each.octets) for each in inputs) <= LARGEST


@pytest.fixture(scope="module")
def addresses() -> Iterator[dict[str, object]]:
    with contextlib.ExitStack() as stack:
        try:
            yield {name: stack.enter_context(start()) for name, start in CONTESTANTS.items()}
        except FileNotFoundError as error:
            pytest.skip(str(error))


def test_a_few_hundred(addresses: dict[str, object]) -> None:
    run = Run(addresses, ["fastserve", "fastserve threads"])
    run.over(Mutator(random.Random(2)).inputs(), 500, seconds=60)
    assert run.count == 500, run.report()
    assert not run.faults, run.report()
    assert run.counts["fastserve"][SAME] > 250


def test_faults_are_found(addresses: dict[str, object]) -> None:
    """Those of http.server, which reads no bodies."""
    noise, inner = b"A / HTTP/1.1\nHost:a\n\n", b"B / HTTP/1.1\nHost:a\n\n"
    body = b"C / HTTP/1.1\nHost:a\nContent-Length:%d\n\n%b" % (len(inner), inner)
    run = Run(addresses, ["http.server"])
    run.over(iter([Input((noise + body, noise))]), 1, seconds=60)
    [fault] = run.faults
    assert (fault.server, fault.kind) == ("http.server", ANOTHER)
    assert len(fault.octets) <= len(body)
    assert f"FAULT of http.server: {ANOTHER}" in run.report()
