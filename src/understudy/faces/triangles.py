"""The mesh as a surface: its triangles, and what is seen through them from face to face.

The triangles are the Delaunay triangulation of the reference head seen from the front, changed so
that no triangle reaches over the inner edge of the lips: upper and lower lip hang together only
through the triangles inside of the mouth.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.faces.masks import EYES_AND_BROWS
from understudy.faces.pose import reference
from understudy.types import Float64s, Floats

UPPER_LIP = np.array([191, 80, 81, 82, 13, 312, 311, 310, 415])
LOWER_LIP = np.array([95, 88, 178, 87, 14, 317, 402, 318, 324])
CORNERS = np.array([78, 308])
"""Inner edge of the lips, each from image left to image right."""

INNER_LIPS = np.concatenate([CORNERS[:1], UPPER_LIP, CORNERS[1:], LOWER_LIP[::-1]])
"""The ring around the inside of the mouth."""

EYES = EYES_AND_BROWS[:2]
"""The rings of lid points around the inside of the eyes."""

EDGE_ON = 0.01
"""Square pixels up to which a triangle counts as seen edge on."""

SUBPIXEL = 4
"""Bits after the point of coordinates that polygons are drawn with."""

Indices = NDArray[np.intp]


def _delaunay(points: Float64s) -> list[tuple[int, ...]]:
    """The Delaunay triangulation of points (n, 2): numbers of each triangle's points, clockwise
    in a picture."""
    fine = 100 * (points - points.min(0) + 1)
    width, height = (int(value) + 101 for value in fine.max(0))
    plane = cv2.Subdiv2D((0, 0, width, height))
    numbers = {plane.insert((float(x), float(y))): n for n, (x, y) in enumerate(fine)}
    found = []
    for corners in np.asarray(plane.getTriangleList(), np.float32).reshape(-1, 3, 2):
        # Triangles with the plane's own outermost corners are not part of the head.
        if (corners < 0).any() or (corners >= (width, height)).any():
            continue
        names = [numbers[plane.findNearest((float(x), float(y)))[0]] for x, y in corners]
        found.append(tuple(names if _turn(points[names]) > 0 else names[::-1]))
    return found


def _with_edge(
    found: list[tuple[int, ...]], points: Float64s, start: int, end: int
) -> list[tuple[int, ...]]:
    """The same triangles, changed so that the line between two points is an edge.

    Sloan, "A fast algorithm for generating constrained Delaunay triangulations", 1993: edges that
    cross the line are flipped within their two triangles until none does.
    """

    at = points.tolist()

    def beside(a: int, b: int, c: int) -> float:
        (ax, ay), (bx, by), (cx, cy) = at[a], at[b], at[c]
        return float((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))

    def crosses(a: int, b: int, c: int, d: int) -> bool:
        apart = len({a, b, c, d}) == 4
        return apart and (
            beside(a, b, c) * beside(a, b, d) < 0 and beside(c, d, a) * beside(c, d, b) < 0
        )

    for _ in range(len(found)):
        owner = {(t[i], t[(i + 1) % 3]): t for t in found for i in range(3)}
        for (a, b), one in owner.items():
            if b < a or (b, a) not in owner or not crosses(start, end, a, b):
                continue
            other = owner[b, a]
            c, d = (set(one) - {a, b}).pop(), (set(other) - {a, b}).pop()
            if crosses(a, b, c, d):
                found = [t for t in found if t not in (one, other)] + [(c, a, d), (d, b, c)]
                break
        else:
            return found
    raise ValueError(f"no edge can be laid from {start} to {end}")


@cache
def triangles() -> Indices:
    """Point numbers of the mesh's triangles, (n, 3), each clockwise in the picture of a head
    that faces the camera; sorted, and the same on every machine."""
    points = reference().points[:, :2].astype(np.float64)
    found = _delaunay(points)
    for start, end in zip(INNER_LIPS.tolist(), np.roll(INNER_LIPS, -1).tolist(), strict=True):
        found = _with_edge(found, points, start, end)
    ordered = [names[(least := names.index(min(names))) :] + names[:least] for names in found]
    result: Indices = np.array(sorted(ordered), np.intp)
    result.setflags(write=False)
    return result


def _turn(corners: NDArray[np.floating]) -> NDArray[np.floating]:
    """Twice the area of triangles (..., 3, 2), below 0 when they turn counterclockwise."""
    a, b = corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :]
    area: NDArray[np.floating] = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return area


def areas(landmarks: NDArray[np.floating]) -> Float64s:
    """Area of every triangle in the picture, (n,), square pixels; below 0 when it turns its back.

    Args:
        landmarks: (468, 2 or more), pixels.
    """
    result: Float64s = _turn(landmarks[triangles(), :2].astype(np.float64)) / 2
    return result


def polygon(points: NDArray[np.floating], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels inside a ring of points (n, 2), as bool of `shape` (height, width)."""
    drawn = np.zeros(shape, np.uint8)
    cv2.fillPoly(drawn, [_fixed(points)], 1, shift=SUBPIXEL)
    return drawn.astype(np.bool_)


def _fixed(points: NDArray[np.floating]) -> NDArray[np.int32]:
    limit = 2.0**24
    scaled = np.clip(points[..., :2].astype(np.float64) * 2**SUBPIXEL, -limit, limit)
    result: NDArray[np.int32] = np.rint(scaled).astype(np.int32)
    return result


def surface_map(
    source: Floats, target: Floats, shown: NDArray[np.bool_], shape: tuple[int, int]
) -> tuple[Floats, NDArray[np.bool_]]:
    """The position of every pixel of a face on another picture's face: piecewise affine.

    Nearer triangles hide farther ones; those that turn their back, or are seen edge on, are not
    drawn.

    Args:
        source: float32 (468, 2 or more), pixels of the picture to look up.
        target: float32 (468, 3), pixels of the picture to make.
        shown: (n,) which of the `triangles` to draw.
        shape: height and width of the picture to make.

    Returns:
        float32 (h, w, 2): x and y in the source, any value where nothing is drawn; and bool
        (h, w): where something is.
    """
    names = triangles()
    order = np.argsort(-target[names, 2].mean(1), kind="stable")
    order = order[(shown & (areas(target) > EDGE_ON))[order]]
    corners = _fixed(target[names])
    drawn = np.full(shape, -1, np.int32)
    for number in order:
        cv2.fillConvexPoly(drawn, corners[number], int(number), shift=SUBPIXEL)
    covered = drawn >= 0

    flat = np.concatenate([target[:, :2], np.ones((len(target), 1), np.float32)], axis=1)
    matrices = np.zeros((len(names), 3, 2))
    matrices[order] = np.linalg.solve(
        flat[names[order]].astype(np.float64), source[names[order], :2].astype(np.float64)
    )
    rows, columns = np.nonzero(covered)
    each = matrices.astype(np.float32)[drawn[rows, columns]]
    x, y = columns.astype(np.float32)[:, None], rows.astype(np.float32)[:, None]
    found = np.zeros((*shape, 2), np.float32)
    found[rows, columns] = each[:, 0] * x + each[:, 1] * y + each[:, 2]
    return found, covered
