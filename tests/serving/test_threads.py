"""Threads that do jobs: as many as there are jobs, whatever these raise, and none left behind."""

import sys
import threading
from collections.abc import Iterator

import pytest
from helpers import PATIENCE, nothing_left_behind, wait_until

from fastserve.serving import threads as module
from fastserve.serving.threads import Threads


@pytest.fixture
def made() -> Iterator[list[Threads]]:
    """Those a test makes; each is stopped at its end, and leaves nothing."""
    made: list[Threads] = []
    with nothing_left_behind():
        yield made
        for threads in made:
            threads.stop()
            assert threads.join(PATIENCE)


def count() -> int:
    return threading.active_count()


def test_jobs_that_wait_for_each_other_all_run(made: list[Threads]) -> None:
    threads = Threads()
    made.append(threads)
    barrier = threading.Barrier(51)
    for _ in range(50):
        threads.do(lambda: barrier.wait(PATIENCE))
    barrier.wait(PATIENCE)


def test_a_thread_is_used_again(made: list[Threads]) -> None:
    threads, before = Threads(), count()
    made.append(threads)
    for _ in range(50):
        done = threading.Event()
        threads.do(done.set)
        assert done.wait(PATIENCE)
    # The spare one, and one whose job is done though it does not say so yet.
    assert count() - before <= 4


def test_jobs_given_before_the_stop_are_done(made: list[Threads]) -> None:
    threads, done = Threads(), []
    for number in range(20):
        threads.do(lambda number=number: done.append(number))
    threads.stop()
    assert threads.join(PATIENCE)
    assert sorted(done) == list(range(20))


def test_a_join_that_is_not_waited_for_says_so(made: list[Threads]) -> None:
    threads, gate = Threads(), threading.Event()
    threads.do(lambda: gate.wait(PATIENCE))
    threads.stop()
    assert not threads.join(0.01)
    gate.set()
    assert threads.join(PATIENCE)


def test_what_is_not_needed_goes(made: list[Threads], monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the spare one."""
    monkeypatch.setattr(module, "THREAD_IDLE", 0.02)
    threads, before, barrier = Threads(), count(), threading.Barrier(11)
    made.append(threads)
    for _ in range(10):
        threads.do(lambda: barrier.wait(PATIENCE))
    barrier.wait(PATIENCE)
    assert wait_until(lambda: count() - before == module.SPARE_THREADS)
    done = threading.Event()
    threads.do(done.set)
    assert done.wait(PATIENCE)


def test_a_system_without_threads_lets_jobs_wait(
    made: list[Threads], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, first, second = Threads(), threading.Event(), threading.Event()
    made.append(threads)
    gate = threading.Event()
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def start_one(thread: threading.Thread) -> None:
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_one)
    threads.do(lambda: (first.set(), gate.wait(PATIENCE)))
    threads.do(second.set)
    assert first.wait(PATIENCE)
    assert not second.is_set()
    assert threads.is_short
    monkeypatch.undo()
    threads.try_again()
    assert second.wait(PATIENCE)
    assert not threads.is_short
    gate.set()


def test_a_job_cannot_wait_for_itself(made: list[Threads]) -> None:
    threads, outcome = Threads(), []

    def job() -> None:
        try:
            threads.join(PATIENCE)
        except RuntimeError as error:
            outcome.append(str(error))

    threads.do(job)
    threads.stop()
    assert threads.join(PATIENCE)
    assert outcome == ["cannot join current thread"]


@pytest.mark.parametrize("raising", [False, True])
def test_what_a_job_raises_ends_nothing(
    raising: bool, made: list[Threads], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where a program's threading.excepthook raises too."""
    told: list[str] = []

    def hook(args: threading.ExceptHookArgs) -> None:
        told.append(repr(args.exc_value))
        if raising:
            raise ValueError("in the hook")

    monkeypatch.setattr(threading, "excepthook", hook)
    monkeypatch.setattr(sys, "excepthook", lambda kind, value, traceback: told.append(repr(value)))
    threads, done = Threads(), threading.Event()

    def leave() -> None:
        raise SystemExit(7)

    threads.do(leave)
    threads.do(done.set)
    assert done.wait(PATIENCE)
    threads.stop()
    assert threads.join(PATIENCE)
    assert told == ["SystemExit(7)"] + ["ValueError('in the hook')"] * raising


def test_the_first_thread_there_must_be(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    threads = Threads()
    with pytest.raises(RuntimeError):
        threads.do(lambda: None)
    threads.stop()
    assert threads.join(0)
