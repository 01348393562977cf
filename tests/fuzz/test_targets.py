"""What holds on the fuzz targets: of the corpora, where all that once failed is kept, and of what is like it.

run.py looks for more, with a build of its own and for as long as it is given.
"""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from . import corpora
from .targets import TARGETS

INPUTS = {name: corpora.read(name) for name in TARGETS}


@pytest.mark.parametrize("name", TARGETS)
def test_corpus(name: str) -> None:
    for octets in INPUTS[name]:
        TARGETS[name](octets)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
def test_other_octets(name: str, data: st.DataObject) -> None:
    """The beginning of one input, a few octets, and the end of another."""
    one, other = (data.draw(st.sampled_from(INPUTS[name])) for _ in range(2))
    start, stop = data.draw(st.integers(0, len(one))), data.draw(st.integers(0, len(other)))
    TARGETS[name](one[:start] + data.draw(st.binary(max_size=4)) + other[stop:])


def test_every_target_has_a_corpus() -> None:
    assert all(INPUTS.values())


@pytest.mark.parametrize("name", TARGETS)
def test_a_corpus_is_read_as_it_was_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpora, "HERE", tmp_path)
    corpora.write(name, reversed(INPUTS[name]))
    assert corpora.read(name) == INPUTS[name]
