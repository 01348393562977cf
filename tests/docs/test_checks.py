"""What runs the examples finds faults: each check of the pages is shown one that it must not pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from .blocks import Block, blocks_of, directives, setup_of
from .checks import check, session
from .running import Bench, matches, mentions, missing_flags

PAGE = """\
# Title

<!-- setup
mkdir site
-->

<!-- example: get=/a says="two words" pytest -->

```python title="a.py"
x = 1
```

    ```sh
    fastserve
    ```
"""


def a_block(language: str, text: str, title: str = "", **told: str) -> Block:
    return Block(Path(__file__), 1, language, title, text, told)


def test_blocks_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    first, second = blocks_of(page)
    assert first[1:] == (
        9, "python", "a.py", "x = 1\n", {"get": "/a", "says": "two words", "pytest": "yes"})
    assert second[1:] == (13, "sh", "", "fastserve\n", {})
    assert setup_of(page) == "mkdir site\n"
    assert directives("<!-- another comment -->") == {}


def test_a_session() -> None:
    text = "$ one \\\n>   more\nsaid\n$ two\n"
    assert list(session(text)) == [("one \\\n  more", "said\n"), ("two", "")]


@pytest.mark.parametrize(("wanted", "got", "same"), [
    ("a\n", "a\n", True),
    ("a", "a\nb\n", False),
    ("a\n...", "a\nb\nc\n", True),
    ("...\nc", "c\n", True),
    ("a\n...\nc", "a\nb\n", False),
    ("Date: ...", "Date: now\n", True),
    ("Date: ...", "Dates: now\n", False),
    ("a.c", "abc\n", False),
])
def test_what_is_shown_is_compared(wanted: str, got: str, same: bool) -> None:
    assert matches(wanted, got) is same


def test_lines_among_others() -> None:
    assert mentions("a\nc\n", "z\na\nb\nc\nd\n")
    assert not mentions("c\na\n", "a\nb\nc\n")


def test_a_flag_that_there_is_not_is_a_fault() -> None:
    assert missing_flags("fastserve --hide-dotfiles -d site\ncurl --silly\n") == set()
    assert missing_flags("$ fastserve --hide-dotfile\n") == {"--hide-dotfile"}


@pytest.mark.parametrize("block", [
    a_block("python", "import nothing_of_that_name\n"),
    a_block("python", "import sys; print('a warning', file=sys.stderr)\n"),
    a_block("python", "print('other')\n", says="this"),
    a_block("python", "def test_a(): assert False\n", title="test_a.py", pytest="yes"),
    a_block("python", "from http.server import *\nHTTPServer(('', 8000), SimpleHTTPRequestHandler)"
                      ".serve_forever()\n", get="/", says="nothing of that"),
    a_block("console", "$ echo one\ntwo\n"),
    a_block("console", "$ false\n"),
    a_block("console", "$ fastserve -b 127.0.0.1\nServing nothing\n"),
    a_block("console", "$ fastserve -d nowhere\nfastserve: error: all is well\n", exit="2"),
    a_block("sh", "fastserve -d nowhere\n"),
    a_block("sh", "fastserve\n", get="/nowhere"),
    a_block("html", "<p>\n"),
], ids=lambda block: block.text.split("\n")[0][:24])
def test_a_fault_is_found(block: Block, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        check(Bench(tmp_path), block)


def test_files_of_other_programs_are_judged(tmp_path: Path) -> None:
    """Where the programs are: each is given what it must refuse."""
    for at, (language, title) in enumerate(
        [("nginx", "nginx.conf"), ("caddy", "Caddyfile"), ("haproxy", "haproxy.cfg")]
    ):
        folder = tmp_path / str(at)
        folder.mkdir()
        with pytest.raises((AssertionError, pytest.skip.Exception)):
            check(Bench(folder), a_block(language, "no_such_word;\n", title=title))
