"""Whom does a swap look like, and by what margin?

Distances are Euclidean, between identity embeddings and a person's mean embedding. One distance
alone misleads: a swap that looks like no one is far from its source, and a good swap is still as
far from it as any single picture of that person. So there are the distance to the person who went
and, where the truth is known, the distance that a perfect swap has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from understudy.evaluation import metrics
from understudy.types import Floats


@dataclass(frozen=True)
class Likeness:
    """Means over the frames that were embedded.

    Attributes:
        to_source, to_target: distance to the source and to the target.
        margin: `to_target` less `to_source`: above 0 it looks more like the source.
        truth_to_source: distance of a perfect swap's frames; None where no truth is known.
        over_truth: `to_source` less `truth_to_source`, over frames that have both: 0 is as like
            as can be.
        frames: how many were embedded.
    """

    to_source: float | None
    to_target: float | None
    margin: float | None
    truth_to_source: float | None
    over_truth: float | None
    frames: int


def likeness(
    swap: Sequence[Floats | None],
    truth: Sequence[Floats | None],
    source: Floats | None,
    target: Floats | None,
) -> Likeness:
    """How like its source a swap is.

    Args:
        swap, truth: embedding (128,) for each frame of both films, None where it was not measured.
        source, target: mean embedding (128,) of the source and the target.

    Raises ValueError when the films differ in length.
    """
    to_source = _distances(swap, source)
    to_target = _distances(swap, target)
    ideal = _distances(truth, source)
    margins = [
        far - near
        for far, near in zip(to_target, to_source, strict=True)
        if far is not None and near is not None
    ]
    over = [
        ours - best
        for ours, best in zip(to_source, ideal, strict=True)
        if ours is not None and best is not None
    ]
    return Likeness(
        to_source=metrics.mean(to_source),
        to_target=metrics.mean(to_target),
        margin=metrics.mean(margins),
        truth_to_source=metrics.mean(ideal),
        over_truth=metrics.mean(over),
        frames=sum(one is not None for one in swap),
    )


def _distances(embeddings: Sequence[Floats | None], person: Floats | None) -> list[float | None]:
    return [
        None if one is None or person is None else float(np.linalg.norm(one - person))
        for one in embeddings
    ]
