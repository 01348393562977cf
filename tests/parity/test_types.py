"""guess_type() against http.server's, for every extension that mimetypes knows, in every case.

Some of its tables are for extensions in lower case, some are not, and some extensions stand for two.
"""

import http.server
import mimetypes
from typing import Any

import pytest

import fastserve

mimetypes.init()
TABLES = mimetypes.suffix_map, mimetypes.encodings_map, mimetypes.types_map, mimetypes.common_types
KNOWN = sorted({*(extension for table in TABLES for extension in table), ".unknown", ".", ""})
FORMS = ["a{}", "a.tar{}", "a.html{}", "a.HTML{}", "/a.b/c{}", "a{}.gz", "a{}.GZ", "a{}.br", "a{}.Z"]


def guess(library: Any, name: str) -> str:
    kind = library.SimpleHTTPRequestHandler
    guessed: str = kind.guess_type(kind.__new__(kind), name)
    return guessed


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
def test_guess_type(form: str, case: Any) -> None:
    names = [form.format(case(extension)) for extension in KNOWN]
    wanted = {name: guess(http.server, name) for name in names}
    assert {name: guess(fastserve, name) for name in names} == wanted
