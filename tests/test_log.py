"""The lines of the log that no handler writes; those of handlers are in handlers/test_responses.py."""

import io
import re
import sys
import time
from typing import Any

import pytest
from helpers import log_messages

from fastserve import log as module


def test_a_line(log: Any) -> None:
    module.write(("192.0.2.1", 5), "words")
    text = log.text()
    assert re.fullmatch(r"192\.0\.2\.1 - - \[[^]]+\] words\n", text)
    assert log_messages(text) == ["words"]


@pytest.mark.parametrize(("address", "shown"), [
    (("2001:db8::1", 5, 0, 0), "2001:db8::1"), ("", "-"), (b"", "-"), (None, "-"),
    ("/run/client", "-"), (b"\0client", "-"), (["192.0.2.1", 5], "192.0.2.1"),
])
def test_addresses(address: Any, shown: str) -> None:
    assert module.format_address(address) == shown


def test_control_characters_do_not_reach_the_terminal(log: Any) -> None:
    module.write(None, "a\x1b[31m\r\n\x7f\x9b\\b")
    assert log.messages() == [r"a\x1b[31m\x0d\x0a\x7f\x9b\\b"]


@pytest.mark.parametrize("month", range(1, 13))
def test_dates_are_local_and_in_english(month: int) -> None:
    second = time.mktime((2026, month, 3, 4, 5, 6, 0, 0, -1))
    assert module.format_date(int(second)) == f"03/{module.MONTHS[month]}/2026 04:05:06"


def test_a_log_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    for stderr in (None, closed):
        monkeypatch.setattr(sys, "stderr", stderr)
        module.write(None, "words")
