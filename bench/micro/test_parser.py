"""Reading a request head: `pytest bench/micro`. ratio.py compares the same readers in turns."""

import pytest
from parsers import BROWSER, EXPECTED, FIELDS, READERS


@pytest.mark.benchmark(group=f"a browser's request: {len(FIELDS)} headers, {len(BROWSER)} bytes")
@pytest.mark.parametrize("name", READERS)
def test_browser_request(benchmark, name):
    try:
        reader = READERS[name]()
    except ImportError as reason:
        pytest.skip(str(reason))
    assert reader.answer(reader.read()) == EXPECTED
    assert reader.answer(reader.read()) == EXPECTED, "the second request of a connection"
    benchmark(reader.read)
