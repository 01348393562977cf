"""The fenced blocks of README.md and docs/, each with what its page says of how it is to be run.

A comment above a block holds its directives, ``<!-- example: NAME=VALUE ... -->``; a comment ``<!-- setup``
anywhere in a page holds shell commands that come before each of its blocks. Knows Markdown and no program.
The tests of this folder read it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

OPENING = re.compile(r"^( *)(`{3,})(\w*) *(.*)$")
DIRECTIVES = re.compile(r"<!-- example: (.*?) ?-->")
SETUP = re.compile(r"^<!-- setup\n(.*?)^-->", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r'title="([^"]+)"')

# What a directive may be called; test_pages.py refuses others.
KNOWN = {
    "skip",  # why it cannot be run
    "get",  # the target that is asked for of a server of the block
    "status",  # what must be answered, 200 where it is not said
    "says",  # what the answer must have in it
    "server",  # a command line of fastserve that runs meanwhile
    "pytest",  # the block is a file of tests
    "module",  # what must be importable, or the block is passed over
    "exit",  # the status with which the last command must end
}


class Block(NamedTuple):
    """One fenced block."""

    page: Path
    line: int
    language: str
    title: str
    text: str
    directives: dict[str, str]

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}-{self.language}"


def directives(comment: str) -> dict[str, str]:
    found = DIRECTIVES.fullmatch(comment.strip())
    if not found:
        return {}
    pairs = (word.partition("=") for word in shlex.split(found[1]))
    return {name: value if equals else "yes" for name, equals, value in pairs}


def blocks_of(page: Path) -> Iterator[Block]:
    lines = page.read_text("utf-8").splitlines()
    above, at = "", 0
    while at < len(lines):
        opening = OPENING.match(lines[at])
        if opening:
            indent, fence, language, rest = opening.groups()
            end = next(i for i in range(at + 1, len(lines)) if lines[i].strip() == fence)
            text = "\n".join(line.removeprefix(indent) for line in lines[at + 1 : end]) + "\n"
            title = TITLE.search(rest)
            yield Block(page, at + 1, language, title[1] if title else "", text, directives(above))
            at, above = end, ""
        elif lines[at].strip():
            above = lines[at]
        at += 1


def setup_of(page: Path) -> str:
    """The shell commands that come before each block."""
    return "".join(SETUP.findall(page.read_text("utf-8")))


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def files_before(block: Block) -> Iterator[Block]:
    """The blocks above it in its page that have a file's name, and the block itself."""
    for other in BLOCKS:
        if other.page == block.page and other.line <= block.line and other.title:
            yield other
