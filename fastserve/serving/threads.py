"""Threads that do jobs: started when there is more to do than threads, gone when there is not for a while.

Knows no loop and no connection; serving.leader calls it. Every thread is a daemon for Python, which could
not end otherwise while they wait for work; who has to wait for jobs under way calls join().
"""

import queue
import threading
from collections.abc import Callable
from typing import TypeAlias

from fastserve.limits import THREAD_IDLE

Job: TypeAlias = Callable[[], object]


class Threads:
    """At most ``most`` threads, without a bound where it is None. Jobs that find none free wait for one."""

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._changed = threading.Condition()  # holds what is counted
        self._all = 0
        self._free = 0  # threads that wait for a job; below zero: jobs that wait for a thread

    def do(self, job: Job) -> None:
        """Have ``job`` called in a thread, after those that wait already."""
        with self._changed:
            self._free -= 1
            more = self._free < 0 and (self._most is None or self._all < self._most)
            if more:
                self._free += 1
                self._all += 1
        self._jobs.put(job)
        if more:
            self._start()

    def stop(self) -> None:
        """Let every thread end when there are no more jobs. None may be given from now on."""
        with self._changed:
            for _ in range(self._all):
                self._jobs.put(None)

    def join(self, timeout: float | None = None) -> bool:
        """After stop(): wait until all threads have ended, ``timeout`` seconds at most. Returns whether."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._all, timeout)

    def _start(self) -> None:
        try:
            threading.Thread(target=self._work, daemon=True).start()
        except RuntimeError:  # the system has no more: the job waits for those there are
            with self._changed:
                self._free -= 1
                self._all -= 1
                if not self._all:
                    raise

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=THREAD_IDLE)
            except queue.Empty:
                if self._is_spare():
                    return
                continue
            if job is None:
                self._end()
                return
            job()
            job = None
            with self._changed:
                self._free += 1

    def _is_spare(self) -> bool:
        """Whether no job is on its way to this thread; it is not counted any more then."""
        with self._changed:
            if self._free <= 0:
                return False
            self._free -= 1
            self._end()
            return True

    def _end(self) -> None:
        with self._changed:
            self._all -= 1
            self._changed.notify_all()
