"""Every row of the conformance table on fastserve: in both versions of HTTP, on the loop and on threads.

`python -m wire.conformance.table`, in tests/, asks http.server and nginx too, and prints the table.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from .conformance.contestants import CONTESTANTS, Contestant, make_site
from .conformance.rows import Row
from .conformance.table import ROWS, talk

OURS = [each for each in CONTESTANTS if each.name.startswith("fastserve")]


@pytest.fixture(scope="module", params=OURS, ids=lambda each: each.name.replace(" ", "-"))
def ours(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    contestant: Contestant = request.param
    with contestant.serve(make_site(tmp_path_factory.mktemp("conformance"))) as address:
        yield address, contestant.keeps


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.behaviour}-{row.what[:40]}".replace(" ", "-"))
def test_row(row: Row, ours: Any) -> None:
    address, keeps = ours
    seen = talk(address, row, keeps)
    assert row.judge(seen), seen


def test_the_table() -> None:
    # But for 24 and 28, of which one takes time, and one a change: tests/live.
    assert {row.behaviour for row in ROWS} >= set(range(1, 41)) - {24, 28}
    assert len({(row.behaviour, row.what) for row in ROWS}) == len(ROWS) >= 200
    assert {row.level for row in ROWS if not row.level.startswith("CVE-")} == {"MUST", "SHOULD", "MAY"}


def test_a_judgement_can_fail() -> None:
    """A row that any answer satisfies would be worth nothing."""
    nothing = talk_of_nothing()
    assert not [row.what for row in ROWS if row.judge(nothing) and row.judge(nothing._replace(ended="open"))]


def talk_of_nothing() -> Any:
    from .conformance.rows import Talk

    return Talk((), False, "fin", b"", True)
