"""Who is where in the clips of real people, written down by eye."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from understudy.types import Face


@dataclass(frozen=True)
class Place:
    """Frames `first` to `last`, both included, in which somebody's face has its middle between
    the columns `left` and `right` (shares of the width), and nobody else's has. A face that the
    border cuts may have its middle beyond 0 and 1."""

    first: int
    last: int
    left: float = 0.0
    right: float = 1.0

    def holds(self, index: int, across: float) -> bool:
        left = self.left if self.left > 0 else -np.inf
        right = self.right if self.right < 1 else np.inf
        return self.first <= index <= self.last and left <= across < right


CLIPS: dict[str, dict[str, tuple[Place, ...]]] = {
    "r02_grid_two_people_composite.mp4": {
        "left": (Place(0, 149, 0, 0.5),),
        "right": (Place(0, 149, 0.5, 1),),
    },
    "r12_two_people_headpose_small.mp4": {
        "left": (Place(0, 55, 0, 0.5),),
        "right": (Place(0, 55, 0.5, 1),),
    },
    "r15_grid_three_people_shotcuts.mp4": {
        "first": (Place(0, 74),),
        "second": (Place(75, 149),),
        "third": (Place(150, 224),),
    },
    "r09_cyclists_rotation_metadata.mp4": {
        "glasses": (
            Place(0, 40),
            Place(41, 51, 0.5, 1),
            Place(126, 138, 0.5, 1),
            Place(139, 215),
            Place(216, 218, 0.6, 1),
            Place(264, 285, 0.5, 1),
            Place(286, 334),
            Place(440, 480),
        ),
        "hood": (
            Place(41, 51, 0, 0.5),
            Place(52, 70),
            Place(71, 76, 0.4, 1),
            Place(106, 125),
            Place(126, 138, 0, 0.5),
            Place(216, 218, 0, 0.6),
            Place(219, 230),
            Place(258, 263),
            Place(264, 285, 0, 0.5),
        ),
        "hair": (Place(71, 76, 0, 0.4), Place(77, 105), Place(231, 257)),
    },
    "r14_hikers_small_faces.mp4": {
        "woman": (
            Place(0, 95, 0.28, 0.58),
            Place(96, 109, 0.5, 0.8),
            Place(110, 117, 0.6, 0.87),
            Place(118, 132, 0.62, 1),
        ),
        "sunglasses": (Place(88, 109, 0.8, 1), Place(110, 117, 0.87, 1)),
        "white cap": (Place(340, 402, 0.44, 0.72), Place(403, 460, 0.66, 1)),
        "blue hat": (
            Place(396, 433, 0.28, 0.4),
            Place(434, 460, 0.3, 0.535),
            Place(461, 499, 0.3, 1),
        ),
    },
}
"""Who is where, by eye. People whom the clip shows too small to tell are not in it."""


def middle(face: Face) -> float:
    """Column of the middle of a face, pixels."""
    return (face.box[0] + face.box[2]) / 2


def owner(people: Mapping[str, Sequence[Place]], index: int, across: float) -> str | None:
    """Whose face has its middle at `across` (share of the width) in a frame."""
    for name, places in people.items():
        if any(place.holds(index, across) for place in places):
            return name
    return None
