"""The harness's own judgement: which rounds of wrk count. What it measures is no matter of tests."""

import pytest
from load import Load


@pytest.mark.parametrize(("octets", "right"), [
    (1000 * 151, True),
    (1000 * 151 + 64 * 120, True),  # 64 heads read, their bodies cut off by the end of the time
    (1000 * 180, False),
    (1000 * 120, False),
])
def test_a_round_counts_if_its_answers_are_those_that_were_checked(octets: int, right: bool) -> None:
    seen = Load(requests=1000, seconds=1.0, bytes=octets, errors=0, p50_us=1, p99_us=1)
    assert seen.consists_of(151, connections=64) is right
