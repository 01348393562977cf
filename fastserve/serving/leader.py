"""The moving loop: a handler that waits keeps its thread, and the loop goes on in another one.

To hand every request to a thread costs more than to answer it. So the thread that runs the loop, the
leader, runs handlers too. The thread that called serve_forever() watches it: where a handler keeps the
leader for longer than a few milliseconds, a reserve takes over the selector and everything that is the
loop's (serving.loop), and becomes the leader. The old one finishes its handler, hands the connection back
and is free. What is known to wait (serving.experience) is given to a thread of its own at once.

A connection is in one of two hands. While it is the loop's, the leader alone touches it. While it is away,
a thread runs its handler and the loop neither reads it nor has a deadline for it; it comes back through a
queue.

At most ``max_threads`` handlers run at a time, where a server class sets that; the requests beyond wait
their turn, in order, and the loop goes on with all that needs no handler.

When the loop ends, handlers go on, as socketserver's threads do: their answers leave, and their connections
end behind them. join() waits for them.

Knows what serving.loop knows; fastserve.server makes it for a threading server.
"""

import atexit
import contextlib
import functools
import math
import os
import socketserver
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar

from fastserve._conn import END, WAIT, Connection
from fastserve._files import Recordings
from fastserve._lane import consents, replay
from fastserve._lead import Lead
from fastserve._offers import withdraw
from fastserve._tally import Tally
from fastserve.overrides import gives_threads
from fastserve.serving.experience import Experience
from fastserve.serving.loop import PLAIN_ACCEPT, Loop
from fastserve.serving.threads import Threads, tell

# What is learned about the making of a handler, which comes before there is a request.
MAKING: Final = "finish_request"

# A part of a connection's way that runs a handler's code, and the part behind it. True: it is the last.
Work: TypeAlias = Callable[[Connection], bool]
GoOn: TypeAlias = Callable[[Connection, bool], int]

Item = TypeVar("Item")


# Those whose handlers Python waits for at its end, as it does for threads that are no daemons.
waited_for: "weakref.WeakSet[Leader]" = weakref.WeakSet()
if hasattr(os, "register_at_fork"):  # a child has none of their threads: it would wait for ever
    os.register_at_fork(after_in_child=waited_for.clear)


@atexit.register
def wait_for_handlers() -> None:
    """Stop these loops, and let their handlers end."""
    for leader in tuple(waited_for):
        leader.stop()
        leader.join()


def most_threads(server: Any) -> float:
    """Return how many handlers may run at a time. Raises ValueError where that is less than one."""
    most = getattr(server, "max_threads", None)
    if most is None:
        return math.inf
    if most < 1:
        raise ValueError(f"max_threads is {most}, and must be at least 1")
    return float(most)


def pop(queue: deque[Item]) -> Item | None:
    """Take what is first, None where nothing is. Several threads may do so."""
    try:
        return queue.popleft()
    except IndexError:
        return None


class Deposed(BaseException):
    """Another thread leads now: whoever sees this touches nothing of the loop's any more."""


class Leader(Loop):
    """Serves the connections of ``server`` as Loop does, in threads of its own."""

    __slots__ = (
        "_attaches", "_away", "_ended", "_experience", "_failure", "_lead", "_most", "_returned",
        "_threads", "_waiting", "_work",
    )

    def __init__(
        self,
        server: socketserver.TCPServer,
        own_accept: Any = PLAIN_ACCEPT,
        recordings: Recordings | None = None,
        tally: Tally | None = None,
    ) -> None:
        self._most = most_threads(server)
        super().__init__(server, own_accept, recordings, tally)
        self._lead = Lead()
        self._experience = Experience()
        self._threads = Threads()
        self._away: set[Connection] = set()
        self._waiting: deque[tuple[Connection, Work, GoOn]] = deque()  # away, and as yet without a thread
        self._returned: deque[tuple[Connection, GoOn, bool]] = deque()
        self._work: Work | None = None  # what was begun last, None where that is a request
        self._attaches = False  # whether the handler that was made last is driven
        self._driver.move(self._lead, self._experience, self._away, self._most)
        self._failure: BaseException | None = None
        self._ended = False

    # -- Any thread ------------------------------------------------------------------------------

    def stop(self) -> None:
        """Make run() return soon; it does not wait for handlers."""
        super().stop()
        self._lead.wake_watcher()

    def is_mine(self) -> bool:
        """Whether the calling thread is the loop's, and not in a handler."""
        return threading.get_ident() == self._thread or self._lead.leads()

    def join(self, timeout: float | None = None) -> bool:
        return self._threads.join(timeout)

    # -- The thread that called serve_forever() ----------------------------------------------------

    def _serve(self, poll_interval: float) -> None:
        if not getattr(self._server, "daemon_threads", False):
            waited_for.add(self)
        try:
            self._threads.do(functools.partial(self._follow, poll_interval))
            self._lead.wake_reserve()
            while not self._stopping:
                self._lead.watch()
        finally:
            self.stop()
            self._take_the_lead()
        if self._failure is not None:
            raise self._failure
        self._finish()

    def _take_the_lead(self) -> None:
        """Also where Ctrl-C is pressed again: nothing can be taken apart under another thread's hands."""
        interruption: BaseException | None = None
        self._lead.want()
        while True:
            try:
                while not (self._lead.leads() or self._lead.adopt()):
                    self._lead.watch()
                break
            except BaseException as error:
                interruption = error
        self._adopt_all()
        if interruption is not None:
            raise interruption

    def _shut(self) -> None:
        for conn in self._away:
            self._forget(conn)
        super()._shut()
        self._ended = True
        for _ in range(len(self._returned)):  # a thread each, as it may have to wait for a client
            self._threads.do(self._end_returned)
        self._threads.stop()
        self._lead.wake_reserve()

    # -- The reserve, who becomes the leader -------------------------------------------------------

    def _follow(self, poll_interval: float) -> None:
        """Wait for the lead, and lead until another thread does."""
        while not self._ended:
            self._lead.follow()
            if not self._stopping and self._lead.adopt():
                self._threads.do(functools.partial(self._follow, poll_interval))
                with contextlib.suppress(Deposed):
                    self._lead_on(poll_interval)
                return

    def _lead_on(self, poll_interval: float) -> None:
        try:
            self._adopt_all()
            while not (self._stopping or self._is_asked_to_stop()):
                self._turn(poll_interval)
        except Deposed:
            raise
        except BaseException as error:
            self._failure = error
        self._stopping = True
        self._lead.release()

    def _adopt_all(self) -> None:
        """What the last leader left: the connection whose handler it still runs, and what it had begun."""
        conn = self._lead.taken()
        if conn is not None:
            self._learn(conn)
            self._send_off(conn)
        while self._due:  # some may be busy again by now
            self._timers.watch(self._due.popleft())
        self._welcome_back()

    def _learn(self, conn: Connection) -> None:
        """The last leader was late, and with what."""
        key = conn.asked() if self._work is None else MAKING if self._work == self._make else ""
        if key:
            self._experience.was_late(key, time.monotonic())

    # -- The leader ------------------------------------------------------------------------------

    def _wake(self) -> None:
        super()._wake()
        self._welcome_back()

    def _turn(self, poll_interval: float) -> None:
        if self._threads.is_short:
            self._threads.try_again()
        super()._turn(poll_interval)

    def _answer(self, conn: Connection) -> int:
        if conn.is_recorded:
            return self._consented(conn, self._inline(conn, self._consent, self._consented))
        return self._answer_anew(conn)

    def _consent(self, conn: Connection) -> bool:
        """A hook of the log may run here. What it raises is the end of the connection."""
        consents(conn)
        return False

    def _consented(self, conn: Connection, close: bool) -> int:
        if close:
            return END
        return replay(conn, self._now) if conn.is_recorded else self._answer_anew(conn)

    def _answer_anew(self, conn: Connection) -> int:
        asked = conn.asked() if self._experience.suspects else ""
        if len(self._away) >= self._most or (asked and self._experience.waits(asked, self._now)):
            return self._give_a_thread(conn, self._run, self._answered)
        close = self._inline(conn, self._run, self._answered)
        if asked:
            self._experience.was_prompt(asked)
        return conn.answered(close, self._now)

    def _is_busy(self) -> bool:
        return bool(self._away) or super()._is_busy()

    def _makes_handlers(self) -> bool:
        return gives_threads(self._server)

    def _offer(self, conn: Connection) -> int:
        if not self._makes_handlers():
            return super()._offer(conn)
        known = bool(self._experience.suspects)
        full = len(self._away) >= self._most and not self._attaches
        if full or (known and self._experience.waits(MAKING, self._now)):
            return self._give_a_thread(conn, self._make, self._made)
        close = self._inline(conn, self._make, self._made)
        if known:
            self._experience.was_prompt(MAKING)
        return self._made(conn, close)

    def _inline(self, conn: Connection, work: Work, go_on: GoOn) -> bool:
        """Run a handler's code here; where that costs the lead, the connection goes on in other hands."""
        self._work = None if work == self._run else work
        self._lead.enter(conn)
        try:
            result = work(conn)
        except BaseException:
            result = self._failed(conn)
        if self._lead.leave():
            return result
        self._hand_back(conn, go_on, result)
        raise Deposed

    def _depose(self, conn: Connection, close: bool) -> None:
        """A handler has answered, and another thread leads by now."""
        self._hand_back(conn, self._answered, close)
        raise Deposed

    def _give_a_thread(self, conn: Connection, work: Work, go_on: GoOn) -> int:
        self._send_off(conn)
        self._waiting.append((conn, work, go_on))
        self._start_waiting()
        return WAIT

    def _start_waiting(self) -> None:
        """Those who wait for a thread, while there may be one more."""
        while self._waiting and len(self._away) - len(self._waiting) < self._most:
            conn, work, go_on = self._waiting.popleft()
            self._threads.do(functools.partial(self._work_away, conn, work, go_on))

    def _work_away(self, conn: Connection, work: Work, go_on: GoOn) -> None:
        self._hand_back(conn, go_on, self._done(conn, work))

    def _held(self) -> int:
        return super()._held() + len(self._away)

    def _send_off(self, conn: Connection) -> None:
        """From here on the connection is a thread's, but for what has been written already."""
        self._forget(conn)
        self._away.add(conn)
        if conn.depart():
            with contextlib.suppress(OSError, ValueError):  # somebody has closed the socket
                self._settle(conn)

    def _finish_handler(self, conn: Connection) -> None:
        if self._ended:
            self._done(conn, self._end_handler)
        else:
            self._inline(conn, self._end_handler, self._finished)

    # -- How a connection that was away goes on ----------------------------------------------------

    def _hand_back(self, conn: Connection, go_on: GoOn, close: bool) -> None:
        self._returned.append((conn, go_on, close))
        if self._ended:
            self._end_returned()
        else:
            self._wake_up()

    def _welcome_back(self) -> None:
        """Not those who come meanwhile: they have their own wake-up, and others have their turn before."""
        for _ in range(len(self._returned)):
            conn, go_on, close = self._returned.popleft()
            self._come_back(conn)
            self._start_waiting()
            self._act(conn, self._go_on(conn, go_on, close or self._stopping))

    def _come_back(self, conn: Connection) -> None:
        self._away.discard(conn)
        self._connections.add(conn)
        conn.come_back()

    def _go_on(self, conn: Connection, go_on: GoOn, close: bool) -> int:
        try:
            return go_on(conn, close)
        except Exception:
            self._report(conn)
            return END

    def _end_returned(self) -> None:
        """Once the loop has ended: end one that has come back, and then, in its place, those who wait."""
        returned = pop(self._returned)
        if returned is None:
            return
        self._end_alone(returned[0], returned[1])
        while (waiting := pop(self._waiting)) is not None:
            conn, work, go_on = waiting
            self._done(conn, work)
            self._end_alone(conn, go_on)

    def _end_alone(self, conn: Connection, go_on: GoOn) -> None:
        """Wait until the answer has left, and close."""
        self._come_back(conn)
        self._go_on(conn, go_on, True)
        with contextlib.suppress(OSError):
            conn.finish_sending()
        self._act(conn, END)

    def _answered(self, conn: Connection, close: bool) -> int:
        return conn.answered(close, self._now)

    def _made(self, conn: Connection, close: bool) -> int:
        self._attaches = not close
        return super()._made(conn, close)

    def _finished(self, conn: Connection, close: bool) -> int:
        return END

    # -- A handler's code, in any thread -----------------------------------------------------------

    def _done(self, conn: Connection, work: Work) -> bool:
        """Run it away from the loop. What ends a thread elsewhere ends here a connection."""
        try:
            return work(conn)
        except BaseException:
            return self._failed(conn)

    def _failed(self, conn: Connection) -> bool:
        withdraw(conn)  # where it was a handler's making that failed
        tell()
        return True

    def _end_handler(self, conn: Connection) -> bool:
        super()._finish_handler(conn)
        return True

    def _tell(self, sock: Any, address: Any) -> None:
        try:
            self._server.handle_error(sock, address)
        except Exception:
            tell()
