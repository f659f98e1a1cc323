"""All that a viewer sees in a swap, as one value."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from understudy.evaluation.gauges.blinks import Blinks
from understudy.evaluation.gauges.detail import Detail
from understudy.evaluation.gauges.footage import FootageDetail
from understudy.evaluation.gauges.jumps import Jumps
from understudy.evaluation.gauges.likeness import Likeness
from understudy.evaluation.gauges.retrieval import Retrieval


@dataclass(frozen=True)
class Apart:
    """Perceptual distance to the truth, see `perceptual`: mean over the frames, 0 is the same."""

    swap: float
    untouched: float


@dataclass(frozen=True)
class Steps:
    """Change from frame to frame, see `jumps`.

    Attributes:
        film, swap, truth: None where there was nothing to compare.
        jumps_at: seconds at which the swap jumps and the film does not, the largest first.
    """

    film: Jumps | None
    swap: Jumps | None
    truth: Jumps | None
    jumps_at: tuple[float, ...]


@dataclass(frozen=True)
class Seen:
    """The gauges' figures for one swap.

    Attributes:
        detail, untouched: of the swap and of the film itself, against the truth; None without one.
        footage: of the swap, against the source's own footage; None without a faceset.
        likeness, retrieval: which person it looks like.
        true_retrieval: how often the truth's own frames are found, which a swap cannot be asked
            to exceed; None without a truth.
        perceptual: None without a truth, or where the network's weights cannot be had.
        blinks, true_blinks: of the swap and of the truth, against the film.
        steps: changes from frame to frame.
        frames: how many were looked at closely: for detail, footage and perceptual.
        notes: what could not be measured, and why.
    """

    detail: Detail | None
    untouched: Detail | None
    footage: FootageDetail | None
    likeness: Likeness
    retrieval: Retrieval | None
    true_retrieval: Retrieval | None
    perceptual: Apart | None
    blinks: Blinks | None
    true_blinks: Blinks | None
    steps: Steps
    frames: int
    notes: tuple[str, ...] = ()

    def values(self) -> dict[str, Any]:
        """As in the JSON file: plain dictionaries, lists and numbers."""
        values: dict[str, Any] = plain(asdict(self))
        return values


def plain(value: Any) -> Any:
    """A value with lists instead of tuples, as read back from a JSON file."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value
