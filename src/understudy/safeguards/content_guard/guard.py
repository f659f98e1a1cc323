"""The content guard: sampled frames are checked for nudity, and explicit material is refused.

An optional extra (`pip install '.[guard]'` in the package's folder): NudeNet, in a process of its
own because of its licence, see `process` and `line`. Without it films come out as
"unscanned", and their records say so. There is no switch that lets refused material through.
A changed program can leave the guard out: what counts is that it refuses by default and
that every record says whether it ran.

Only the classes of bare genitals, anus, buttocks and female breasts count; what else NudeNet
tells is not used. Its recall on explicit material was not measured. Of 113 ordinary frames and 336
of synthetic people it would have refused none, and doubted one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from understudy.errors import ContentError
from understudy.safeguards.content_guard.line import available, started
from understudy.types import Image

REFUSE = 0.5
"""An explicit class with this score or more in one frame refuses the film."""

REVIEW = 0.25
REVIEW_FRAMES = 2
"""An explicit class with this score or more in so many frames asks for a person to look."""

EVERY = Fraction(1)
"""Seconds between checked frames, in addition to the first of every shot."""

State = Literal["clean", "refused", "review", "unscanned"]
What = Literal["footage", "film", "output"]


@dataclass(frozen=True)
class Verdict:
    """The guard's verdict.

    Attributes:
        what: was shown: "footage" to train on, the "film" to convert or the "output" made of it.
        state: "clean", "refused", "review" (a person should look) or "unscanned" (no guard is
            installed, or no frame was given).
        guard: name and version, for example "nudenet 3.4.2"; None without one.
        frames: how many were looked at; a refusal ends the looking.
        reasons: what was found and when, one sentence each; why nothing was scanned.
    """

    what: What
    state: State
    guard: str | None
    frames: int
    reasons: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """What a record says of it, as JSON."""
        return {
            "state": self.state,
            "guard": self.guard,
            "frames": self.frames,
            "reasons": list(self.reasons),
        }

    def told(self) -> str:
        """The verdict in one sentence."""
        if self.state == "unscanned":
            return f"The {self.what} is unscanned: {'; '.join(self.reasons)}."
        told = {
            "clean": "nothing explicit found",
            "review": "please check it yourself: it may be explicit",
            "refused": "explicit, refused",
        }[self.state]
        because = f" ({'; '.join(self.reasons)})" if self.reasons else ""
        frames = f"{self.frames} frame" + ("s" if self.frames != 1 else "")
        return f"The content guard checked {frames} of the {self.what}: {told}{because}."

    def doubts(self) -> list[str]:
        """What the user must know: nothing was checked, or they should check it themselves."""
        return [self.told()] if self.state in ("unscanned", "review") else []


class Sampler:
    """Takes the frames of a film in order, and says which ones to check.

    Args:
        cuts: indices of the frames that begin a shot.
        every: seconds from one look to the next.
    """

    def __init__(self, cuts: Collection[int] = (), every: Fraction = EVERY) -> None:
        self._cuts = frozenset(cuts)
        self._every = every
        self._due: Fraction | None = None

    def takes(self, index: int, time: Fraction) -> bool:
        """Whether to look at frame `index`, shown at `time` (seconds)."""
        if self._due is None:
            self._due = time
        if time < self._due:
            return index in self._cuts
        self._due += self._every * ((time - self._due) // self._every + 1)
        return True


def samples(
    times: Iterable[Fraction], cuts: Collection[int] = (), every: Fraction = EVERY
) -> list[int]:
    """Indices of the frames to look at: the first, one in every `every` seconds, and the first
    of each shot.

    Args:
        times: of all frames in order, seconds.
        cuts: indices of the frames that begin a shot.
    """
    sampler = Sampler(cuts, every)
    return [index for index, time in enumerate(times) if sampler.takes(index, time)]


def check(frames: Iterable[tuple[Fraction, Image]], what: What) -> Verdict:
    """Look at frames.

    Args:
        frames: to look at, with their times in seconds; RGB uint8 (h, w, 3). Taken one by one,
            and not to the end when one is refused.
        what: they belong to.

    Raises:
        TrustError: the guard is installed but crashes, hangs or answers nonsense. That is never
            taken for "clean".
    """
    if available() is None:
        missing = "the content guard, an optional extra, is not installed"
        return Verdict(what, "unscanned", None, 0, (missing,))
    with started() as guard:
        count, doubtful, reasons = 0, 0, list[str]()
        for time, image in frames:
            count += 1
            scores = guard.look(image)
            name = max(scores, key=lambda name: scores[name], default=None)
            if name is None or scores[name] < REVIEW:
                continue
            reasons.append(f"{_plain(name)}, score {scores[name]:.2f}, at {float(time):.2f} s")
            if scores[name] >= REFUSE:
                return Verdict(what, "refused", guard.name, count, (reasons[-1],))
            doubtful += 1
        if not count:
            return Verdict(what, "unscanned", guard.name, 0, ("no frame was given",))
        state: State = "review" if doubtful >= REVIEW_FRAMES else "clean"
        return Verdict(what, state, guard.name, count, tuple(reasons))


def require(verdict: Verdict, name: str) -> None:
    """Pass everything except refused material.

    Args:
        name: of the file or person, for the message.

    Raises:
        ContentError: the verdict is "refused".
    """
    if verdict.state == "refused":
        raise ContentError(
            f"The content guard refuses {name}: {'; '.join(verdict.reasons)}.",
            "Explicit material is not processed, even with consent; use another "
            f"{'film' if verdict.what != 'footage' else 'piece of footage'}, or cut that part out.",
        )


def _plain(name: str) -> str:
    """FEMALE_BREAST_EXPOSED as "exposed female breast"."""
    *part, state = name.lower().split("_")
    return " ".join([state, *part])
