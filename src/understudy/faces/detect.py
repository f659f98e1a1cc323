"""Find faces: BlazeFace short range and full range, and tiles where faces may be small.

Networks: Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs"
(2019), the short range file (128 px, faces that fill a good part of the frame) and the full
range file (192 px, smaller faces). Both answer with one row per anchor: box centre and size,
then six points, all relative to the anchor's centre and in pixels of the input; and one logit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.faces.runtime import TfliteNetwork
from understudy.types import Box, Floats, Image

LOGIT_LIMIT = 100.0
"""Logits are clipped to this before the sigmoid, so that it cannot overflow."""

CANDIDATE = 0.35
"""Score from which a place is worth a second look."""

SURE = 0.75
"""Score from which no second look is needed: above what anything but a face was seen to get."""

WEAK = 0.4
"""Score after the second look below which a candidate is dropped."""

FIRM = 0.72
"""Score from which a candidate is a face even where the mesh has doubts: above the 0.68 that a
bottle cap and a galaxy reached, the highest in pictures without faces."""

CLOSER = 6.0
"""Side of the second look, in widths of the candidate: it then is as large in the network's
input as the faces that the network was trained on."""

SMALLEST_IN_TILE = 14.0
"""Width in pixels of the full range network's input from which it finds faces well."""

SHORT_LOOKS = (2.5, 3.5, 5.0)
FULL_LOOKS = (4.0, 6.0, 9.0)
"""Sides of the looks of both networks at a doubtful place, in widths of the candidate."""

BOTH = 0.45
"""Median score that each network must give a doubtful place."""

TOGETHER = 0.515
"""Mean of both medians that a doubtful place must reach: bottle caps were seen to get 0.49."""

UPRIGHT = 0.2
"""By how much that mean must lie above the one of the picture upside down: galaxies and fists,
which have no up and down, were seen to reach 0.18, small faces no less than 0.23."""

SAME_PLACE = 0.4
NEAR_PLACE = 0.15
"""Overlap from which a candidate is the one looked at; boxes upside down lie elsewhere."""

WIDER = 1.6
"""Side of the look at a frame and its surroundings, in longest sides of the frame: what fills
the picture or leaves it becomes as large as the faces that the networks were trained on."""

WIDE = 0.5
"""Median score of the looks at the whole frame from which it holds a face."""

AT_EDGE = (1.3, 1.0)
"""Sides of the looks at the frame's edges, in heights of the frame."""

HALF = 0.5
"""Score that a face cut by the edge must get in both of these looks."""


@dataclass(frozen=True)
class Detection:
    """A face candidate.

    Attributes:
        box: (x0, y0, x1, y1), pixels of the frame; from the brows to the chin.
        score: 0..1.
        keypoints: float32 (6, 2), pixels of the frame: the eye at image left, the eye at image
            right, nose tip, mouth, the ear at image left, the ear at image right (of an
            upright face).
    """

    box: Box
    score: float
    keypoints: Floats


@dataclass(frozen=True)
class Region:
    """A square part of a frame: upper left corner and side, in pixels; may reach outside."""

    x: float
    y: float
    side: float


def anchors(side: int, layers: Sequence[tuple[int, int]]) -> Floats:
    """Anchor centres in pixels of the input, float32 (n, 2), in the order of the outputs.

    Args:
        side: of the input.
        layers: (stride, anchors per cell) of each output layer.
    """
    parts = []
    for stride, count in layers:
        cells = side // stride
        ys, xs = np.mgrid[:cells, :cells].astype(np.float32)
        centres = np.stack([(xs + 0.5) * stride, (ys + 0.5) * stride], axis=-1)
        parts.append(centres.reshape(-1, 1, 2).repeat(count, axis=1).reshape(-1, 2))
    return np.concatenate(parts)


def overlap(box: NDArray[np.floating], boxes: NDArray[np.floating]) -> NDArray[np.floating]:
    """Intersection over union of `box` (4,) with `boxes` (n, 4), or the share of the smaller
    one that is covered, scaled down, whichever is larger.

    The second term catches a part of a face inside the whole face. Returns (n,), 0..1.
    """
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    inside = np.prod(np.clip(high - low, 0, None), axis=1)
    area = float(np.prod(box[2:] - box[:2]))
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    union = np.maximum(area + areas - inside, 1e-9)
    smaller = np.maximum(np.minimum(area, areas), 1e-9)
    result: NDArray[np.floating] = np.maximum(inside / union, 0.6 * inside / smaller)
    return result


def merge(rows: Floats, scores: Floats, limit: float = 0.3) -> list[tuple[Floats, float]]:
    """Weighted non-maximum suppression (BlazeFace, section 3.4).

    Candidates that overlap the best one are averaged with their scores as weights, which is
    steadier from frame to frame than keeping the best.

    Args:
        rows: float32 (n, 16), x0, y0, x1, y1 and six points.
        scores: float32 (n,).

    Returns:
        (row, best score) of each face, best first.
    """
    order = np.argsort(-scores, kind="stable")
    faces = []
    while order.size:
        best = order[0]
        same = overlap(rows[best, :4], rows[order, :4]) >= limit
        same[0] = True
        group = order[same]
        # A part of the face, or another network's idea of the box, must not bend the mean.
        sides = rows[group, 2] - rows[group, 0]
        near = np.abs(np.log(np.maximum(sides, 1e-6) / sides[0])) < 0.35
        group = group[near]
        weights = scores[group] / scores[group].sum()
        faces.append(((weights[:, None] * rows[group]).sum(axis=0), float(scores[best])))
        order = order[~same]
    return faces


def tiles(width: int, height: int, side: int) -> list[Region]:
    """Squares of `side` that cover the frame, each overlapping the next by at least a third."""

    def starts(length: int) -> list[float]:
        if length <= side:
            return [(length - side) / 2]
        count = int(np.ceil((length - side) / (side * 2 / 3))) + 1
        return [float(v) for v in np.linspace(0, length - side, count)]

    return [Region(x, y, side) for y in starts(height) for x in starts(width)]


class BlazeFace:
    """One of the two networks on one square region.

    Args:
        path: the .tflite file.
        layers: (stride, anchors per cell) of each output layer.
        threshold: score from which a candidate counts.
    """

    def __init__(self, path: Path, layers: Sequence[tuple[int, int]], threshold: float) -> None:
        self.network = TfliteNetwork(path)
        self.side = self.network.side
        self.threshold = threshold
        self._anchors = anchors(self.side, layers)
        self._logit = float(np.log(threshold / (1 - threshold)))

    def candidates(
        self, image: Image, region: Region, mirrored: bool = False
    ) -> tuple[Floats, Floats]:
        """Rows (n, 16) in pixels of the frame and scores (n,) above the threshold, unmerged.

        Args:
            mirrored: show the network the region's mirror image; the answer is for the region.
        """
        square = _cut(image, region, self.side)
        if mirrored:
            square = np.ascontiguousarray(square[:, ::-1])
        values, logits = self.network(square.astype(np.float32) * np.float32(1 / 127.5) - 1)
        flat = logits.reshape(-1)
        found = np.flatnonzero(flat > self._logit)
        rows = values[found].astype(np.float32)
        centres = self._anchors[found]
        middle, size = rows[:, :2] + centres, rows[:, 2:4].copy()
        points = rows[:, 4:].reshape(-1, 6, 2) + centres[:, None]
        corners = np.stack([middle - size / 2, middle + size / 2, *points.transpose(1, 0, 2)], 1)
        if mirrored:
            corners[..., 0] = self.side - corners[..., 0]
            corners[:, :2, 0] = corners[:, 1::-1, 0]
            corners[:, 2:] = corners[:, [3, 2, 4, 5, 7, 6]]
        origin = np.array([region.x - 0.5, region.y - 0.5], np.float32)
        frame = corners * np.float32(region.side / self.side) + origin
        clipped = np.clip(flat[found], -LOGIT_LIMIT, LOGIT_LIMIT)
        scores = (1 / (1 + np.exp(-clipped))).astype(np.float32)
        return frame.reshape(-1, 16).astype(np.float32), scores


def _cut(image: Image, region: Region, size: int) -> Image:
    """The region as (size, size, 3), black outside the frame."""
    height, width = image.shape[:2]
    x0, y0 = max(0, round(region.x)), max(0, round(region.y))
    x1 = min(width, round(region.x + region.side))
    y1 = min(height, round(region.y + region.side))
    scale = size / region.side
    w = max(1, min(size, round((x1 - x0) * scale)))
    h = max(1, min(size, round((y1 - y0) * scale)))
    part = image[y0:y1, x0:x1]
    # Averaging over whole pixels is ten times as fast as over parts of pixels; what is left to
    # shrink after it, by less than two, a linear look-up does without skipping anything.
    whole = int(1 / scale)
    if whole > 1 and min(part.shape[:2]) >= whole:
        rows, columns = part.shape[0] // whole, part.shape[1] // whole
        even = part[: rows * whole, : columns * whole]
        smaller = cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA)
        part = np.asarray(smaller, np.uint8)
    small = cv2.resize(part, (w, h), interpolation=cv2.INTER_LINEAR)
    square = np.zeros((size, size, 3), np.uint8)
    left = min(size - w, max(0, round((x0 - region.x) * scale)))
    top = min(size - h, max(0, round((y0 - region.y) * scale)))
    square[top : top + h, left : left + w] = small
    return square


class Detector:
    """Both networks and tiles behind one call.

    Args:
        short_range, full_range: the .tflite files.
        min_face: width in pixels of the smallest face worth finding.
    """

    def __init__(self, short_range: Path, full_range: Path, min_face: float) -> None:
        self.min_face = min_face
        self._short = BlazeFace(short_range, [(8, 2), (16, 6)], CANDIDATE)
        self._full = BlazeFace(full_range, [(4, 1)], CANDIDATE)

    def tile_side(self) -> int:
        """Side of a tile in which the smallest wanted face is still found well."""
        return round(self._full.side * self.min_face / SMALLEST_IN_TILE)

    def detect(self, image: Image, thorough: bool = True) -> list[Detection]:
        """Faces in a frame, surest first.

        Args:
            image: RGB uint8 (height, width, 3).
            thorough: also search tiles where the frame is too large for its smallest wanted
                face to be seen as a whole; costs about a millisecond per tile.
        """
        height, width = image.shape[:2]
        longest = max(width, height)
        whole = Region((width - longest) / 2, (height - longest) / 2, longest)
        parts = [self._short.candidates(image, whole), self._full.candidates(image, whole)]
        side = self.tile_side()
        if thorough and longest > 1.25 * side:
            for region in tiles(width, height, side):
                rows, scores = self._full.candidates(image, region)
                keep = _whole_in_tile(rows, region, width, height)
                parts.append((rows[keep], scores[keep]))
        rows = np.concatenate([part[0] for part in parts])
        scores = np.concatenate([part[1] for part in parts])
        wide = rows[:, 2] - rows[:, 0] >= 0.8 * self.min_face
        found = []
        for row, first in merge(rows[wide], scores[wide]):
            x0, y0, x1, y1 = (float(v) for v in row[:4])
            score = first if first >= SURE else self._second_look(image, row, first)
            if x1 - x0 >= self.min_face and score >= WEAK:
                found.append(Detection((x0, y0, x1, y1), score, row[4:].reshape(6, 2)))
        return sorted(found, key=lambda detection: -detection.score)

    def likely(self, image: Image, detection: Detection) -> bool:
        """Whether a doubtful detection is a face, by two dozen looks at it.

        Both networks see the place from several distances, mirrored as well, and upside down.
        What only one of them takes for a face, or what looks the same upside down, is none.

        Args:
            image: RGB uint8 (height, width, 3), the picture in which it was found.
        """
        upright = self._looks(image, detection.box)
        together = sum(upright) / 2
        if min(upright) < BOTH or together < TOGETHER:
            return False
        x0, y0, x1, y1 = detection.box
        height = image.shape[0]
        turned = (x0, height - 1 - y1, x1, height - 1 - y0)
        return together - sum(self._looks(image[::-1], turned, NEAR_PLACE)) / 2 >= UPRIGHT

    def _looks(self, image: Image, box: Box, near: float = SAME_PLACE) -> tuple[float, float]:
        """Median score that each network gives a box, from several distances."""
        row = np.array(box, np.float32)
        middle, width = (row[:2] + row[2:]) / 2, float(row[2] - row[0])
        medians = []
        for network, sides in ((self._short, SHORT_LOOKS), (self._full, FULL_LOOKS)):
            scores = []
            for side in sides:
                x, y = (float(v) for v in middle - side * width / 2)
                region = Region(x, y, side * width)
                for mirrored in (False, True):
                    rows, again = network.candidates(image, region, mirrored)
                    scores.append(_score_at(row, rows, again, near))
            medians.append(float(np.median(scores)))
        return medians[0], medians[1]

    def hidden(self, image: Image) -> list[Detection]:
        """Large faces behind a hand or cut by an edge, for frames in which `detect` finds none.

        Args:
            image: RGB uint8 (height, width, 3).

        Returns:
            At most one in the frame, else at most one at the left and one at the right edge;
            their boxes may reach outside the frame.
        """
        height, width = image.shape[:2]
        longest = max(width, height)
        looks = []
        for side in (longest, WIDER * longest):
            region = Region((width - side) / 2, (height - side) / 2, side)
            for network in (self._short, self._full):
                looks += [network.candidates(image, region, turn) for turn in (False, True)]
        found = self._agreed(looks, WIDE, len(looks) // 2 + 1)
        if found is not None:
            return [found]
        return [face for x in (0, width) if (face := self._at_edge(image, float(x))) is not None]

    def _at_edge(self, image: Image, x: float) -> Detection | None:
        """A face that the left or right edge at `x` cuts: mirrored there, half a face is one."""
        height, width = image.shape[:2]
        room = min(width, round(max(AT_EDGE) * height / 2) + 1)
        wide = cv2.copyMakeBorder(image, 0, 0, room, room, cv2.BORDER_REFLECT)
        picture = np.asarray(wide, np.uint8)
        looks = []
        for share in AT_EDGE:
            side = share * height
            region = Region(x + room - side / 2, (height - side) / 2, side)
            looks.append(self._short.candidates(picture, region))
        found = self._agreed(looks, HALF, len(looks))
        if found is None or not found.box[0] < x + room < found.box[2]:
            return None
        # A coat or a bag that reaches out of the picture fools the short range network alone.
        looked = self._looks(picture, found.box)
        if min(looked) < BOTH or sum(looked) / 2 < TOGETHER:
            return None
        x0, y0, x1, y1 = found.box
        points = found.keypoints - np.array([room, 0], np.float32)
        return Detection((x0 - room, y0, x1 - room, y1), found.score, points)

    def _agreed(
        self, looks: list[tuple[Floats, Floats]], least: float, votes: int
    ) -> Detection | None:
        """The face to which at least `votes` of the looks give at least `least`."""
        rows = np.concatenate([look[0] for look in looks])
        scores = np.concatenate([look[1] for look in looks])
        best: Detection | None = None
        for row, _ in merge(rows, scores):
            given = sorted((_score_at(row[:4], *look) for look in looks), reverse=True)
            score = given[votes - 1]
            large = float(row[2] - row[0]) >= self.min_face
            if large and score >= least and (best is None or score > best.score):
                x0, y0, x1, y1 = (float(v) for v in row[:4])
                best = Detection((x0, y0, x1, y1), score, row[4:].reshape(6, 2))
        return best

    def _second_look(self, image: Image, row: Floats, first: float) -> float:
        """Middle one of a candidate's score and of what it gets from closer by, as it is and
        mirrored."""
        middle = (row[:2] + row[2:4]) / 2
        side = CLOSER * float(row[2] - row[0])
        region = Region(float(middle[0]) - side / 2, float(middle[1]) - side / 2, side)
        scores = [first]
        for mirrored in (False, True):
            rows, again = self._full.candidates(image, region, mirrored)
            scores.append(_score_at(row[:4], rows, again))
        return sorted(scores)[1]


def _score_at(box: Floats, rows: Floats, scores: Floats, near: float = SAME_PLACE) -> float:
    """Best score of the candidates that lie on a box, 0 when none does."""
    same = overlap(box, rows[:, :4]) >= near
    return float(scores[same].max(initial=0.0))


def _whole_in_tile(rows: Floats, region: Region, width: int, height: int) -> NDArray[np.bool_]:
    """Which boxes do not reach over an edge of the tile that is not an edge of the frame."""
    x1, y1 = region.x + region.side, region.y + region.side
    keep: NDArray[np.bool_] = (
        ((rows[:, 0] > region.x) | (region.x <= 0))
        & ((rows[:, 1] > region.y) | (region.y <= 0))
        & ((rows[:, 2] < x1) | (x1 >= width))
        & ((rows[:, 3] < y1) | (y1 >= height))
    )
    return keep
