"""The mesh's triangles, and maps from face to face through them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from understudy.faces.pose import reference, rotation
from understudy.faces.reference import mirror_pairs
from understudy.faces.triangles import (
    EYES,
    INNER_LIPS,
    LOWER_LIP,
    UPPER_LIP,
    areas,
    polygon,
    surface_map,
    triangles,
)
from understudy.types import Floats, Pose

SIDE = 160


def head(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0, scale: float = 40.0) -> Floats:
    """The reference head, turned, in the middle of a picture of `SIDE` pixels."""
    turned = scale * reference().points @ rotation(Pose(yaw, pitch, roll)).T
    middle = np.array([SIDE / 2, SIDE / 2 - 10, 0])
    return np.asarray(turned + middle, np.float32)


ALL = np.ones(len(triangles()), bool)


def test_triangles_cover_every_point_once_each_way() -> None:
    names = triangles()
    assert names.min() == 0
    assert names.max() == 467
    assert len(np.unique(names)) == 468
    edges = Counter((int(one[i]), int(one[(i + 1) % 3])) for one in names for i in range(3))
    assert max(edges.values()) == 1
    rim = [edge for edge in edges if edge[::-1] not in edges]
    # A surface without holes: its rim is one ring and Euler's formula holds.
    undirected = {tuple(sorted(edge)) for edge in edges}
    assert 468 - len(undirected) + len(names) == 1
    after = dict(rim)
    start = at = rim[0][0]
    for _ in rim:
        at = after[at]
    assert at == start
    assert len(after) == len(rim)


def test_triangles_are_symmetric_and_face_the_camera() -> None:
    pairs = mirror_pairs(reference().points.astype(np.float64))
    known = {frozenset(one) for one in triangles().tolist()}
    assert all(frozenset(pairs[list(one)].tolist()) in known for one in known)
    assert (areas(reference().points) > 0).all()


def test_no_triangle_reaches_over_the_edge_of_eyes_or_mouth() -> None:
    edges = {
        frozenset((one[i], one[(i + 1) % 3])) for one in triangles().tolist() for i in range(3)
    }
    for ring in (INNER_LIPS, *EYES):
        sides = zip(ring.tolist(), np.roll(ring, -1).tolist(), strict=True)
        assert all(frozenset(side) in edges for side in sides)


def test_lips_hang_together_only_through_the_inside_of_the_mouth() -> None:
    upper, lower, ring = set(UPPER_LIP.tolist()), set(LOWER_LIP.tolist()), set(INNER_LIPS.tolist())
    both = [one for one in map(set, triangles().tolist()) if one & upper and one & lower]
    assert len(both) > 10
    # Two points of the upper lip hang over its edge, seen from the front.
    assert all(one <= ring | {42, 272} for one in both)


def test_a_head_turned_away_turns_its_back() -> None:
    assert (areas(head(yaw=180)) < 0).mean() > 0.97
    left, right = 234, 454
    names = triangles()
    turned = areas(head(yaw=60))
    sides = [turned[(names == point).any(1)] > 0 for point in (left, right)]
    assert {bool(side.all()) for side in sides} == {False, True}


@pytest.mark.parametrize(("yaw", "roll", "scale"), [(0, 0, 40), (25, 20, 33), (-50, -70, 25)])
def test_the_map_carries_points_onto_points(yaw: float, roll: float, scale: float) -> None:
    source, target = head(), head(yaw, 0, roll, scale)
    where, covered = surface_map(source, target, ALL, (SIDE, SIDE))
    assert where.shape == (SIDE, SIDE, 2)
    assert covered.shape == (SIDE, SIDE)
    names = triangles()
    front = areas(target) > 4
    middles = target[names[front], :2].mean(1)
    wanted = source[names[front], :2].mean(1)
    x, y = np.rint(middles).astype(int).T
    found = where[y, x]
    # A pixel's centre lies up to 0.7 px from the triangle's, and another triangle may hide it.
    close = np.linalg.norm(found - wanted, axis=1) < 3 * 40 / scale
    assert covered[y, x].all()
    assert close.mean() > 0.9


def test_a_face_onto_itself_is_the_identity() -> None:
    face = head(15, 5, -10)
    where, covered = surface_map(face, face, ALL, (SIDE, SIDE))
    y, x = np.nonzero(covered)
    assert covered.sum() > 5000
    assert np.abs(where[y, x] - np.stack([x, y], axis=1)).max() < 1e-2


def test_a_face_may_lie_outside_the_picture() -> None:
    for shift in (-1000, 75, 1000, 1e7):
        face = head() + np.array([shift, 0, 0], np.float32)
        where, covered = surface_map(head(), face, ALL, (SIDE, SIDE))
        assert np.isfinite(where).all()
        assert covered.any() == (shift == 75)


def test_a_collapsed_face_is_not_drawn() -> None:
    flat = head()
    flat[:] = flat[0]
    _, covered = surface_map(head(), flat, ALL, (SIDE, SIDE))
    assert not covered.any()


def test_polygon() -> None:
    square = np.array([[2, 2], [5, 2], [5, 4], [2, 4]], np.float32)
    drawn = polygon(square, (8, 9))
    assert drawn.shape == (8, 9)
    assert drawn[2:5, 2:6].all()
    assert drawn.sum() == 12
