"""What the documentation takes from the project itself: a hook of MkDocs, which mkdocs.yml names.

A line ``<!-- generated: KIND WORDS -->`` of a page becomes a table or the text of a file. Knows the command
line's parser, the table of differences and the files of the tree. Nothing but MkDocs calls it.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
GENERATED = re.compile(r"^<!-- generated: (\S+) ?(.*?) -->$", re.MULTILINE)
LINK = re.compile(r"(!?)\[([^\]]+)\]\((?!https?:)([^)\s]+)\)")

# Options that no variable of the environment can stand for.
ONLY_SAID = {"--help", "--version", "--print-completion", "--no-precompressed"}

# Where the documentation has what files of the tree link to; other links to files become their words.
PLACES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "README.md": "index.md",
    "docs/architecture.md#layers": "architecture.md#layers",
    "chart-all.svg": "images/chart-all.svg",
    "chart.svg": "images/chart.svg",
}


def on_files(files: Any, config: Any) -> Any:
    """Add the charts of bench/ to the images."""
    for chart in sorted((ROOT / "bench").glob("chart*.svg")):
        files.append(File.generated(config, f"images/{chart.name}", abs_src_path=str(chart)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Put in what is generated."""
    return GENERATED.sub(lambda match: MAKERS[match[1]](*match[2].split()), markdown)


# -- The command line --------------------------------------------------------------------------


def command_line() -> str:
    """A table for each group of options, of the parser that the program uses."""
    sys.argv[0] = "fastserve"
    sys.path.insert(0, str(ROOT))
    from fastserve.options import make_parser

    parser = make_parser()
    settable = "--config" in parser._option_string_actions
    groups = [group for group in parser._action_groups if group._group_actions]
    return "\n\n".join(option_table(parser, group, settable) for group in groups)


def option_table(parser: argparse.ArgumentParser, group: Any, settable: bool) -> str:
    title = (group.title or "options").capitalize()
    rows = [f"## {title}", "", "| option | what it does |", "|---|---|"]
    rows.extend(
        f"| {words_of(action)}{variable(action, settable)} | {help_of(parser, action)} |"
        for action in group._group_actions if action.help is not argparse.SUPPRESS)
    return "\n".join(rows)


def words_of(action: argparse.Action) -> str:
    formatter = argparse.HelpFormatter("")
    if not action.option_strings:
        return f"`{action.dest}`"
    value = "" if action.nargs == 0 else " " + formatter._format_args(action, action.dest.upper())
    return "<br>".join(f"`{option}{value}`" for option in action.option_strings)


def variable(action: argparse.Action, settable: bool) -> str:
    """The environment variable that says the same, where there are any."""
    longest = max(action.option_strings, key=len, default=action.dest)
    if not settable or longest in ONLY_SAID:
        return ""
    return f"<br>`FASTSERVE_{longest.lstrip('-').upper().replace('-', '_')}`"


def help_of(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    text = parser._get_formatter()._expand_help(action) if action.help else ""
    text = text[:1].upper() + text[1:]
    return re.sub(r"(?<!\w)(--[a-z-]+)", r"`\1`", text.replace("|", r"\|").replace("<", "&lt;"))


# -- The rig -----------------------------------------------------------------------------------


def endpoints() -> str:
    """A table for each group of the origin's endpoints."""
    sys.path.insert(0, str(ROOT))
    from fastserve.rig import origin  # noqa: F401  (which fills the table)
    from fastserve.rig.origin.routes import ENDPOINTS

    groups: dict[str, list[Any]] = {}
    for each in ENDPOINTS:
        groups.setdefault(each.group, []).append(each)
    return "\n\n".join(endpoint_table(group, found) for group, found in groups.items())


def endpoint_table(group: str, found: list[Any]) -> str:
    rows = [f"### {group}", "", "| endpoint | what it does |", "|---|---|"]
    return "\n".join([*rows, *(f"| `{each.path}` | {as_cell(each.says)} |" for each in found)])


# -- Tables and files --------------------------------------------------------------------------


def differences() -> str:
    """What http.server does and what fastserve does, row by row of tests/parity/differences.py."""
    path = ROOT / "tests" / "parity" / "differences.py"
    spec = importlib.util.spec_from_file_location("differences", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows = ["| difference | `http.server` | fastserve |", "|---|---|---|"]
    for row in module.DIFFERENCES.values():
        rows += [f"| {' | '.join(map(as_cell, (row.title, row.http_server, row.fastserve)))} |"]
    return "\n".join(rows)


def as_cell(text: str) -> str:
    return re.sub(r"([|<*_\[\]])", r"\\\1", text)


def include(path: str, deeper: str = "") -> str:
    """The text of a Markdown file of the tree, without its title; links lead to pages, or are words.

    ``deeper`` is a # for each level by which its headings are to be lower.
    """
    text = (ROOT / path).read_text("utf-8")
    text = re.sub(r"\A# .*\n+", "", text)
    text = re.sub(r"^(?=##+ )", deeper, text, flags=re.MULTILINE)
    return LINK.sub(relink, text)


def relink(match: re.Match[str]) -> str:
    mark, words, target = match.groups()
    place = PLACES.get(target)
    if target.startswith("#"):
        return match[0]
    return f"{mark}[{words}]({place})" if place else words


def contrib(path: str, language: str) -> str:
    """A file of contrib/ as a code block."""
    text = (ROOT / path).read_text("utf-8").rstrip()
    return f'```{language} title="{path}"\n{text}\n```'


def documented(name: str) -> str:
    """What mkdocstrings is to put in for a class."""
    return f"::: {name}\n    options: {{heading_level: 3}}\n"


def picture(name: str, *words: str) -> str:
    """A picture in its light and its dark form."""
    alt = " ".join(words)
    return "\n".join(
        f"![{alt}](images/{name}-{form}.png#only-{form}){{ loading=lazy }}" for form in ("light", "dark"))


MAKERS = {
    "command-line": command_line,
    "endpoints": endpoints,
    "differences": differences,
    "include": include,
    "class": documented,
    "contrib": contrib,
    "picture": picture,
}
