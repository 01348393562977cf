"""Accept-Encoding: what a client would rather have."""

import pytest

from fastserve.handlers.codings import KEPT_LENGTH, acceptable

ALL = ("br", "zstd", "gzip", "identity")


@pytest.mark.parametrize(("value", "expected"), [
    ("", ("identity",)),
    ("identity", ("identity",)),
    ("gzip", ("gzip", "identity")),
    ("gzip, deflate, br, zstd", ALL),
    ("zstd, br, gzip", ALL),
    ("GZIP", ("gzip", "identity")),
    ("x-gzip", ("gzip", "identity")),
    ("*", ALL),
    # Weights (RFC 9110 12.4.2, 12.5.3).
    ("gzip;q=1.0, br;q=0.5", ("gzip", "br", "identity")),
    ("gzip;q=0.5, br;q=0.501", ("br", "gzip", "identity")),
    ("gzip ; q=0.5 ,br ;\tQ=0.4", ("gzip", "br", "identity")),
    ("gzip;q=0", ("identity",)),
    ("gzip;q=0.000, br", ("br", "identity")),
    ("gzip;q=1.000", ("gzip", "identity")),
    ("gzip;q=0.001", ("gzip", "identity")),
    ("*;q=0.5, gzip", ("gzip", "br", "zstd", "identity")),
    ("*;q=0.5, br;q=0", ("zstd", "gzip", "identity")),
    ("br;q=0.5, identity;q=0.7", ("identity", "br")),
    ("br;q=0.5, identity;q=0.5", ("br", "identity")),
    # Without the file itself.
    ("identity;q=0", ()),
    ("*;q=0", ()),
    ("gzip, identity;q=0", ("gzip",)),
    ("gzip, *;q=0", ("gzip",)),
    ("*;q=0, identity", ("identity",)),
    ("*;q=0, identity;q=0.1", ("identity",)),
    # What nobody can read says nothing.
    ("gzip;q=2", ("identity",)),
    ("gzip;q=0.1234", ("identity",)),
    ("gzip;q=-1", ("identity",)),
    ("gzip;q=", ("identity",)),
    ("gzip;level=9", ("identity",)),
    ("gzip br", ("identity",)),
    ("gzip,,br", ("br", "gzip", "identity")),
    ("deflate, compress, sdch", ("identity",)),
    ("gzipped", ("identity",)),
    ("\xe4", ("identity",)),
])
def test_acceptable(value: str, expected: tuple[str, ...]) -> None:
    assert acceptable(value) == expected


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_long_fields(over: int) -> None:
    value = "gzip" + "," * (KEPT_LENGTH - 4 + over)
    assert acceptable(value) == acceptable(value) == ("gzip", "identity")
