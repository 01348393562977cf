"""The first screen, line by line. What a person at a terminal sees of it is in test_cli_flags.py."""

from pathlib import Path

import pytest

from fastserve import options, welcome

STRANGE = "two\nlines\x1b[2J\r\x9b"
SHOWN = r"two\nlines\x1b[2J\r\x9b"
COLOURED = pytest.mark.parametrize("coloured", [False, True])


@COLOURED
def test_names_that_are_not_for_a_terminal(coloured: bool, tmp_path: Path) -> None:
    """Of what is served, of where uploads go, and of the settings."""
    (tmp_path / STRANGE).mkdir()
    chosen = options.parse(["-d", str(tmp_path / STRANGE), "--upload", str(tmp_path / STRANGE)])
    chosen.settings = str(tmp_path / STRANGE)
    lines = list(welcome.lines([], chosen, coloured))
    for sequence in ("\033[1m", "\033[2m", "\033[36m", "\033[0m") if coloured else ():
        lines = [line.replace(sequence, "") for line in lines]
    assert [line.split(None, 1) for line in lines] == [
        ["folder", str(tmp_path / SHOWN)], ["uploads", str(tmp_path / SHOWN)],
        ["settings", str(tmp_path / SHOWN)], ["stop", "Ctrl-C"]]
    assert all(line.isprintable() for line in lines)
