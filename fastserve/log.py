"""The form of the log's lines, which is http.server's: for handlers, and for what no handler can tell of.

Knows sys.stderr and the time of day, and nothing of requests; any module may call it.
"""

import contextlib
import functools
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

MONTHS: Final = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# For str.translate(): no client may reach the terminal.
CONTROL_CHARS: Final = str.maketrans(
    {code: rf"\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {ord("\\"): r"\\"}
)


@functools.lru_cache(maxsize=2)
def date_parts(second: int) -> tuple[str, int, str]:
    """Return local time as the log has it, cut around the month: ``21/``, 11, ``/2026 10:33:07``."""
    now = time.localtime(second)
    return f"{now.tm_mday:02d}/", now.tm_mon, f"/{now.tm_year:04d} {time.strftime('%H:%M:%S', now)}"


def format_date(second: int, months: Sequence[Any] = MONTHS) -> str:
    """Return local time as the log has it: ``21/Nov/2026 10:33:07``; ``months`` are named from index 1 on."""
    day, month, rest = date_parts(second)
    return f"{day}{months[month]!s:>3}{rest}"


def format_address(client_address: Any) -> str:
    """Return the host of a client's address, '-' where there is none.

    A unix socket's client has none: its address is empty, or the name that it has bound itself to.
    """
    if not client_address or isinstance(client_address, (str, bytes)):
        return "-"
    return str(client_address[0])


def write(client_address: Any, message: str) -> None:
    """Write a line to sys.stderr. Raises nothing: who calls it has no handler that could be told."""
    words = message.translate(CONTROL_CHARS)
    line = f"{format_address(client_address)} - - [{format_date(int(time.time()))}] {words}\n"
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):  # a closed pipe, a closed file
            sys.stderr.write(line)


def printable(text: str) -> str:
    """Return it without what would move a terminal, or what no stream takes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
