"""Threads that do jobs: started when there is more to do than threads, gone when there is not for a while.

To start one takes time, more so where others keep the GIL. So who gives a job does not wait for that: one
thread more than there are jobs is kept, and a thread that takes a job sees to the next.

Knows no loop and no connection; serving.leader calls it. Every thread is a daemon for Python, which could
not end otherwise while they wait for work; who has to wait for jobs under way calls join().
"""

import contextlib
import queue
import sys
import threading
from collections.abc import Callable
from typing import TypeAlias

from fastserve.limits import SPARE_THREADS, THREAD_IDLE

Job: TypeAlias = Callable[[], object]


def tell() -> None:
    """Say of the exception that is being handled what Python says of one that ends a thread."""
    kind, value, traceback = sys.exc_info()
    assert kind is not None
    try:
        threading.excepthook(threading.ExceptHookArgs((kind, value, traceback, threading.current_thread())))
    except BaseException:  # a program's own hook
        with contextlib.suppress(BaseException):
            sys.excepthook(*sys.exc_info())


class Threads:
    """As many as there are jobs, or as the system has; more jobs wait."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._changed = threading.Condition()  # holds what follows
        self._members: set[threading.Thread] = set()
        self._free = 0  # threads that wait for a job; below zero: jobs that wait for a thread
        self._stopped = False
        self.is_short = False  # the system has refused a thread that is wanted

    def do(self, job: Job) -> None:
        """Have ``job`` called in a thread, after those that wait already.

        Raises RuntimeError where the system has no thread for the first one.
        """
        with self._changed:
            self._free -= 1
            first = None if self._members else self._new()
        self._jobs.put(job)
        if first is not None:
            self._start(first)

    def try_again(self) -> None:
        """Start the thread that the system has refused, if one is still wanted."""
        self.is_short = False
        thread = self._wanted()
        if thread is not None:
            try:
                self._start(thread)
            except RuntimeError:
                self.is_short = True

    def stop(self) -> None:
        """Let every thread end when there are no more jobs. None may be given from now on."""
        with self._changed:
            self._stopped = True
            for _ in self._members:
                self._jobs.put(None)

    def join(self, timeout: float | None = None) -> bool:
        """After stop(): wait until all threads have ended, ``timeout`` seconds at most. Returns whether.

        Raises RuntimeError in one of them.
        """
        with self._changed:
            if threading.current_thread() in self._members:
                raise RuntimeError("cannot join current thread")
            return self._changed.wait_for(lambda: not self._members, timeout)

    def _new(self) -> threading.Thread:
        thread = threading.Thread(target=self._work, daemon=True)
        self._members.add(thread)
        self._free += 1
        return thread

    def _wanted(self) -> threading.Thread | None:
        """A thread that is to be started, as there is none to spare."""
        with self._changed:
            return self._new() if self._free < SPARE_THREADS and not self._stopped else None

    def _start(self, thread: threading.Thread) -> None:
        try:
            thread.start()
        except RuntimeError:
            self._count_off(thread)
            raise

    def _work(self) -> None:
        while (job := self._next()) is not None:
            self.try_again()
            try:
                job()
            except BaseException:
                tell()
            del job
            with self._changed:
                self._free += 1

    def _next(self) -> Job | None:
        """Wait for a job. None: this thread is not counted any more, and ends."""
        while True:
            try:
                job = self._jobs.get(timeout=THREAD_IDLE)
            except queue.Empty:
                with self._changed:
                    if self._free <= SPARE_THREADS:
                        continue
                    self._count_off(threading.current_thread())
                return None
            if job is None:
                self._count_off(threading.current_thread())
            return job

    def _count_off(self, thread: threading.Thread) -> None:
        with self._changed:
            self._members.discard(thread)
            self._free -= 1
            self._changed.notify_all()
