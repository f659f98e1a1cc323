"""Merkle trees as in certificate transparency: RFC 9162, section 2.1, with SHA-256.

Pure functions. A tree of n leaves is known by the hashes of its complete subtrees: node (level,
number) stands over the leaves number * 2^level to (number + 1) * 2^level - 1. These never change
once they are there, so a log keeps them and adds to them. Hashes are 32 bytes everywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

Node = Callable[[int, int], bytes]
"""Gives the hash of a complete subtree, by level and number."""

EMPTY = hashlib.sha256(b"").digest()
"""Root of the tree without leaves."""


def leaf_hash(data: bytes) -> bytes:
    """Hash of a leaf's content."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of a node over two others."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def frontier(size: int) -> list[tuple[int, int]]:
    """(level, number) of the complete subtrees that a tree of `size` leaves consists of, the
    largest first: one for each bit of `size`."""
    found = []
    begin = 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            found.append((level, begin >> level))
            begin += 1 << level
    return found


def grow(edge: list[bytes], size: int, leaf: bytes) -> list[tuple[int, int, bytes]]:
    """Add a leaf to a tree that is known by its frontier.

    Args:
        edge: hashes of `frontier(size)`; becomes those of `frontier(size + 1)`.
        size: leaves before.
        leaf: hash of the new leaf.

    Returns:
        (level, number, hash) of each complete subtree that came about, the leaf first.
    """
    level, number, value = 0, size, leaf
    made = [(level, number, value)]
    while size >> level & 1:
        value = node_hash(edge.pop(), value)
        level, number = level + 1, number >> 1
        made.append((level, number, value))
    edge.append(value)
    return made


def root_of(edge: Sequence[bytes]) -> bytes:
    """Root of a tree from the hashes of its frontier."""
    if not edge:
        return EMPTY
    value = edge[-1]
    for left in reversed(edge[:-1]):
        value = node_hash(left, value)
    return value


def root(leaves: Iterable[bytes]) -> bytes:
    """Root of the tree over these leaf hashes."""
    edge: list[bytes] = []
    for size, leaf in enumerate(leaves):
        grow(edge, size, leaf)
    return root_of(edge)


def root_at(size: int, node: Node) -> bytes:
    """Root of the first `size` leaves of a tree that has at least as many."""
    return root_of([node(level, number) for level, number in frontier(size)])


def inclusion_proof(leaf: int, size: int, node: Node) -> list[bytes]:
    """Audit path of a leaf (RFC 9162, 2.1.3.1), the lowest hash first.

    Args:
        leaf: its index, 0 <= leaf < size.
        size: leaves of the tree that the proof is for.
    """
    if not 0 <= leaf < size:
        raise ValueError(f"leaf {leaf} is not in a tree of {size}")
    proof: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _half(end - begin)
        if leaf < middle:
            proof.append(_over(middle, end, node))
            end = middle
        else:
            proof.append(_over(begin, middle, node))
            begin = middle
    return proof[::-1]


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """Proof that a tree of `old` leaves is the beginning of one of `new` (RFC 9162, 2.1.4.1).

    Empty when both are of the same size. 0 < old <= new.
    """
    if not 0 < old <= new:
        raise ValueError(f"a tree of {old} is not the beginning of one of {new}")
    proof: list[bytes] = []
    begin, end, whole = 0, new, True
    while old != end:
        middle = begin + _half(end - begin)
        if old <= middle:
            proof.append(_over(middle, end, node))
            end = middle
        else:
            proof.append(_over(begin, middle, node))
            begin, whole = middle, False
    if not whole:
        proof.append(_over(begin, end, node))
    return proof[::-1]


def verify_inclusion(
    value: bytes, leaf: int, size: int, proof: Sequence[bytes], expected: bytes
) -> bool:
    """Whether the leaf with hash `value` is at index `leaf` of the tree of `size` leaves whose
    root is `expected` (RFC 9162, 2.1.3.2)."""
    if not 0 <= leaf < size:
        return False
    number, last = leaf, size - 1
    for other in proof:
        if last == 0:
            return False
        if number & 1 or number == last:
            value = node_hash(other, value)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            value = node_hash(value, other)
        number, last = number >> 1, last >> 1
    return last == 0 and value == expected


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the tree with `old_root` is the beginning of that with `new_root` (RFC 9162,
    2.1.4.2)."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    number, last = old - 1, new - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    before = after = path[0]
    for other in path[1:]:
        if last == 0:
            return False
        if number & 1 or number == last:
            before, after = node_hash(other, before), node_hash(other, after)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            after = node_hash(after, other)
        number, last = number >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root


def nodes_of(leaves: Iterable[bytes]) -> Node:
    """All complete subtrees over these leaf hashes, held in memory."""
    edge: list[bytes] = []
    known: dict[tuple[int, int], bytes] = {}
    for size, leaf in enumerate(leaves):
        for level, number, value in grow(edge, size, leaf):
            known[level, number] = value
    return lambda level, number: known[level, number]


def _half(size: int) -> int:
    """Largest power of two below `size`, for size > 1."""
    return 1 << (size - 1).bit_length() - 1


def _over(begin: int, end: int, node: Node) -> bytes:
    """Hash over the leaves from `begin` to `end`, as the tree is split there; both come from
    halving, so that `begin` is a multiple of every complete subtree inside."""
    offset = [(level, number + (begin >> level)) for level, number in frontier(end - begin)]
    return root_of([node(level, number) for level, number in offset])
