"""The table: `python -m wire.conformance.table` in tests/ asks all servers all rows, and prints what holds.

Knows rows and contestants; test_conformance.py asks fastserve alone. Exit status 0 where fastserve holds all.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from helpers import Client, Reply

from . import connections, files, framing
from .contestants import CONTESTANTS, Contestant, make_site
from .rows import LAST, SENTINEL, Row, Talk

ROWS: Sequence[Row] = [*framing.ROWS, *connections.ROWS, *files.ROWS]
PATIENCE = 3.0  # seconds without an octet, after which a connection is taken to stay open


def talk(address: Any, row: Row, keeps: bool) -> Talk:
    """Send a row on a connection of its own, and return what comes back."""
    with Client(address, PATIENCE) as client:
        client.send(row.octets + SENTINEL if row.sentinel else row.octets)
        if row.ends:
            client.end()
        replies, ended = _replies(client, row.methods.split())
    stays = bool(replies) and replies[-1].body == LAST
    if stays:
        del replies[-1]
    rest = b""
    if replies and not replies[-1].line:
        rest = replies.pop().body
    return Talk(tuple(replies), stays, ended, rest, keeps)


def _replies(client: Client, methods: list[str]) -> tuple[list[Reply], str]:
    """All of them, and how it ended; what is no reply is one without a line."""
    replies: list[Reply] = []
    try:
        while (reply := client.reply(methods[0] if methods else "GET")) is not None:
            replies.append(reply)
            if reply.status >= 200:
                methods = methods[1:]
    except EOFError as error:
        return [*replies, Reply("", [], str(error).encode())], "fin"
    except TimeoutError:
        return replies, "open"
    except (ConnectionError, ValueError):
        return replies, "reset"
    return replies, "fin"


def holds(address: Any, row: Row, keeps: bool) -> bool:
    """Whether a server does what the row asks."""
    seen = talk(address, row, keeps)
    return bool(row.judge(seen))


def ask_all(contestant: Contestant) -> list[bool | None]:
    """What holds of every row, None for all of a server that is not here."""
    with tempfile.TemporaryDirectory(prefix="conformance-") as home, contextlib.ExitStack() as stack:
        try:
            address = stack.enter_context(contestant.serve(make_site(Path(home))))
        except FileNotFoundError:
            return [None] * len(ROWS)
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            return list(pool.map(lambda row: holds(address, row, contestant.keeps), ROWS))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Ask http.server, nginx and fastserve what HTTP/1.1 asks.")
    parser.add_argument("--failing", action="store_true", help="only the rows that somebody does not hold")
    args = parser.parse_args(argv)
    results = [ask_all(each) for each in CONTESTANTS]
    marks = {True: "yes", False: "NO", None: "-"}
    print(" # | asked by | level | behaviour | " + " | ".join(each.name for each in CONTESTANTS))
    print("---|---|---|---|" + "---|" * len(CONTESTANTS))
    for row, *held in zip(ROWS, *results, strict=True):
        if not (args.failing and all(held)):
            cells = " | ".join(marks[each] for each in held)
            print(f"{row.behaviour} | {row.section} | {row.level} | {row.what} | {cells}")
    broken = [[row for row, each in zip(ROWS, held, strict=True) if each is False] for held in results]
    for contestant, rows in zip(CONTESTANTS, broken, strict=True):
        musts, cves = (sum(row.level.startswith(level) for row in rows) for level in ("MUST", "CVE"))
        held = f"{len(ROWS) - len(rows)} of {len(ROWS)} rows hold"
        print(f"{contestant.name}: {held}; of the others {musts} are MUSTs, and {cves} are about a CVE")
    ours = [
        rows for contestant, rows in zip(CONTESTANTS, broken, strict=True) if "fastserve" in contestant.name
    ]
    return int(any(ours))


if __name__ == "__main__":
    sys.exit(main())
