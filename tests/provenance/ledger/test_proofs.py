"""Proofs hold without their ledger, and changed ones do not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.forged_ledgers import SIZE, sha
from understudy.errors import TrustError
from understudy.provenance.ledger import merkle
from understudy.provenance.ledger.ledger import Ledger
from understudy.provenance.ledger.proofs import verify_proof
from understudy.provenance.ledger.signed_checkpoint import Checkpoint
from understudy.runtime import keys
from understudy.runtime.installation import Home


def test_a_proof_goes_without_its_ledger(filled: Home) -> None:
    with Ledger.open(filled) as log:
        proofs = [json.loads(json.dumps(log.prove(leaf))) for leaf in range(SIZE)]
    for leaf, proof in enumerate(proofs):
        proved = verify_proof(proof)
        assert proved.entry.leaf == leaf
        assert proved.entry.values["sha256"] == sha(leaf)
        assert verify_proof(proof, proved.checkpoint.key_id) == proved
        with pytest.raises(TrustError, match="not by 0011223344556677"):
            verify_proof(proof, "0011223344556677")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("leaf", 3),
        ("leaf", "x"),
        ("leaf", True),
        ("leaf", 10.0),
        ("entry", {"kind": "render"}),
        ("entry", None),
        ("inclusion", []),
        ("inclusion", ["zz"]),
        ("checkpoint", "no"),
        ("public_key", "AAAA"),
        ("format", "other"),
        ("anchors", [{}]),
    ],
)
def test_a_changed_proof_does_not_hold(filled: Home, name: str, value: object) -> None:
    with Ledger.open(filled, every=100) as log:
        log.append_all([("render", {"record": 99}), ("render", {"record": 98})])
        log.checkpoint()
        proof = log.prove(SIZE)
    with pytest.raises(TrustError):
        verify_proof({**proof, name: value})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.data())
def test_no_nonsense_is_a_proof(proof: dict[str, object], data: st.DataObject) -> None:
    changed = dict(proof)
    name = data.draw(st.sampled_from(sorted(proof)))
    changed[name] = data.draw(JSON)
    if changed != proof and name != "anchors":
        with pytest.raises(TrustError):
            verify_proof(changed)


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    with Ledger.open(Home(tmp_path_factory.mktemp("ledger")), every=9) as log:
        log.append_all([("render", {"record": number}) for number in range(9)])
        return log.prove(4)


def test_another_key_cannot_sign_for_this_one(filled: Home, tmp_path: Path) -> None:
    with Ledger.open(filled) as log:
        proof = log.prove(0)
    other = keys.operator_key(Home(tmp_path)).public_key()
    with pytest.raises(TrustError, match="checkpoint is wrong"):
        verify_proof({**proof, "public_key": keys.public_text(other)})


def test_checkpoints_continue_one_another(filled: Home) -> None:
    with Ledger.open(filled) as log:
        every = log.checkpoints()
        for old in every:
            for new in every[old.size - 1 :]:
                proof = log.prove_consistency(old, new)
                assert merkle.verify_consistency(old.size, new.size, old.root, new.root, proof)
        key = keys.operator_key(filled)
        other = Checkpoint.sign(key, 4, bytes(32), datetime.now(UTC))
        with pytest.raises(TrustError, match="of 10 entries does not continue the one of 4"):
            log.prove_consistency(other, every[-1])
