"""Threads that do jobs: started when there is more to do than threads, gone when there is not for a while.

To start one takes time, more so where others keep the GIL. So who gives a job does not wait for that: one
thread more than there are jobs is kept, and a thread that takes a job sees to the next.

Knows no loop and no connection; serving.leader calls it. Every thread is a daemon for Python, which could
not end otherwise while they wait for work; who has to wait for jobs under way calls join().
"""

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import TypeAlias

from fastserve.limits import SPARE_THREADS, THREAD_IDLE

Job: TypeAlias = Callable[[], object]


class Threads:
    """At most ``most`` threads, without a bound where it is None. Jobs that find none free wait for one."""

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._changed = threading.Condition()  # holds what is counted
        self._all = 0
        self._free = 0  # threads that wait for a job; below zero: jobs that wait for a thread
        self._stopped = False

    def do(self, job: Job) -> None:
        """Have ``job`` called in a thread, after those that wait already.

        Raises RuntimeError where the system has no thread left for the first one.
        """
        with self._changed:
            self._free -= 1
            first = not self._all and self._count()
        self._jobs.put(job)
        if first:
            self._start()

    def stop(self) -> None:
        """Let every thread end when there are no more jobs. None may be given from now on."""
        with self._changed:
            self._stopped = True
            for _ in range(self._all):
                self._jobs.put(None)

    def join(self, timeout: float | None = None) -> bool:
        """After stop(): wait until all threads have ended, ``timeout`` seconds at most. Returns whether."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._all, timeout)

    def _start(self) -> None:
        """Start a thread that has been counted."""
        try:
            threading.Thread(target=self._work, daemon=True).start()
        except RuntimeError:
            self._count_off()
            raise

    def _work(self) -> None:
        while (job := self._next()) is not None:
            if self._counts_another():
                with contextlib.suppress(RuntimeError):  # the system has no more: jobs wait for those it has
                    self._start()
            job()
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
                    self._count_off()
                return None
            if job is None:
                self._count_off()
            return job

    def _counts_another(self) -> bool:
        with self._changed:
            room = self._most is None or self._all < self._most
            return room and self._free < SPARE_THREADS and not self._stopped and self._count()

    def _count(self) -> bool:
        self._all += 1
        self._free += 1
        return True

    def _count_off(self) -> None:
        with self._changed:
            self._all -= 1
            self._free -= 1
            self._changed.notify_all()
