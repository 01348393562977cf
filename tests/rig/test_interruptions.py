"""Signals that end a measurement: a KeyboardInterrupt, later where it would lose something."""

import os
import signal
import threading

import pytest

from fastserve.rig.measure.interruptions import SIGNALS, Interruptions


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_a_keyboard_interrupt(number: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), Interruptions().listening():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) == before


def test_what_comes_while_it_is_held_comes_at_the_end_of_that() -> None:
    interruptions, steps = Interruptions(), []

    def work() -> None:
        with interruptions.held(), interruptions.held():
            os.kill(os.getpid(), signal.SIGTERM)
            steps.append("held")
        steps.append("not reached")

    with pytest.raises(KeyboardInterrupt), interruptions.listening():
        work()
    assert steps == ["held"]
    with interruptions.held():
        pass  # and it comes once


def test_what_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruptions().listening():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_have_no_signals_to_listen_for() -> None:
    before, during = signal.getsignal(signal.SIGINT), []

    def listen() -> None:
        with Interruptions().listening():
            during.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join(10)
    assert during == [before]
