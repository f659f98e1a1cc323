"""Merkle trees, with the test data of certificate transparency for eight leaves."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.provenance.ledger import merkle

LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
HASHES = [merkle.leaf_hash(one) for one in LEAVES]

INCLUSION = {
    (0, 1): (),
    (0, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (5, 8): (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 3): ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",),
    (1, 5): (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}
CONSISTENCY = {
    (1, 1): (),
    (1, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (6, 8): (
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 5): (
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}


def defined(leaves: list[bytes]) -> bytes:
    """The root by the definition (RFC 9162, 2.1.1), word for word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\x01" + defined(leaves[:half]) + defined(leaves[half:])).digest()


def test_roots_are_the_known_ones() -> None:
    assert merkle.root([]) == merkle.EMPTY == hashlib.sha256().digest()
    for size, expected in enumerate(ROOTS, 1):
        assert merkle.root(HASHES[:size]).hex() == expected


@pytest.mark.parametrize(("leaf", "size"), INCLUSION)
def test_inclusion_proofs_are_the_known_ones(leaf: int, size: int) -> None:
    proof = merkle.inclusion_proof(leaf, size, merkle.nodes_of(HASHES))
    assert tuple(one.hex() for one in proof) == INCLUSION[leaf, size]


@pytest.mark.parametrize(("old", "new"), CONSISTENCY)
def test_consistency_proofs_are_the_known_ones(old: int, new: int) -> None:
    proof = merkle.consistency_proof(old, new, merkle.nodes_of(HASHES))
    assert tuple(one.hex() for one in proof) == CONSISTENCY[old, new]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=8), max_size=70))
def test_the_root_is_as_defined(leaves: list[bytes]) -> None:
    values = [merkle.leaf_hash(one) for one in leaves]
    assert merkle.root(values) == defined(leaves)
    nodes = merkle.nodes_of(values)
    for size in range(len(leaves) + 1):
        assert merkle.root_at(size, nodes) == defined(leaves[:size])


def many(size: int) -> list[bytes]:
    return [merkle.leaf_hash(str(number).encode()) for number in range(size)]


@settings(deadline=None)
@given(st.data(), st.integers(1, 600))
def test_every_leaf_can_be_proved_and_no_other(data: st.DataObject, size: int) -> None:
    leaf = data.draw(st.integers(0, size - 1))
    leaves = many(size)
    root = merkle.root(leaves)
    proof = merkle.inclusion_proof(leaf, size, merkle.nodes_of(leaves))
    assert len(proof) <= (size - 1).bit_length()
    assert merkle.verify_inclusion(leaves[leaf], leaf, size, proof, root)
    wrong = merkle.leaf_hash(b"other")
    assert not merkle.verify_inclusion(wrong, leaf, size, proof, root)
    assert not merkle.verify_inclusion(leaves[leaf], leaf, size, [*proof, wrong], root)
    assert not merkle.verify_inclusion(leaves[leaf], leaf, size, proof, wrong)
    other = data.draw(st.integers(-1, size + 1).filter(lambda one: one != leaf))
    assert not merkle.verify_inclusion(leaves[leaf], other, size, proof, root)
    for place in range(len(proof)):
        bent = [*proof[:place], wrong, *proof[place + 1 :]]
        assert not merkle.verify_inclusion(leaves[leaf], leaf, size, bent, root)
        assert not merkle.verify_inclusion(
            leaves[leaf], leaf, size, [*proof[:place], *proof[place + 1 :]], root
        )


@settings(deadline=None)
@given(st.data(), st.integers(1, 600))
def test_every_beginning_can_be_proved_and_no_other(data: st.DataObject, new: int) -> None:
    old = data.draw(st.integers(1, new))
    leaves = many(new)
    roots = merkle.root(leaves[:old]), merkle.root(leaves)
    proof = merkle.consistency_proof(old, new, merkle.nodes_of(leaves))
    assert len(proof) <= new.bit_length() + 1
    assert merkle.verify_consistency(old, new, *roots, proof)
    wrong = merkle.leaf_hash(b"other")
    assert not merkle.verify_consistency(old, new, wrong, roots[1], proof)
    assert not merkle.verify_consistency(old, new, roots[0], wrong, proof)
    assert not merkle.verify_consistency(old, new, *roots, [*proof, wrong])
    for place in range(len(proof)):
        bent = [*proof[:place], wrong, *proof[place + 1 :]]
        assert not merkle.verify_consistency(old, new, *roots, bent)
        assert not merkle.verify_consistency(
            old, new, *roots, [*proof[:place], *proof[place + 1 :]]
        )


def test_what_cannot_be_proved_is_refused() -> None:
    nodes = merkle.nodes_of(HASHES)
    for leaf, size in ((-1, 8), (8, 8), (0, 0)):
        with pytest.raises(ValueError, match="not in a tree"):
            merkle.inclusion_proof(leaf, size, nodes)
    for old, new in ((0, 8), (5, 4)):
        with pytest.raises(ValueError, match="not the beginning"):
            merkle.consistency_proof(old, new, nodes)
        assert not merkle.verify_consistency(old, new, HASHES[0], HASHES[0], [])
