"""An export is checked without the ledger."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.forged_ledgers import SIZE, told
from understudy.errors import TrustError
from understudy.provenance.ledger.export import verify_export
from understudy.provenance.ledger.ledger import Ledger
from understudy.runtime.installation import Home


def test_an_export_is_checked_without_the_ledger(filled: Home, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger.open(filled) as log:
        assert log.export(path) == SIZE
        key = log.checkpoint().key_id
    report = verify_export(path, key)
    assert (report.size, report.findings) == (SIZE, ())
    assert not verify_export(path, "0011223344556677").intact
    assert told(verify_export(path), "unknown")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda lines: [*lines[:5], *lines[6:]], "entry 4: removed"),
        (lambda lines: [*lines[:5], lines[5].replace('d":4', 'd":5'), *lines[6:]], "entry 4 ch"),
        (lambda lines: [*lines[:9], *lines[11:]], "entries 8 to 9 of it missing"),
        (lambda lines: [line.replace("\\ntime 2", "\\ntime 3") for line in lines], "signature"),
    ],
)
def test_a_changed_export_is_found(
    filled: Home, tmp_path: Path, change: Callable[[list[str]], list[str]], expected: str
) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger.open(filled) as log:
        log.export(path)
    path.write_text("\n".join(change(path.read_text().splitlines())))
    assert any(expected in one for one in told(verify_export(path)))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format":"x"}', "\x00", '{"size":1}'])
def test_what_is_no_export_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text(text)
    with pytest.raises(TrustError, match="not an export of a ledger"):
        verify_export(path)
