"""Checkpoints are signed notes."""

from __future__ import annotations

import pytest

from tests.support.forged_ledgers import SIZE
from understudy.errors import TrustError
from understudy.provenance.ledger import signed_checkpoint as checkpoint_module
from understudy.provenance.ledger.ledger import Ledger
from understudy.provenance.ledger.signed_checkpoint import Checkpoint
from understudy.runtime import keys
from understudy.runtime.installation import Home


def test_a_checkpoint_is_a_signed_note(filled: Home) -> None:
    with Ledger.open(filled) as log:
        checkpoint = log.checkpoint()
        assert log.checkpoint() == checkpoint
        assert [one.size for one in log.checkpoints()] == list(range(1, SIZE + 1))
    key = keys.operator_key(filled).public_key()
    name = f"understudy/{keys.key_id(key)}"
    lines = checkpoint.note.split("\n")
    assert lines[:2] == [name, str(SIZE)]
    assert lines[4] == lines[6] == ""
    assert lines[5].startswith(f"— {name} ")
    assert checkpoint.signed_by(key)
    assert Checkpoint.parse(checkpoint.note) == checkpoint


def test_the_key_hash_is_that_of_signed_notes() -> None:
    """The example in the documentation of Go's package `note`."""
    public = keys.public_key("GlzZBxQ8OExB6DDFvOEqqIF+xWSaqr8sMTiLNbLXRNY=")
    assert checkpoint_module._key_hash("PeterNeumann", public).hex() == "c74f20a3"


@pytest.mark.parametrize(
    ("old", "new"),
    [("\n10\n", "\n11\n"), ("\n10\n", "\n010\n"), ("time 2", "time 3"), ("\n\n", "\n")],
)
def test_a_changed_checkpoint_is_none(filled: Home, old: str, new: str) -> None:
    with Ledger.open(filled) as log:
        note = log.checkpoint().note
    assert old in note
    try:
        changed = Checkpoint.parse(note.replace(old, new, 1))
    except TrustError:
        return
    assert not changed.signed_by(keys.operator_key(filled).public_key())
