"""Every input of the corpora holds on its target; what once was found to fail is kept there."""

import pytest

from . import corpora
from .targets import TARGETS

KEPT = [(name, octets) for name in TARGETS for octets in corpora.read(name)]


@pytest.mark.parametrize("name", TARGETS)
def test_corpus(name: str) -> None:
    for octets in corpora.read(name):
        TARGETS[name](octets)


def test_every_target_has_a_corpus() -> None:
    assert {name for name, _ in KEPT} == set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_a_corpus_is_read_as_it_was_written(
    name: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = corpora.read(name)
    monkeypatch.setattr(corpora, "HERE", tmp_path)
    corpora.write(name, reversed(kept))
    assert corpora.read(name) == kept
