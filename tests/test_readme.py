"""The README and docs/ against the project: commands, the table of limits, the table of layers.

The list of intended differences is looked after in parity/test_differences.py, examples in docs/.
"""

import re
from pathlib import Path

import pytest
from test_layers import LAYERS

from fastserve import limits

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
LIMITS = (ROOT / "docs" / "reference" / "limits.md").read_text("utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
UNITS = {"": 1, "s": 1, "B": 1, "B/s": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, its own two first lines left out."""
    section = page.split(f"# {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("row", rows(LIMITS, "Limits and timeouts"), ids=lambda row: row[0].strip("`"))
def test_a_limit_is_what_the_table_says(row: list[str]) -> None:
    name, (number, _, unit) = row[0].strip("`"), row[1].partition(" ")
    known = limits.max_headers() if name == "max_headers()" else getattr(limits, name)
    assert float(number) * UNITS[unit] == known


def test_every_limit_is_in_the_table() -> None:
    told = [row[0].strip("`") for row in rows(LIMITS, "Limits and timeouts")]
    assert sorted(told) == sorted(["max_headers()", *(name for name in vars(limits) if name.isupper())])


def test_the_house_is_that_of_the_layer_table() -> None:
    assert {row[0]: tuple(row[1].replace("`", "").split()) for row in rows(ARCHITECTURE, "Layers")} == LAYERS


@pytest.mark.parametrize("command", [
    "python -m pip install . && fastserve",
    "python -m pip install -e '.[test]' && python -m pytest",
])
def test_the_two_commands_stand_on_the_first_screen(command: str) -> None:
    assert command in README.splitlines()[:25]


def test_the_readme_is_read_in_two_minutes() -> None:
    """Some 250 words a minute, twice that where only commands are looked over."""
    assert len(README.splitlines()) <= 150
    assert len(README.split()) <= 1000


def test_the_last_command_of_ci_is_one_of_them() -> None:
    pattern = re.search(r"grep -m 1 '(.*)' README\.md", (ROOT / ".ci" / "run").read_text("utf-8"))
    assert pattern
    assert re.findall(pattern[1], README, re.MULTILINE) == [
        "python -m pip install -e '.[test]' && python -m pytest"]


@pytest.mark.parametrize("target", sorted(
    {*re.findall(r"`make (\w[\w-]*)`", README), *re.findall(r"^make (\w+)", CONTRIBUTING, re.MULTILINE)}))
def test_make_has_the_targets_that_are_told(target: str) -> None:
    targets = re.findall(r"^([\w -]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert target in " ".join(targets).split()


@pytest.mark.parametrize("link", re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", README + CONTRIBUTING))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


@pytest.mark.parametrize("picture", re.findall(r'(?:src|srcset)="([^"]+)"', README))
def test_pictures_are_there(picture: str) -> None:
    """Both forms, where they have been made at all."""
    if not list((ROOT / "docs" / "images").glob("listing-*.png")):
        pytest.skip("no picture has been made yet")
    assert (ROOT / picture).is_file()
