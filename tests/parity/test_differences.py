"""The README tells of every intended difference, and why, in the words of differences.py."""

from pathlib import Path

from programs.suites import SUITES

from .differences import DIFFERENCES

README = Path(__file__).parents[2] / "README.md"


def plain(text: str) -> str:
    """Lines may be wrapped, and words marked."""
    return " ".join(text.replace("`", "").replace("**", "").split())


def test_the_readme_has_every_row() -> None:
    assert README.is_file(), "there is no README.md"
    text = plain(README.read_text("utf-8"))
    missing = [row.title for row in DIFFERENCES.values() if plain(f"{row.title}: {row.reason}.") not in text]
    assert not missing


def test_the_suites_of_programs_differ_by_rows_that_are_there() -> None:
    assert {key for suite in SUITES for key in suite.differs.values()} <= DIFFERENCES.keys()


def test_titles_are_different() -> None:
    titles = [row.title for row in DIFFERENCES.values()]
    assert len(set(titles)) == len(titles)


def test_rows_are_complete() -> None:
    for key, row in DIFFERENCES.items():
        assert all((row.title, row.http_server, row.fastserve, row.reason)), key
