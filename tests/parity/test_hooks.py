"""The matrix of hooks: every override on every pairing of server and handler shows what http.server shows.

The pairing of http.server with itself is the oracle. A case that differs says where, and by which row of
differences.py. The cases stand in the five tables, hooks.py has their names.
"""

from pathlib import Path
from typing import Any

import pytest
from helpers import nothing_left_behind

from . import attribute_hooks, handler_hooks, life_hooks, server_hooks, stream_hooks
from .apps import make_folder
from .differences import DIFFERENCES
from .hooks import HOOKS, LIBRARIES, NAMES, ORACLE, Case, Hook, Pairing, Shown, show

TABLES = {
    "server": server_hooks,
    "life": life_hooks,
    "handler": handler_hooks,
    "stream": stream_hooks,
    "attribute": attribute_hooks,
}
OURS = [
    pairing
    for server in LIBRARIES
    for handler in LIBRARIES
    if (pairing := Pairing(server, handler)) != ORACLE
]
CASES = [(case, kind) for case in HOOKS for kind in case.kinds]


def name_of(value: Any) -> str:
    if isinstance(value, Hook):
        return value.case.__name__
    return "-under-".join(reversed(value)) if isinstance(value, Pairing) else str(value)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the file handlers serve."""
    return make_folder(tmp_path_factory.mktemp("hooks"))


@pytest.fixture(scope="module")
def oracle(tree: Path) -> Any:
    """What http.server shows, asked once."""
    known: dict[tuple[Case, str], Shown] = {}

    def ask(case: Case, kind: str) -> Shown:
        if (case, kind) not in known:
            known[case, kind] = show(case, ORACLE, kind, tree)
        return known[case, kind]

    return ask


@pytest.mark.parametrize("pairing", OURS, ids=name_of)
@pytest.mark.parametrize(("case", "kind"), CASES, ids=name_of)
def test_hook(case: Hook, kind: str, pairing: Pairing, tree: Path, oracle: Any) -> None:
    with nothing_left_behind():
        want = oracle(case.case, kind)
        if case.differs(pairing, kind):
            same, want = want, case.change(oracle(case.instead or case.case, kind))
            assert want != same, "http.server does the same"
        shown = show(case.case, pairing, kind, tree)
    assert shown.told == want.told
    assert shown.calls == want.calls
    assert shown.log == want.log


@pytest.mark.parametrize("table", TABLES)
def test_every_name_has_a_case(table: str) -> None:
    entered = {case.name for case in HOOKS if case.case.__module__ == TABLES[table].__name__}
    assert entered == set(NAMES[table])


@pytest.mark.parametrize("case", HOOKS, ids=name_of)
def test_a_case_shows_its_hook(case: Hook, oracle: Any) -> None:
    """Something is noted, so that an override which is not called is seen to be missing."""
    for kind in case.kinds:
        assert oracle(case.case, kind).calls


def test_the_names_of_cases_are_different() -> None:
    assert len({name_of(case) for case in HOOKS}) == len(HOOKS)


def test_the_rows_exist_and_apply() -> None:
    for case in HOOKS:
        where = [pairing for pairing in OURS for kind in case.kinds if case.differs(pairing, kind)]
        assert case.row in DIFFERENCES if case.row else not where
