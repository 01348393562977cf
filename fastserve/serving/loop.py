"""The loop: one thread, one selector, all connections of one server.

It accepts in batches, asks each connection what is to be done when its socket is ready or its deadline
has passed, and does it: make a handler, let it answer, close. It never waits but in the selector. What
a handler class overrides decides how its connections travel:

  driven  the handler attached itself to the connection: handle_one_request() is called each time a
          whole request head is here, so no slow client is ever waited for. One that replaces its rfile
          is as the next from then on
  own     the handler ran its own handle() on the blocking socket and is done when it returns
  given   the server class overrides process_request (a thread or a process a connection, a pool):
          it gets the socket as soon as that is readable, not an octet read, and keeps it

It ends in one of two ways. stop() lets the answers that are leaving leave, and ends all else. drain()
loses no request: whom the kernel has told to be connected is accepted, what has been asked for is answered,
and every connection ends behind an answer that says so.

Knows socketserver's server methods, which it calls by name so that every override counts, and no
handler class. fastserve.server makes it and calls run() in one thread; stop() and drain() may come from any.
"""

import contextlib
import errno
import math
import selectors
import socket
import socketserver
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from fastserve import limits
from fastserve._conn import ANSWER, END, OFFER, SETTLE, WAIT, Connection
from fastserve._deadlines import Ending, of_server
from fastserve._files import Recordings
from fastserve._lane import Lane, consents, replay
from fastserve._offers import offer, withdraw
from fastserve._poller import Poller
from fastserve._tally import Tally
from fastserve._timers import Timers
from fastserve.overrides import is_own
from fastserve.serving import tls
from fastserve.serving._driver import Driver
from fastserve.serving.answers import Health, Spared, no_room
from fastserve.serving.bound import Bound

# accept() failed for want of something that a closing connection gives back.
EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

# Whether an accepted socket is as non-blocking as its listener, and does not know it (the BSDs, macOS).
INHERITS_MODE: Final = not sys.platform.startswith("linux")

# Compared with what a server has when a connection comes, so that a patch counts on any class, at any time.
PLAIN_PROCESS: Final = socketserver.BaseServer.process_request
PLAIN_ACCEPT: Final = socketserver.TCPServer.get_request
PLAIN_VERIFY: Final = socketserver.BaseServer.verify_request
PLAIN_SERVICE: Final = socketserver.BaseServer.service_actions
PLAIN_ENDS: Final = (
    ("shutdown_request", socketserver.TCPServer.shutdown_request),
    ("close_request", socketserver.TCPServer.close_request),
)


def _spared(server: socketserver.TCPServer, tally: Tally | None) -> tuple[Spared, ...]:
    """What is answered without a handler. Raises ValueError where a path is not right, or is given twice."""
    health, metrics = getattr(server, "health_path", None), getattr(server, "metrics_path", None)
    found: list[Spared] = []
    if health is not None:
        found.append(Health(health, server.RequestHandlerClass))
    if metrics is not None and tally is not None:
        from fastserve.serving.metrics import Metrics  # for those who ask

        if metrics == health:
            raise ValueError(f"health_path and metrics_path are the same: {health}")
        found.append(Metrics(metrics, server.RequestHandlerClass, tally))
    return tuple(found)


class Loop:
    """Serves the connections of ``server`` (a bound and listening socketserver.TCPServer).

    ``own_accept`` is the get_request() that waits for nothing but a connection. Any other may, so that it is
    called once a turn. ``recordings`` are the answers that need no handler, None where each needs one;
    ``tally`` counts what is done, None where nobody asks.
    """

    # With the moving loop's there are more than CPython looks up fast in a dict of an instance.
    __slots__ = (
        "__weakref__", "_accepting", "_again", "_bound", "_connections", "_deadlines",
        "_driver", "_due", "_end", "_ending", "_lane", "_listener", "_listening", "_now",
        "_own_accept", "_poller", "_ready", "_recordings", "_resume", "_server", "_single", "_spared",
        "_speak", "_stopping", "_tally", "_telling", "_thread", "_timers", "_tuned", "_waker",
        "_welcoming", "_woken",
    )

    def __init__(
        self,
        server: socketserver.TCPServer,
        own_accept: Any = PLAIN_ACCEPT,
        recordings: Recordings | None = None,
        tally: Tally | None = None,
    ) -> None:
        most = getattr(server, "max_connections", None)
        self._tally = tally
        self._spared = _spared(server, tally)
        self._bound = None if most is None else Bound(most)
        self._server = server
        self._listener: socket.socket = server.socket
        self._listening = -1  # its descriptor
        self._welcoming: Any = None  # its target
        self._own_accept = own_accept
        self._deadlines = of_server(getattr(server, "timeouts", None))
        self._poller = Poller()
        self._waker, self._woken = socket.socketpair()
        self._timers = Timers()
        self._connections: set[Connection] = set()
        self._again: deque[Connection] = deque()  # has more pipelined requests than one turn answers
        self._due: deque[Connection] = deque()  # the deadline has passed
        self._resume = 0.0  # when accepting goes on; 0 while it does
        self._speak = 0.0  # when a pause may be told of again
        self._stopping = False
        self._ending = Ending()  # begun by drain(), and seen by every connection from then on
        self._recordings = recordings
        self._lane = Lane(
            self._poller, self._timers, self._connections, self._ending, self._deadlines, recordings,
            tally)
        self._ready: deque[Any] = deque()  # targets that the poller has told of
        self._driver = Driver(self, self._lane, self._ready, bool(self._spared))
        self._single = True  # whether to come back after each turn of the lane
        self._tuned = 0.0  # when that was looked at
        self._accepting = True  # until drain() has emptied the backlog
        self._end = math.inf  # by when run() returns
        self._telling = False  # handle_error() was called and has not returned
        self._thread = threading.get_ident()
        self._now = 0.0

    # -- Any thread ------------------------------------------------------------------------------

    def stop(self) -> None:
        """Make run() return soon."""
        self._stopping = True
        self._wake_up()

    def drain(self, grace: float) -> None:
        """Make run() return once every request that has come is answered, and within ``grace`` seconds.

        A signal handler may call it. Of several calls the earliest end counts.
        """
        self._end = min(self._end, time.monotonic() + grace)
        self._ending.begun = True
        self._wake_up()

    def _wake_up(self) -> None:
        with contextlib.suppress(OSError):  # run() has returned, or its waker is full of wake-ups
            self._waker.send(b"\0")

    def is_mine(self) -> bool:
        """Whether the calling thread is the loop's."""
        return self._thread == threading.get_ident()

    def join(self, timeout: float | None = None) -> bool:
        """After run(): wait for handlers, ``timeout`` seconds at most. Returns whether none is left."""
        return True

    # -- The loop's thread -----------------------------------------------------------------------

    def run(self, poll_interval: float) -> None:
        """Serve until stop() or drain().

        ``poll_interval`` is how often, in seconds, service_actions is called.
        """
        if self._is_asked_to_stop():  # before it began, and the listener may be closed already
            self._shut()
            return
        timeout = self._listener.gettimeout()
        try:
            self._listener.setblocking(False)
            tls.defer_handshakes(self._listener)
            self._waker.setblocking(False)
            self._woken.setblocking(False)
            self._poller.register(self._woken.fileno(), selectors.EVENT_READ, self._wake)
            self._welcoming = self._accept
            self._listening = self._listener.fileno()
            self._poller.register(self._listening, selectors.EVENT_READ, self._welcoming)
            self._serve(poll_interval)
        finally:
            self._shut()
            with contextlib.suppress(OSError):  # closed before or while we ran
                self._listener.settimeout(timeout)

    def _serve(self, poll_interval: float) -> None:
        while not (self._stopping or self._is_asked_to_stop()):
            self._turn(poll_interval)
        self._finish()

    def _is_asked_to_stop(self) -> bool:
        """By socketserver's private flag, which old programs set to stop a server without waiting.

        Or by drain(), once that is done.
        """
        return bool(
            getattr(self._server, "_BaseServer__shutdown_request", False)
            or (self._ending.begun and self._is_drained())
        )

    def _turn(self, poll_interval: float) -> None:
        if self._now >= self._tuned:
            self._tune_lane()
        self._driver.turn(self._patience(poll_interval), self._single, time.monotonic)
        now = self._now
        for _ in range(len(self._again)):
            conn = self._again.popleft()
            if conn.handler is not None:  # not closed meanwhile
                self._act(conn, ANSWER)
        self._due.extend(self._timers.due(now))
        while self._due:
            conn = self._due.popleft()
            self._act(conn, conn.expire(now))
        if self._resume and now >= self._resume:
            self._go_on_accepting()
        self._server.service_actions()

    def _patience(self, poll_interval: float) -> float:
        """How long the selector may wait, in seconds.

        Never longer than ``poll_interval``: also because a signal that comes just before select() does not
        end it.
        """
        if self._again or self._due or self._ready:
            return 0
        now = time.monotonic()
        latest = now + poll_interval
        return max(min(latest, self._timers.next_tick, self._resume or latest, self._end) - now, 0)

    def _tune_lane(self) -> None:
        """What the lane may do by itself, as long as the server has no other way of doing it."""
        server = self._server
        self._tuned = self._now + limits.TICK
        self._single = not is_own(server.service_actions, PLAIN_SERVICE)
        self._lane.close_plainly(
            self._bound is None and all(is_own(getattr(server, name, None), own) for name, own in PLAIN_ENDS))
        accepts = (
            self._recordings is not None
            and self._accepting
            and self._bound is None
            and type(self._listener) is socket.socket
            and self._listener.family in (socket.AF_INET, socket.AF_INET6)
            and self._accepts_plainly()
            and is_own(server.verify_request, PLAIN_VERIFY)
        )
        if accepts:
            self._lane.accept_from(self._welcoming, self._listening, self._patience_of_handlers())
        else:
            self._lane.accept_from(None, -1, 0)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(4096)
        if self._ending.begun and self._accepting and not self._resume:
            self._begin_to_drain()

    # -- Accepting -------------------------------------------------------------------------------

    def _accept(self) -> None:
        if not self._accepting:  # any more, since the selector told of a client
            return
        for _ in range(limits.ACCEPT_BATCH if self._accepts_plainly() else 1):
            try:
                sock, address = self._server.get_request()
            except OSError as error:
                if error.errno in EXHAUSTED:
                    self._pause_accepting(error)
                else:
                    tls.tell(error)  # where an override makes the handshake; whose it was nobody knows
                return
            if INHERITS_MODE:
                sock.settimeout(sock.gettimeout())
            self._welcome(sock, address)

    def _accepts_plainly(self) -> bool:
        """Whether get_request() is the library's own, and what that calls too: no class has another."""
        server, plain = self._server, (None, self._own_accept, PLAIN_ACCEPT)
        return is_own(server.get_request, self._own_accept) and all(
            vars(kind).get("get_request") in plain for kind in type(server).__mro__
        )

    def _welcome(self, sock: Any, address: Any) -> None:
        try:
            welcome = self._server.verify_request(sock, address)
        except Exception:
            self._tell(sock, address)
            welcome = False
        if not welcome:
            self._server.shutdown_request(sock)
            return
        handshaking, patience = tls.awaits_handshake(sock), self._patience_of_handlers()
        conn = Connection(
            sock, address, self._now, handshaking, patience, self._ending, self._deadlines,
            self._recordings, self._tally)
        if self._bound is None or not self._bound.is_reached(self._held(), self._now):
            self._take_in(conn)
            return
        idle = self._bound.longest_idle(self._connections, self._now)
        if idle is None:
            self._turn_away(conn, self._bound)
        else:
            self._take_in(conn)
            self._act(idle, END)  # the last thing to do: a handler's code runs

    def _held(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    def _take_in(self, conn: Connection) -> None:
        self._connections.add(conn)
        self._settle(conn)

    def _turn_away(self, conn: Connection, bound: Bound) -> None:
        if self._tally is not None:
            self._tally.turn_away()
        if not bound.may_tell():
            self._act(conn, END)
            return
        self._connections.add(conn)
        bound.tell(conn)
        self._act(conn, conn.turn_away(no_room(self._server.RequestHandlerClass), self._now))

    def _patience_of_handlers(self) -> float:
        """The ``timeout`` that handlers will set, in seconds, 0 for none: it holds from the start."""
        kind = self._server.RequestHandlerClass
        timeout = getattr(getattr(kind, "func", kind), "timeout", None)
        # A property or a mock tells no more than its instance will.
        return timeout if isinstance(timeout, (int, float)) and timeout > 0 else 0

    def _pause_accepting(self, error: OSError) -> None:
        """Out of descriptors: the clients wait in the backlog until a connection closes. It is said once."""
        if self._now >= self._speak and sys.stderr is not None:
            sys.stderr.write(f"fastserve: accepting pauses: {error.strerror}\n")
        self._speak = self._now + limits.COMPLAINT_REPEAT
        self._poller.unregister(self._listening)
        self._resume = self._now + limits.ACCEPT_PAUSE

    def _go_on_accepting(self) -> None:
        self._resume = 0.0
        self._poller.register(self._listening, selectors.EVENT_READ, self._welcoming)
        if self._ending.begun:
            self._accept_the_rest()

    def _accept_the_rest(self) -> None:
        """All that the kernel has, for it has told these clients that they are connected, and no more.

        The listener stays open unless the server closes it: others may share it, and whoever comes later
        waits for the next to accept.
        """
        if self._listener.fileno() >= 0:  # else closed while we serve
            with selectors.PollSelector() as queue:  # it needs no descriptor: there may be none left
                queue.register(self._listener, selectors.EVENT_READ)
                while not self._resume and time.monotonic() < self._end and queue.select(0):
                    self._accept()
        if not self._resume:
            self._accepting = False
            self._poller.unregister(self._listening)
            self._server._fastserve_accepts_no_more()  # type: ignore[attr-defined]

    # -- One connection --------------------------------------------------------------------------

    def _attend(self, conn: Connection) -> None:
        """The socket of a connection is ready."""
        try:
            action = conn.ready(self._now)
        except Exception:
            self._report(conn)
            action = END
        if action:
            self._act(conn, action)

    def _act(self, conn: Connection, action: int) -> None:
        """Do what is to be done until the connection waits. Whatever goes wrong ends this one alone."""
        requests = limits.PIPELINE_BATCH
        try:
            while action:
                if action == ANSWER:
                    if not requests:
                        self._go_on_later(conn, action)
                        return
                    requests -= 1
                    action = self._spare(conn, self._answer) if self._spared else self._answer(conn)
                elif action == SETTLE:
                    self._settle(conn)
                    return
                elif action == OFFER:
                    action = self._spare(conn, self._offer) if self._spared else self._offer(conn)
                else:
                    self._close(conn)
                    return
        except Exception:
            self._break_off(conn)

    def _go_on_later(self, conn: Connection, action: int) -> None:
        """One that has sent many requests has had its turn."""
        if action == ANSWER:
            self._again.append(conn)
        else:
            self._act(conn, action)

    def _break_off(self, conn: Connection) -> None:
        """Of an exception that is being handled."""
        if self._telling:
            raise  # noqa: PLE0704  (it goes on to whoever serves)
        self._report(conn)
        self._drop(conn)
        conn.sock.close()

    def _settle(self, conn: Connection) -> None:
        """Tell the selector and the timers what the connection waits for."""
        other = None
        if conn.interest != conn.registered:
            if not conn.interest:
                self._poller.unregister(conn.fd)
            elif conn.registered:
                self._poller.modify(conn.fd, conn.interest)
            else:
                other = self._register(conn)
            conn.registered = conn.interest
        self._timers.watch(conn)
        if other is not None:
            self._act(other, END)  # the last thing to do: a handler's code runs

    def _register(self, conn: Connection) -> Connection | None:
        """Returns another connection whose socket a handler closed, and whose descriptor this one has now."""
        try:
            self._poller.register(conn.fd, conn.interest, conn)
        except KeyError:
            other: Connection = self._poller.unregister(conn.fd)
            other.registered = 0
            self._poller.register(conn.fd, conn.interest, conn)
            return other
        return None

    def _spare(self, conn: Connection, usual: Callable[[Connection], int]) -> int:
        """Answer a request that is about the server itself without a handler, and any other as ``usual``."""
        head = conn.head
        for spared in self._spared:
            answer = spared.answer(conn, head)
            if answer is not None:
                return conn.reply(*answer, self._now)
        return usual(conn)

    def _answer(self, conn: Connection) -> int:
        if conn.is_recorded and consents(conn):
            return replay(conn, self._now)
        return conn.answered(self._run(conn), self._now)

    def _run(self, conn: Connection) -> bool:
        """Let the handler answer a request. Returns whether that was its last."""
        return self._driver.run(conn)

    def _offer(self, conn: Connection) -> int:
        if not self._makes_handlers():
            self._give_away(conn)
            return WAIT
        return self._made(conn, self._make(conn))

    def _makes_handlers(self) -> bool:
        """Whether a handler is made here, or the server class has a way of its own."""
        return is_own(self._server.process_request, PLAIN_PROCESS)

    def _make(self, conn: Connection) -> bool:
        """Make a handler. Returns whether it is done, as one is that did not attach itself. As _run()."""
        offer(conn)
        try:
            self._server.finish_request(conn.sock, conn.client_address)
        except Exception:
            self._report(conn)
            withdraw(conn)
            return True
        return not withdraw(conn)

    def _made(self, conn: Connection, close: bool) -> int:
        return END if close else conn.begin(self._now)

    def _give_away(self, conn: Connection) -> None:
        """As socketserver does it; from here on the socket is the server class's own."""
        sock, address = conn.sock, conn.client_address
        self._drop(conn)
        try:
            self._server.process_request(sock, address)
        except Exception:
            self._tell(sock, address)
            self._server.shutdown_request(sock)
        except BaseException:
            self._server.shutdown_request(sock)
            raise

    def _report(self, conn: Connection) -> None:
        """Tell of an exception out of a handler; a client that went away is none."""
        if not (isinstance(sys.exc_info()[1], ConnectionError) and conn.is_broken()):
            self._tell(conn.sock, conn.client_address)

    def _tell(self, sock: Any, address: Any) -> None:
        """Call handle_error(), as socketserver does: what that raises ends serve_forever()."""
        self._telling = True
        try:
            self._server.handle_error(sock, address)
            self._telling = False
        finally:
            if self._telling:
                sock.close()

    def _finish_handler(self, conn: Connection) -> None:
        handler, conn.handler = conn.handler, None
        try:
            handler.finish()
        except Exception:
            self._report(conn)

    def _close(self, conn: Connection) -> None:
        if conn.handler is not None:
            self._finish_handler(conn)
        self._drop(conn)
        if conn.failure is not None:
            tls.tell(conn.failure, conn.client_address)
        if conn.bare and all(is_own(getattr(self._server, name, None), own) for name, own in PLAIN_ENDS):
            conn.close()
        else:
            self._server.shutdown_request(conn.sock)
        if self._resume:
            self._go_on_accepting()

    def _drop(self, conn: Connection) -> None:
        """Forget the connection; its socket stays open."""
        self._forget(conn)
        if self._bound is not None:
            self._bound.forget(conn)
        conn.closed()

    def _forget(self, conn: Connection) -> None:
        if conn.registered:
            self._poller.unregister(conn.fd)
            conn.registered = 0
        self._timers.forget(conn)
        self._connections.discard(conn)

    # -- The end ---------------------------------------------------------------------------------

    def _begin_to_drain(self) -> None:
        for conn in list(self._connections):
            self._act(conn, conn.hurry(self._now))
        self._accept_the_rest()

    def _is_drained(self) -> bool:
        return not self._is_busy() or time.monotonic() >= self._end

    def _is_busy(self) -> bool:
        """Whether any request may still be under way. Where handlers run elsewhere, those too."""
        return self._accepting or bool(self._connections)

    def _finish(self) -> None:
        """Let the answers that are leaving leave, for a while, and end everything else."""
        if self._accepting and not self._resume:
            self._poller.unregister(self._listening)
        self._accepting, self._resume = False, 0.0  # also where drain() is heard of only now
        deadline = min(time.monotonic() + limits.SHUTDOWN_GRACE, self._end)
        while self._connections and self._now < deadline:
            for conn in [conn for conn in self._connections if not conn.sending]:
                self._close(conn)
            for target in self._poller.select(0.1) if self._connections else ():
                if target.__class__ is Connection:
                    self._attend(target)
                else:
                    target()
            self._now = time.monotonic()

    def _shut(self) -> None:
        """Give back all there is, also when an exception ends the loop."""
        self._resume = 0.0
        for conn in list(self._connections):
            # Ctrl-C may have come between any two steps, so that a connection may be half closed already.
            with contextlib.suppress(Exception):
                self._close(conn)
            with contextlib.suppress(Exception):
                conn.close() if conn.bare else self._server.shutdown_request(conn.sock)
        self._poller.close()
        self._welcoming = None
        if self._recordings is not None:
            self._recordings.clear()
        self._waker.close()
        self._woken.close()
