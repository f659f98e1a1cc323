"""DER."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.provenance.ledger.anchors.der import der, der_number, der_oid, der_values, read_oid


@settings(deadline=None)
@given(st.integers(0, 1 << 70), st.lists(st.integers(0, 1 << 30), min_size=1, max_size=5))
def test_der_reads_back(number: int, arcs: list[int]) -> None:
    oid = ".".join(map(str, (1, 2, *arcs)))
    encoded = der(0x30, der_number(number), der_oid(oid), der(0x04, bytes(300)))
    ((tag, content, whole),) = der_values(encoded)
    values = der_values(content)
    assert (tag, whole) == (0x30, encoded)
    assert int.from_bytes(values[0][1], "big", signed=True) == number
    assert read_oid(values[1]) == oid
    assert values[2][1] == bytes(300)
