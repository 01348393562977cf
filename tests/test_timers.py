"""Timers: nothing is due before its deadline or much after it, whatever happens in between.

Each case runs on a clock of its own; nothing here waits.
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastserve import limits
from fastserve._timers import Timers
from fastserve.limits import TICK

LIMITS = pytest.mark.parametrize("limit", [limits.LINGER_TIMEOUT, limits.HEAD_TIMEOUT, 0.001, 1e6])
LATEST = TICK + 1e-6  # how late a deadline may be met, in seconds; the rest is for rounding


class Conn:
    """What Timers knows of a connection."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.timer = 0.0


@pytest.fixture
def timers() -> Timers:
    return Timers()


@pytest.mark.parametrize("start", [0.0, 0.05, 12345.678, 1e6 + 0.1, 1e9])
@LIMITS
def test_due_at_its_deadline_and_not_before(timers: Timers, start: float, limit: float) -> None:
    conn = Conn(start + limit)
    timers.watch(conn)
    assert timers.due(start) == []
    assert timers.due(conn.deadline - TICK / 100) == []
    assert timers.due(conn.deadline + LATEST) == [conn]
    assert timers.due(conn.deadline + 1e9) == []


def test_each_is_due_once(timers: Timers) -> None:
    conns = [Conn(n / 7) for n in range(100)]
    for conn in conns:
        timers.watch(conn)
        timers.watch(conn)
    assert sorted(timers.due(1000), key=lambda conn: conn.deadline) == conns
    assert timers.due(2000) == []


def test_what_was_due_may_be_watched_again(timers: Timers) -> None:
    conn = Conn(1)
    for deadline in (1, 5, 2000):
        conn.deadline = deadline
        timers.watch(conn)
        assert timers.due(deadline + LATEST) == [conn]


def test_a_deadline_that_moves_on_costs_no_call(timers: Timers) -> None:
    """A connection's deadline moves with every request; nobody tells the timers."""
    conn = Conn(10)
    timers.watch(conn)
    for now in range(9, 100, 9):
        conn.deadline = now + 10
        assert timers.due(now) == []
    assert timers.due(conn.deadline + LATEST) == [conn]


def test_a_deadline_that_comes_closer(timers: Timers) -> None:
    conn = Conn(100)
    timers.watch(conn)
    conn.deadline = 10
    timers.watch(conn)
    assert timers.due(9.9) == []
    assert timers.due(10 + LATEST) == [conn]
    assert timers.due(1000) == []


def test_a_deadline_in_the_past(timers: Timers) -> None:
    conn = Conn(10)
    timers.watch(conn)
    assert timers.due(1000) == [conn]
    timers.watch(conn)
    assert timers.due(1000) == [conn]


def test_what_is_forgotten_is_never_due(timers: Timers) -> None:
    conns = [Conn(10), Conn(10), Conn(20)]
    for conn in conns:
        timers.watch(conn)
    for conn in (conns[0], conns[0], conns[2], Conn(5)):
        timers.forget(conn)
    assert timers.due(1000) == [conns[1]]
    timers.forget(conns[1])
    assert timers.due(2000) == []


def test_the_next_tick(timers: Timers) -> None:
    assert timers.next_tick == math.inf
    timers.watch(Conn(10))
    timers.watch(Conn(7))
    assert 7 <= timers.next_tick <= 7 + LATEST
    timers.due(100)
    assert timers.next_tick == math.inf


def test_at_each_tick_something_is_due(timers: Timers) -> None:
    """Else the loop would spin."""
    for n in range(1000):
        timers.watch(Conn(1e5 + n * 0.0317))
    turns, met = 0, 0
    while timers.next_tick < math.inf:
        turns += 1
        met += len(timers.due(timers.next_tick))
        assert turns <= math.ceil(1000 * 0.0317 / TICK) + 1, "more turns than ticks"
    assert met == 1000


@given(st.integers(0, 10**9), st.lists(st.one_of(
    st.tuples(st.just("watch"), st.integers(0, 9), st.floats(0, 100)),
    st.tuples(st.just("move on"), st.integers(0, 9), st.floats(0, 100)),
    st.tuples(st.just("forget"), st.integers(0, 9), st.just(0.0)),
    st.tuples(st.just("time"), st.just(0), st.floats(0, 200)),
)))
def test_any_history(start: int, history: list[tuple[str, int, float]]) -> None:
    timers, now = Timers(), float(start)
    conns, watched = [Conn(0) for _ in range(10)], set()
    for what, n, amount in history:
        if what == "time":
            now += amount
            late = timers.due(now)
            assert all(conn.deadline <= now and conn.timer == 0 for conn in late)
            assert len(set(late)) == len(late)
            assert set(late) <= watched
            watched -= set(late)
            assert all(conn.deadline + LATEST + 1e-6 >= now for conn in watched), "one was missed"
        elif what == "forget":
            timers.forget(conns[n])
            watched.discard(conns[n])
        else:
            deadline = now + amount if what == "watch" else max(conns[n].deadline, now) + amount
            conns[n].deadline = deadline
            if what == "watch" or conns[n] not in watched:
                timers.watch(conns[n])
            watched.add(conns[n])
    assert set(timers.due(now + 1e6)) == watched
