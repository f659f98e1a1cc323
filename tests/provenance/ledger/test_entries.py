"""What an entry is, and that nothing personal gets in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.errors import TrustError
from understudy.provenance.ledger.entries import canonical
from understudy.provenance.ledger.ledger import Ledger
from understudy.runtime.installation import Home


@pytest.fixture
def at(home: Path) -> Home:
    return Home(home)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("render", {"person": "ada"}),
        ("render", {"file": "/home/ada/film.mp4"}),
        ("render", {"people": ["ab" * 32, "Ada Lovelace"]}),
        ("render", {"rate": 0.5}),
        ("render", {"time": "2026-01-31T12:00:00Z"}),
        ("render", {"Name": 1}),
        ("render", {"nested": {"a": "ab" * 32}}),
        ("ada", {}),
    ],
)
def test_nothing_personal_gets_in(at: Home, kind: str, values: dict[str, object]) -> None:
    with Ledger.open(at) as log:
        with pytest.raises(TrustError):
            log.append(kind, values)  # type: ignore[arg-type]
        assert len(log) == 0


@settings(deadline=None)
@given(st.dictionaries(st.from_regex("[a-z][a-z0-9_]{0,9}", fullmatch=True), st.integers()))
def test_canonical_json_reads_back_and_has_one_form(values: dict[str, int]) -> None:
    text = canonical(values)
    assert json.loads(text) == values
    assert canonical(dict(reversed(list(json.loads(text).items())))) == text
    assert text.isascii()
    assert " " not in text
