"""A perceptual fingerprint: what a film looks like, in a few kilobytes.

Frames are sampled at even times. Each becomes a grey thumbnail of even local contrast, and the
signs of its lowest DCT coefficients are its bits (Zauner, "Implementation and benchmarking of
perceptual image hash functions", 2010). They are taken from the whole frame and from windows in
it, so that a cropped copy finds its like. Two films are laid over one another in time, plain and
mirrored; the share of bits that differ is their distance. No picture can be made from it.

Its use: the invisible mark can be copied onto other pixels. Then the fingerprint in the record
that the mark leads to is far from the film's.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from understudy.errors import TrustError

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

SAME = 0.25
"""Films nearer than this show the same footage. Measured on 87 films: re-encoded, scaled, cropped,
mirrored, trimmed or turned by 2 degrees at most 0.16 from themselves, at least 0.34 from others."""
SAME_STILL = 0.16
"""The same where fewer than 8 pairs of frames were compared. A picture is at least 0.18 from the
nearest frame of another film (0.21 in 999 of 1000 cases)."""
PERIOD = 0.25
"""Seconds between sampled frames; doubled as often as a film needs to stay within its limit."""
MOST = 48
"""Sampled frames of a film at most, for a record."""
BITS = 128

_WINDOWS = (
    (0.0, 0.0, 1.0, 1.0),
    (0.05, 0.05, 0.95, 0.95),
    (0.1, 0.1, 0.9, 0.9),
    (0.0, 0.0, 0.9, 0.9),
    (0.1, 0.0, 1.0, 0.9),
    (0.0, 0.1, 0.9, 1.0),
    (0.1, 0.1, 1.0, 1.0),
    (0.0, 0.0, 0.9, 1.0),
    (0.1, 0.0, 1.0, 1.0),
    (0.0, 0.0, 1.0, 0.9),
    (0.0, 0.1, 1.0, 1.0),
)
"""Left, top, right and bottom of each window, as shares of the frame; the first is the whole."""
_THUMBNAIL = 32
_HEX = len(_WINDOWS) * BITS // 4


class Fingerprint(BaseModel):
    """What a film or a still looks like; `model_dump_json` and `parse` are its JSON form."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    schema_version: Literal[1] = 1
    doublings: Annotated[int, Field(ge=-2, le=40)]
    """Sampled frames are 0.25 * 2^doublings seconds apart."""
    numbers: tuple[Annotated[int, Field(ge=0)], ...]
    """When each was, in steps of that length from the start of the film; rising."""
    frames: tuple[Annotated[str, Field(pattern=rf"^[0-9a-f]{{{_HEX}}}$")], ...]
    """For each, in hex, the 128 bits of every window, the whole frame first."""


@dataclass(frozen=True)
class Comparison:
    """The best alignment of two films.

    Attributes:
        distance: share of bits that differ, 0..1; about 0.46 between unrelated films.
        offset: seconds from the start of the second film to where the first one starts in it.
        flipped: one is a mirror image of the other.
        frames: pairs of frames that were compared.
    """

    distance: float
    offset: float
    flipped: bool
    frames: int

    @property
    def same(self) -> bool:
        """Whether both show the same footage."""
        return self.distance < (SAME if self.frames >= 8 else SAME_STILL)


class Sampler:
    """Computes a film's fingerprint from its frames, one by one.

    Args:
        closely: for a film under examination, which is compared with a record but not kept:
            four times as often and with no limit, so that it is found wherever it was cut.
    """

    def __init__(self, closely: bool = False) -> None:
        self._most = sys.maxsize if closely else MOST
        self._doublings = -2 if closely else 0
        self._kept: dict[int, str] = {}
        self._last = -1

    def wants(self, seconds: float) -> bool:
        """Whether the frame at this time would be sampled."""
        return self._number(seconds) > self._last

    def add(self, luma: NDArray[Any], seconds: float) -> None:
        """Take in a frame, in order of time.

        Args:
            luma: (h, w), any type and scale.
            seconds: from the start of the film, 0 or more.
        """
        if not self.wants(seconds):
            return
        self._last = self._number(seconds)
        self._kept[self._last] = _frame_bits(luma)
        while len(self._kept) > self._most:
            self._doublings += 1
            self._kept = {number // 2: b for number, b in self._kept.items() if number % 2 == 0}
            self._last //= 2

    def fingerprint(self) -> Fingerprint:
        """Of what was added so far."""
        return Fingerprint(
            doublings=self._doublings,
            numbers=tuple(self._kept),
            frames=tuple(self._kept.values()),
        )

    def _number(self, seconds: float) -> int:
        # Frame times are rounded in some containers.
        return math.floor(seconds / (PERIOD * 2.0**self._doublings) + 0.01)


def of_still(luma: NDArray[Any]) -> Fingerprint:
    """The fingerprint of one picture, (h, w), any type and scale."""
    return Fingerprint(doublings=0, numbers=(0,), frames=(_frame_bits(luma),))


def parse(text: str | bytes) -> Fingerprint:
    """Read the JSON form. Raises TrustError when it is damaged."""
    try:
        found = Fingerprint.model_validate_json(text)
    except ValidationError as error:
        raise _damaged(error.errors()[0]["msg"]) from error
    if len(found.numbers) != len(found.frames):
        raise _damaged("it has more or fewer times than frames")
    return found


def compare(one: Fingerprint, other: Fingerprint) -> Comparison:
    """Lay two films over one another.

    Every offset counts at which at least three quarters of the shorter film's frames meet one of
    the other's. Either may be cropped, but not both. Empty films are at distance 1.
    """
    if not one.frames or not other.frames:
        return Comparison(1.0, 0.0, False, 0)
    finer = min(one.doublings, other.doublings)
    mine, theirs = (np.array(film.numbers) << (film.doublings - finer) for film in (one, other))
    apart = (theirs[None, :] - mine[:, None]).ravel()
    offsets, which = np.unique(apart, return_inverse=True)
    pairs = np.bincount(which)
    enough = pairs >= math.ceil(0.75 * pairs.max())
    bits, others = _bits(one), _bits(other)
    mirror = _mirror()
    best = Comparison(1.0, 0.0, False, 0)
    for flipped in (False, True):
        turned = bits ^ mirror if flipped else bits
        for a, b in _window_pairs():
            differ = np.bitwise_count(turned[:, None, a] ^ others[None, :, b]).sum(axis=-1)
            means = np.bincount(which, differ.ravel()) / pairs / BITS
            at = int(np.where(enough, means, 1.0).argmin())
            if means[at] < best.distance:
                offset = float(offsets[at]) * PERIOD * 2.0**finer
                best = Comparison(float(means[at]), offset, flipped, int(pairs[at]))
    return best


def _window_pairs() -> list[tuple[int, int]]:
    inner = range(1, len(_WINDOWS))
    return [(0, 0), *((0, window) for window in inner), *((window, 0) for window in inner)]


def _bits(film: Fingerprint) -> Bytes:
    """(n, windows, bytes)."""
    joined = np.frombuffer(bytes.fromhex("".join(film.frames)), np.uint8)
    return joined.reshape(len(film.frames), len(_WINDOWS), -1)


def _frame_bits(luma: NDArray[Any]) -> str:
    height, width = luma.shape
    # The windows are cut from a reduced picture: all that they need is in it.
    size = (min(width, 8 * _THUMBNAIL), min(height, 8 * _THUMBNAIL))
    reduced = cv2.resize(luma.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    small = np.asarray(reduced, np.float32)
    parts = []
    for left, top, right, bottom in _WINDOWS:
        across = slice(round(left * size[0]), max(1, round(right * size[0])))
        down = slice(round(top * size[1]), max(1, round(bottom * size[1])))
        parts.append(_window_bits(small[down, across]))
    return np.concatenate(parts).tobytes().hex()


def _window_bits(part: Floats) -> Bytes:
    """(16,) bytes."""
    side = (_THUMBNAIL, _THUMBNAIL)
    small = cv2.resize(part, side, interpolation=cv2.INTER_AREA)
    apart = small - cv2.GaussianBlur(small, (0, 0), _THUMBNAIL / 4)
    spread = cv2.GaussianBlur(apart * apart, (0, 0), _THUMBNAIL / 4)
    # In flat areas, rounding must not decide.
    least = 1e-3 * float(spread.max()) + 1e-6 * float(np.mean(small * small)) + 1e-12
    even = apart / np.sqrt(spread + np.float32(least))
    rows, columns = _lowest()
    return np.packbits(cv2.dct(even)[rows, columns] > 0.01)


@cache
def _lowest() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the lowest DCT coefficients but the first, by their sum."""
    order = sorted((row + column, row, column) for row in range(16) for column in range(16))
    chosen = np.array(order[1 : BITS + 1], np.intp)
    return chosen[:, 1], chosen[:, 2]


@cache
def _mirror() -> Bytes:
    """(16,) bytes: the bits that turn over when a picture is mirrored left to right."""
    return np.packbits(_lowest()[1] % 2 == 1)


def _damaged(why: str) -> TrustError:
    return TrustError(
        f"A fingerprint cannot be read ({why}).",
        "Its record is damaged; restore the record from a backup.",
    )
