"""The visible label: words in the picture that tell every viewer that a face in
it was made by a machine.

Two forms. The corner label stays for the whole film, in the corner that faces leave free: those
that were replaced count first, then other faces, then the hair around all of them. The opening
card is a band over the first seconds, on the film's own frames, so that sound stays in step.
Letters are at least 5 % of the short side high and stand for 2 s or more, as GB 45438-2025 asks of
explicit labels; the words and the upper right corner follow the European Union's icons for
Article 50 of Regulation (EU) 2024/1689, which asks for disclosure at first exposure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from understudy.errors import SettingsError
from understudy.provenance.label import lettering
from understudy.types import Box, Patch

Form = Literal["corner", "opening", "both"]
"""What is shown; not "none": without a label nothing is laid over the film."""

TEXT = "AI MODIFIED"
SENTENCE = "Faces in this film were replaced by artificial intelligence."

SHARE = 0.05
"""Least height of a capital letter as a share of the picture's short side."""

LONGEST = 60
"""Letters in a label at most: more would not be read."""

SECONDS = Fraction(3)
FADE = Fraction(1, 4)
"""Seconds that the card is visible, and the part of them in which it fades out."""

TALL = 0.5
"""A card that would hide more of the picture's height than this leaves out its sentence."""

MARGIN = 0.03
"""Distance to the picture's border as a share of its short side."""

HEAD = (0.15, 0.45, 0.15, 0.1)
"""How far a head reaches past the box of its landmarks to the left, top, right and bottom, as
shares of the box."""

WORST = 0.1
"""Of the times that faces are seen, the share in which a place hides most of them: it counts
added to the mean, so that a face that is hidden for a while is not outvoted by free ones."""

TOUCH = 0.02
"""Share of a face's box that may lie under a label as if it did not: the corners of a box are not
face."""

REASON_LETTERS = 10
DISTINCT_LETTERS = 5
"""A reason with fewer letters, or fewer different ones, says nothing."""


def check_label(label: str, reason: str | None) -> str | None:
    """The reason for going without a label, tidied up; None where there is a label.

    Args:
        label: "corner", "opening", "both" or "none".
        reason: why there is none, in the user's words; it is stored in the signed record.

    Raises:
        SettingsError: there is to be no label and no reason says why, or a reason is given
            beside a label.
    """
    said = " ".join((reason or "").split())
    if label != "none":
        if said:
            raise SettingsError(
                f"A reason for leaving out the label is given, but the label is `{label}`.",
                "Remove the reason, or set the label to none.",
            )
        return None
    letters = [letter for letter in said.casefold() if letter.isalpha()]
    if len(letters) < REASON_LETTERS or len(set(letters)) < DISTINCT_LETTERS:
        given = f"{said!r} is not a reason" if said else "none is given"
        raise SettingsError(
            f"A film without a visible label needs a reason, but {given}.",
            "State the reason in a few words, for example that the final edit adds the label. The "
            "reason is stored in the signed record. Or keep the label.",
        )
    return said


@dataclass(frozen=True)
class Seen:
    """A face in one frame, which a label is to leave free.

    Attributes:
        time: of the frame, seconds.
        box: around the face's landmarks, pixels of the frame.
        replaced: whether it is one of the faces that the label is about.
    """

    time: Fraction
    box: Box
    replaced: bool


@dataclass(frozen=True)
class Ground:
    """The film or still that gets a label.

    Attributes:
        width, height: of the frames as they are shown, square pixels.
        start: time of the first frame that is written, seconds.
        end: time at which the film ends, seconds; None when unknown. `start` for a still.
        faces: everywhere that faces are seen; the label keeps clear of them as far as it can.
    """

    width: int
    height: int
    start: Fraction = Fraction(0)
    end: Fraction | None = None
    faces: Sequence[Seen] = ()


class Label:
    """The label of one film or still, made once; `patches` depends on its time alone.

    Args:
        form: a still, which has no opening, gets the corner label whatever this says.
        ground: the picture below it.
        text: the label's words, at most 60 characters; they are made smaller only where they
            would not fit otherwise.
        sentence: text of the card below them; may be empty.

    Attributes:
        corner: where the corner label is, for example "upper right".
        letters: height in pixels of a capital of the smallest `text` shown.
        large_enough: whether that is 5 % of the short side or more.

    Raises:
        SettingsError: `text` has no words or is too long.
    """

    def __init__(
        self,
        form: Form,
        ground: Ground,
        text: str = TEXT,
        sentence: str = SENTENCE,
    ) -> None:
        width, height = ground.width, ground.height
        start, end = ground.start, ground.end
        self.text, self.sentence = " ".join(text.split()), " ".join(sentence.split())
        if not any(letter.isalpha() for letter in self.text) or len(self.text) > LONGEST:
            raise SettingsError(
                f"{self.text[:80]!r} is not a valid label: a label has 1 to {LONGEST} "
                "characters and contains letters.",
                "Correct it, or use the standard label text.",
            )
        self.form: Form = "corner" if end is not None and end <= start else form
        self._start = start
        self.seconds = SECONDS if end is None else min(SECONDS, end - start)
        self._whole = end is not None and end - start <= SECONDS

        size = (float(width), height)
        least = SHARE * min(size)
        capital = max(math.ceil(least), lettering.LEAST)
        words = lettering.fitted(self.text, capital, 0.86 * size[0])
        self.letters = words.capital
        self.large_enough = words.capital >= least
        margin = round(MARGIN * min(size))

        places = _corners(lettering.plate(words), width, height, margin)
        best = _clearest(list(places.values()), ground.faces)
        self.corner = list(places)[best]
        self._corner = places[self.corner]

        band = lettering.band(words, self.sentence, size)
        if band.alpha.shape[0] > TALL * height:
            band = lettering.band(words, "", size)
        bottom = replace(band, y=height - band.alpha.shape[0] - 2 * margin)
        top = replace(band, y=2 * margin)
        early = [face for face in ground.faces if face.time < start + self.seconds]
        self._card = (bottom, top)[_clearest([bottom, top], early)]

    def patches(self, time: Fraction) -> list[Patch]:
        """The overlay for the frame at `time` (seconds), drawn last.

        With "both", the corner label appears after the card.
        """
        card, corner = self._shares(time)
        shown = ((self._card, card), (self._corner, corner))
        return [
            patch if share == 1 else replace(patch, alpha=patch.alpha * np.float32(share))
            for patch, share in shown
            if share > 0
        ]

    def facts(self) -> dict[str, Any]:
        """What a record says of the label, as JSON."""
        facts: dict[str, Any] = {
            "form": self.form,
            "text": self.text,
            "letter_height": self.letters,
            "large_enough": self.large_enough,
        }
        if self.form != "opening":
            facts["corner"] = self.corner
        if self.form != "corner":
            facts |= {"sentence": self.sentence, "seconds": float(self.seconds)}
        return facts

    def _shares(self, time: Fraction) -> tuple[float, float]:
        """How much of the card and of the corner label is seen, 0..1 each."""
        if self.form == "corner":
            return 0.0, 1.0
        if self._whole:
            return 1.0, 0.0
        left = (self._start + self.seconds - time) / FADE
        card, corner = (float(min(max(share, Fraction(0)), Fraction(1))) for share in (left, -left))
        return card, corner if self.form == "both" else 0.0


def _head(box: Box) -> Box:
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    left, top, right, bottom = HEAD
    return x0 - left * width, y0 - top * height, x1 + right * width, y1 + bottom * height


def _corners(plate: Patch, width: int, height: int, margin: int) -> dict[str, Patch]:
    """The plate in each corner, the best first."""
    h, w = plate.alpha.shape
    left, right, top, bottom = margin, width - w - margin, margin, height - h - margin
    if right < left:
        left = right = (width - w) // 2
    places = {
        "upper right": (right, top),
        "upper left": (left, top),
        "lower right": (right, bottom),
        "lower left": (left, bottom),
    }
    return {name: replace(plate, x=x, y=y) for name, (x, y) in places.items()}


def _clearest(places: Sequence[Patch], faces: Sequence[Seen]) -> int:
    """Which place hides least: of the replaced faces first, then of other faces, then of the
    heads around all of them; the first of equals."""
    replaced = [face.box for face in faces if face.replaced]
    others = [face.box for face in faces if not face.replaced]
    heads = [_head(face.box) for face in faces]
    hidden = [
        tuple(round(_hidden(place, boxes), 3) for boxes in (replaced, others, heads))
        for place in places
    ]
    return hidden.index(min(hidden))


def _hidden(place: Patch, boxes: Sequence[Box]) -> float:
    """How much of boxes a patch hides, 0..2: the mean share, and that of the `WORST` of them."""
    if not boxes:
        return 0.0
    x0, y0, x1, y1 = np.array(boxes, np.float64).T
    h, w = place.alpha.shape
    across = np.minimum(x1, place.x + w) - np.maximum(x0, place.x)
    down = np.minimum(y1, place.y + h) - np.maximum(y0, place.y)
    area = np.maximum((x1 - x0) * (y1 - y0), 1e-9)
    share = np.maximum(across, 0) * np.maximum(down, 0) / area
    shares = np.sort(np.where(share > TOUCH, share, 0))
    worst = shares[-math.ceil(WORST * len(shares)) :]
    return float(shares.mean() + worst.mean())
