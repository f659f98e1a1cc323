"""Do the eyes shut when the film's do?

An opening of the lids has no scale that would hold for everyone and for every mesh, so each
film's eyes are compared with how open they are in that film itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OPEN = 80.0
"""Per cent of the frames in which eyes are less open than at their open level; people have their
eyes open most of the time."""

SHUT = 0.75
"""Eyes count as shut below this share of their open level. Lids that are shut altogether still read
as .6 to .8 of the open level to the mesh: of rendered frames whose truth is known (ada, ben, chen;
254 shut frames) this limit finds 53 to 84 % and takes at most 1 % of the open ones for shut."""


@dataclass(frozen=True)
class Blinks:
    """Whether film and swap shut their eyes together.

    Attributes:
        agreement: share of the frames in which both are shut or both are open, 0..1.
        shut_in_film, shut_in_swap, shut_in_both: frames.
        frames: how many show both faces.
    """

    agreement: float
    shut_in_film: int
    shut_in_swap: int
    shut_in_both: int
    frames: int


def shut(openings: Sequence[float]) -> NDArray[np.bool_]:
    """In which frames of one film the eyes are shut, bool (n,).

    Args:
        openings: height over width of the eyes, one for each frame, see
            `faces.openings.eye_opening`.
    """
    values = np.asarray(openings, np.float64)
    return values < SHUT * np.percentile(values, OPEN) if values.size else np.zeros(0, bool)


def blinks(film: Sequence[float], swap: Sequence[float]) -> Blinks | None:
    """Compare two series of openings of the same frames; None without frames.

    Raises ValueError when the series differ in length.
    """
    if len(film) != len(swap):
        raise ValueError(f"{len(film)} frames cannot be compared with {len(swap)}")
    if not film:
        return None
    before, after = shut(film), shut(swap)
    return Blinks(
        agreement=float((before == after).mean()),
        shut_in_film=int(before.sum()),
        shut_in_swap=int(after.sum()),
        shut_in_both=int((before & after).sum()),
        frames=len(film),
    )
