"""How many connections a loop holds at most, which of them makes room for another, and who is turned away.

The connection that has been idle between two requests the longest makes room, as nginx does it; none that was
answered just now, or a flood would end those of clients at work. Where none is idle, who comes is told so at
once: a load balancer then asks another server, and a client comes back. In a backlog that nobody accepts from
both would wait, and could not tell a busy server from a dead one.

Knows connections by what they say of themselves, and no socket. serving.loop calls it.
"""

import sys
from collections.abc import Collection

from fastserve._conn import Connection
from fastserve.limits import COMPLAINT_REPEAT, MAX_TURNED_AWAY, TICK


class Bound:
    """At most ``most`` connections, and MAX_TURNED_AWAY more that are being told.

    ``now`` is time.monotonic(). Raises ValueError where ``most`` is less than 1.
    """

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError(f"max_connections is {most}, and must be at least 1")
        self._most = most
        self._turned_away: set[Connection] = set()
        self._idle: list[tuple[float, Connection]] = []  # since when, the last of them the longest
        self._look = 0.0  # when it is worth looking for others
        self._speak = 0.0  # when it may be said again

    def is_reached(self, held: int, now: float) -> bool:
        """Whether there is no room for one more beside those that are held. It is said, but not for each."""
        if held - len(self._turned_away) < self._most:
            return False
        if now >= self._speak and sys.stderr is not None:
            sys.stderr.write(f"fastserve: {self._most} connections are open, which is all there may be\n")
            self._speak = now + COMPLAINT_REPEAT
        return True

    def longest_idle(self, connections: Collection[Connection], now: float) -> Connection | None:
        """Return the connection that is to make room, None where none is idle.

        That is for a TICK at least. All are looked at once a TICK: a flood would have it done for each.
        """
        if not self._idle and now >= self._look:
            self._look = now + TICK
            idle = [(conn.idle_since, conn) for conn in connections if 0 < conn.idle_since <= now - TICK]
            self._idle = sorted(idle, key=_since, reverse=True)
        while self._idle:
            since, conn = self._idle.pop()
            if conn.idle_since == since:  # not busy meanwhile
                return conn
        return None

    def may_tell(self) -> bool:
        """Whether one more client can be told that there is no room, and be given time to read it."""
        return len(self._turned_away) < MAX_TURNED_AWAY

    def tell(self, conn: Connection) -> None:
        """``conn`` is told, and counts apart from now on."""
        self._turned_away.add(conn)

    def forget(self, conn: Connection) -> None:
        """``conn`` is closed."""
        self._turned_away.discard(conn)


def _since(pair: tuple[float, Connection]) -> float:
    return pair[0]
