"""Find faces: both BlazeFace networks, tiles where faces may be small, and closer looks at what
may be none."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.faces.blazeface import BlazeFace, Detection, Region, merge, overlap
from understudy.types import Box, Floats, Image

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
"""Median score of the detections in the whole frame from which it contains a face."""

AT_EDGE = (1.3, 1.0)
"""Sides of the looks at the frame's edges, in heights of the frame."""

HALF = 0.5
"""Score that a face cut by the edge must get in both of these looks."""


def tiles(width: int, height: int, side: int) -> list[Region]:
    """Squares of `side` that cover the frame, each overlapping the next by at least a third."""

    def starts(length: int) -> list[float]:
        if length <= side:
            return [(length - side) / 2]
        count = int(np.ceil((length - side) / (side * 2 / 3))) + 1
        return [float(v) for v in np.linspace(0, length - side, count)]

    return [Region(x, y, side) for y in starts(height) for x in starts(width)]


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
        """Side of a tile in which the smallest requested face is still found well."""
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
        A face found by only one of them, or one that looks the same upside down, is dropped.

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
    """Best score of the candidates on a box, 0 when there is none."""
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
