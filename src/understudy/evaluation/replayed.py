"""Held-out pictures of a person, converted with the person as both source and target.

A swap of real people has no truth. But a person's own pictures that neither the training nor the
gallery has seen, drawn again by their own decoder and laid over themselves with colours, edges and
detail as in a film, have one: the pictures. What is lost there is lost in every swap.
"""

from __future__ import annotations

from understudy.conversion.rehearsal import Rehearsal
from understudy.evaluation.gauges.detail import Detail, DetailSum
from understudy.evaluation.gauges.regions import regions
from understudy.models.base import SwapModel

MOST = 24
"""Pictures of each person that are drawn again, evenly spaced."""


def replayed(rehearsal: Rehearsal, model: SwapModel, person: str) -> Detail | None:
    """Detail and found of one person's held-out pictures, redrawn, against the pictures.

    Returns:
        None where the person has no gallery, or shows no face large enough to be measured.

    Raises:
        CheckpointError: the gallery is damaged.
    """
    drawn = rehearsal.draw(model, {person: [person]}).get(person)
    if drawn is None:
        return None
    total = DetailSum()
    for (truth, mesh), picture in zip(rehearsal.shown(person), drawn.pictures, strict=True):
        where = regions([mesh], truth.shape)
        if where is not None:
            total.add(truth, picture, where)
    return total.result()
