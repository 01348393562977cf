"""What single words of the command line stand for, and which are refused. What options make of them is in
test_settings.py, and what a process says of wrong ones in test_cli.py and test_cli_flags.py.
"""

import re

import pytest

from fastserve import words


@pytest.mark.parametrize(("text", "octets"), [
    ("0", 0), ("500", 500), ("1073741824", 1 << 30), ("99999999999", 99_999_999_999), ("1e3", 1000),
    ("64k", 64 << 10), ("20M", 20 << 20), ("20MB", 20 << 20), ("20MiB", 20 << 20), ("1.5G", 3 << 29),
    ("2t", 2 << 40), (" 7K ", 7 << 10), ("1000000000b", 10**9), ("1000000001k", 1_000_000_001 << 10),
])
def test_sizes(text: str, octets: int) -> None:
    assert words.size(text) == octets


@pytest.mark.parametrize("text", [
    "", " ", "much", "-1", "-1k", "nan", "nanG", "inf", "infk", "-inf", "1e400", "1e308k", "1_0", "0x10", "k",
    "b", "5i", "5ib", "5\N{KELVIN SIGN}", "5x", "5kk", "1.5.1G", "\N{ARABIC-INDIC DIGIT THREE}",
])
def test_what_is_no_size(text: str) -> None:
    complaint = f"size {text!r} is not a number of bytes, such as 500M or 2G"
    with pytest.raises(words.Refusal, match=f"^{re.escape(complaint)}$"):
        words.size(text)
