"""What a film asks for that a person's faces do not show: poses and expressions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from understudy.evaluation.scores import Sentence

REACH = 5.0
"""Degrees that a film may turn beyond a faceset's faces before that is worth saying."""

SHUT = 0.45
"""Share of the usual opening under which an eye counts as shut."""

FEW_BLINKS = 3
"""Faces with shut eyes from which blinking was seen."""

WIDER = 0.1
"""How much wider than in the faceset a mouth must open to be reported, as a share of its width."""


@dataclass(frozen=True)
class Reach:
    """How far heads turn: lowest and highest angle in degrees."""

    yaw: tuple[float, float]
    pitch: tuple[float, float]

    @classmethod
    def of(cls, yaw: Sequence[float], pitch: Sequence[float], stray: float = 0) -> Reach | None:
        """From angles, leaving out `stray` per cent at either end; None without angles."""
        if not len(yaw):
            return None
        low, high = (
            [float(np.percentile(v, p)) for v in (yaw, pitch)] for p in (stray, 100 - stray)
        )
        return cls((low[0], high[0]), (low[1], high[1]))


@dataclass(frozen=True)
class Openings:
    """Openings of eyes and mouth of many faces of one person, as in `metrics`."""

    eyes: Sequence[float]
    mouth: Sequence[float]

    @property
    def shut(self) -> int:
        """How many faces have their eyes shut, against their usual opening."""
        if not len(self.eyes):
            return 0
        usual = float(np.median(self.eyes))
        return sum(eye < SHUT * usual for eye in self.eyes)


def missing_reach(film: Reach, faces: Reach, person: str) -> list[Sentence]:
    """Where the film turns further than any face of the person."""
    sentences: list[Sentence] = []
    for axis, (low, high), (has_low, has_high) in (
        ("yaw", film.yaw, faces.yaw),
        ("pitch", film.pitch, faces.pitch),
    ):
        for turns, has, beyond in (
            (low, has_low, has_low - low),
            (high, has_high, high - has_high),
        ):
            if beyond > REACH:
                sentences.append(
                    (
                        "bad",
                        f"Missing pose range: no faces of {person} beyond {axis} {has:+.0f} "
                        f"degrees, while the film turns to {turns:+.0f}.",
                    )
                )
    return sentences


def missing_expressions(film: Openings, faces: Openings, person: str) -> list[Sentence]:
    """What faces in the film do that no face of the person does: blinks, wide mouths.

    Args:
        film: faces that are replaced.
        faces: the person's faceset.
    """
    sentences: list[Sentence] = []
    if film.shut >= FEW_BLINKS and faces.shut < FEW_BLINKS:
        sentences.append(
            (
                "bad",
                f"Missing expression: the film has {film.shut} frames with closed eyes, but only "
                f"{faces.shut} of {len(faces.eyes)} faces of {person} do; the eyes may stay open. "
                f"Add footage in which {person} blinks.",
            )
        )
    if len(film.mouth) and len(faces.mouth):
        wide, known = np.percentile(film.mouth, 98), np.percentile(faces.mouth, 99.5)
        if wide > known + WIDER:
            sentences.append(
                (
                    "bad",
                    f"Missing expression: the film's mouth opens to {wide:.2f} of its width, "
                    f"{person}'s only to {known:.2f}. Add footage in which {person} opens the "
                    "mouth wide.",
                )
            )
    return sentences
