"""The corpora of the fuzz targets, corpus/TARGET.txt: one input a line, with the escapes of Python's strings.

One file for a target, not one for an input, so that a change of it can be read. Knows no target.
"""

from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).parent / "corpus"


def read(target: str) -> list[bytes]:
    """The inputs kept for a target; none where nothing has been kept yet."""
    path = HERE / f"{target}.txt"
    if not path.exists():
        return []
    return [line.encode("ascii").decode("unicode_escape").encode("latin-1")
            for line in path.read_text("ascii").splitlines()]


def write(target: str, inputs: Iterable[bytes]) -> None:
    """Keep those inputs, the shortest first, and no others."""
    HERE.mkdir(exist_ok=True)
    ordered = sorted(set(inputs), key=lambda octets: (len(octets), octets))
    lines = [octets.decode("latin-1").encode("unicode_escape").decode("ascii") + "\n" for octets in ordered]
    (HERE / f"{target}.txt").write_text("".join(lines), "ascii")
