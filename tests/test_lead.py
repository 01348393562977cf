"""The lead on its own: who has it, who sees that it is held up, that a wait ends. No loop, no connection."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers import PATIENCE

from fastserve._lead import Lead


class Watched:
    """A lead with a thread that watches it and one that follows: both end with the test."""

    def __init__(self) -> None:
        self.lead = Lead()
        self.late = threading.Event()
        self._ended = False
        self._threads = [threading.Thread(target=each) for each in (self.lead.watch, self._follow)]
        for thread in self._threads:
            thread.start()

    def _follow(self) -> None:
        while not self._ended:
            self.lead.follow()
            if not self._ended:
                self.late.set()

    def end(self) -> None:
        self._ended = True
        self.lead.wake_watcher()
        self.lead.wake_reserve()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.end()


def elsewhere(function: Callable[[], Any]) -> Any:
    """What a function returns in a thread of its own."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join(PATIENCE)
    return results.pop()


def test_one_thread_leads() -> None:
    lead = Lead()
    assert not lead.leads()
    assert lead.adopt()
    assert lead.leads()
    assert not elsewhere(lead.leads)
    assert not elsewhere(lead.adopt)
    assert lead.leads()


def test_a_prompt_run_keeps_the_lead() -> None:
    lead = Lead()
    lead.adopt()
    for conn in ("one", "other"):
        lead.enter(conn)
        assert not lead.leads()
        assert not elsewhere(lead.adopt)
        assert lead.leave()
        assert lead.leads()
        assert lead.taken() is None


def test_whoever_comes_first_takes_what_was_released() -> None:
    lead = Lead()
    lead.adopt()
    lead.release()
    assert not lead.leads()
    assert elsewhere(lead.adopt)
    assert not lead.adopt()


def test_a_late_run_is_seen_and_its_lead_is_taken(watched: Watched) -> None:
    lead, conn = watched.lead, object()
    lead.adopt()
    lead.enter(conn)
    assert watched.late.wait(PATIENCE)
    assert elsewhere(lambda: lead.adopt() and (lead.taken(), lead.taken())) == (conn, None)
    assert not lead.leave()
    assert not lead.leads()


def test_a_late_leader_whose_lead_nobody_took_keeps_it(watched: Watched) -> None:
    lead = watched.lead
    lead.adopt()
    lead.enter("conn")
    assert watched.late.wait(PATIENCE)
    assert lead.leave()
    assert lead.leads()
    assert not elsewhere(lead.adopt)


def test_many_prompt_runs_are_no_late_one(watched: Watched) -> None:
    """The watcher looks at many of them, each time at another one."""
    lead = watched.lead
    lead.adopt()
    end, runs = time.monotonic() + 0.05, 0
    while time.monotonic() < end:
        lead.enter("conn")
        assert lead.leave()
        runs += 1
    assert runs > 100
    assert lead.leads()


def test_a_sleeping_watcher_is_woken_by_a_run(watched: Watched) -> None:
    """Also after it has slept: each time by the run that begins then."""
    lead = watched.lead
    lead.adopt()
    for _ in range(3):
        time.sleep(0.1)  # more looks than it takes to go to sleep; if not, the test is only easier
        lead.enter("conn")
        assert watched.late.wait(PATIENCE)
        assert lead.leave()
        watched.late.clear()


def test_a_watcher_that_a_computing_run_wakes_needs_no_gil(watched: Watched) -> None:
    lead, interval = watched.lead, sys.getswitchinterval()
    lead.adopt()
    time.sleep(0.1)  # as above
    sys.setswitchinterval(2 * PATIENCE)
    try:
        lead.enter("conn")
        end = time.monotonic() + PATIENCE
        while not lead.adopt():  # which it can be only once the watcher has seen that it is late
            assert time.monotonic() < end
    finally:
        sys.setswitchinterval(interval)


def test_a_ring_before_the_watch_is_not_lost() -> None:
    lead = Lead()
    lead.wake_watcher()
    lead.watch()


def test_a_call_before_the_follower_is_not_lost() -> None:
    lead = Lead()
    lead.wake_reserve()
    lead.follow()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_a_signal_s_exception_ends_the_watch() -> None:
    """As Ctrl-C must, whether the watcher looks or sleeps."""

    class Rang(Exception):
        pass

    def ring(signum: int, frame: object) -> None:
        raise Rang

    before = signal.signal(signal.SIGALRM, ring)
    try:
        for delay in (0.001, 0.2):
            signal.setitimer(signal.ITIMER_REAL, delay)
            with pytest.raises(Rang):
                Lead().watch()
    finally:
        signal.signal(signal.SIGALRM, before)
