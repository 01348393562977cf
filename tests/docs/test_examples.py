"""Every fenced block of README.md and docs/ does what its page says.

Each is a test of its own, in a folder of its own. One that cannot be run says why; there are few of those,
and no more without a word here.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from .blocks import BLOCKS, KNOWN, Block, files_before, setup_of
from .checks import CHECKS, check, parses
from .running import Bench, missing_flags

SKIPPED = [block for block in BLOCKS if "skip" in block.directives]
RUN = [block for block in BLOCKS if "skip" not in block.directives]

# What installs, builds or needs another machine.
MOST_SKIPPED = 6


def by_name(block: Block) -> str:
    return block.name


@pytest.mark.parametrize("block", RUN, ids=by_name)
def test_an_example_runs(block: Block, tmp_path: Path) -> None:
    leave_out(block)
    bench = Bench(tmp_path)
    for other in files_before(block):
        bench.write(other.title, other.text)
    setup = setup_of(block.page)
    if setup:
        done = bench.run("set -e\n" + bench.ported(setup))
        assert done.returncode == 0, done.stderr
    check(bench, block)


def leave_out(block: Block) -> None:
    """Pass over what asks for a module that is not installed."""
    for module in block.directives.get("module", "").split():
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"module {module} is not installed")


@pytest.mark.parametrize("block", BLOCKS, ids=by_name)
def test_a_block_says_what_it_is(block: Block) -> None:
    assert block.language in CHECKS
    assert block.directives.keys() <= KNOWN
    assert not missing_flags(block.text if block.language in ("console", "sh") else "")
    assert not missing_flags(block.directives.get("server", ""))
    assert parses(block)


def test_few_blocks_are_not_run_and_each_says_why() -> None:
    assert len(SKIPPED) <= MOST_SKIPPED
    assert [block.name for block in SKIPPED if len(block.directives["skip"].split()) < 3] == []


def test_most_blocks_are_run() -> None:
    assert len(RUN) > 5 * len(SKIPPED)
