"""The documentation tells of every intended difference, and why, in the words of differences.py."""

import re
from pathlib import Path

from programs.suites import SUITES

from .differences import DIFFERENCES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "differences.md"


def plain(text: str) -> str:
    """Lines may be wrapped, and words marked."""
    return " ".join(text.replace("`", "").replace("**", "").split())


def test_the_documentation_has_every_row() -> None:
    text = plain(PAGE.read_text("utf-8"))
    missing = [row.title for row in DIFFERENCES.values() if plain(f"{row.title}: {row.reason}.") not in text]
    assert not missing


def test_the_documentation_has_no_other_row() -> None:
    told = re.findall(r"^- \*\*(.+?)\*\*:", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert sorted(map(plain, told)) == sorted(plain(row.title) for row in DIFFERENCES.values())


def test_the_readme_leads_there() -> None:
    assert "(docs/reference/differences.md)" in (ROOT / "README.md").read_text("utf-8")


def test_the_suites_of_programs_differ_by_rows_that_are_there() -> None:
    assert {key for suite in SUITES for key in suite.differs.values()} <= DIFFERENCES.keys()


def test_titles_are_different() -> None:
    titles = [row.title for row in DIFFERENCES.values()]
    assert len(set(titles)) == len(titles)


def test_rows_are_complete() -> None:
    for key, row in DIFFERENCES.items():
        assert all((row.title, row.http_server, row.fastserve, row.reason)), key
