"""Docstrings as Markdown: an extension of griffe, which mkdocs.yml names.

The house writes small tables in docstrings, name and meaning in two columns of plain text. They become
tables. Nothing but griffe calls it.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

import griffe

ROW = re.compile(r"^(\w[\w, ]*?)  +(\S.*)$")


def is_table(lines: list[str]) -> bool:
    """Whether each line has two columns, or goes on with the second of the one above."""
    return bool(ROW.match(lines[0])) and all(ROW.match(line) or line.startswith("   ") for line in lines)


def as_table(lines: list[str]) -> str:
    rows: list[list[str]] = []
    for line in lines:
        found = ROW.match(line)
        if found:
            names = ", ".join(f"`{name.strip()}`" for name in found[1].split(","))
            rows.append([names, found[2]])
        else:
            rows[-1][1] += " " + line.strip()
    return "\n".join(["| attribute | what it is |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)])


def as_markdown(text: str) -> str:
    paragraphs = (paragraph.splitlines() for paragraph in inspect.cleandoc(text).split("\n\n"))
    return "\n\n".join(
        as_table(lines) if lines and is_table(lines) else "\n".join(lines) for lines in paragraphs)


class HouseDocstrings(griffe.Extension):
    """Rewrites every docstring once it is read."""

    def on_instance(self, *, obj: Any, **kwargs: Any) -> None:
        """Called by griffe for each module, class and function."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
