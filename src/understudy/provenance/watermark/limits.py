"""What can hold the invisible mark, and how hard it is tried."""

from __future__ import annotations

from pathlib import Path

from understudy.provenance.watermark.watermark import SMALLEST

STRONGER = 2.0
"""dB by which the mark is made stronger where it could not be read back."""

TRIES = 3

COLOURLESS = frozenset({".gif"})
"""Pictures of so few colours that no mark is left in them."""

WORDS = frozenset({".json", ".md", ".html", ".txt"})
"""Files that contain no picture, and therefore no watermark."""


def unmarkable(path: Path, width: int, height: int) -> str | None:
    """Why a file of this kind and size cannot hold the mark; None where it can.

    Args:
        width, height: of its pictures, pixels.
    """
    suffix = path.suffix.lower()
    if suffix in COLOURLESS:
        return f"a {suffix.removeprefix('.').upper()} has too few colours for it"
    if suffix in WORDS:
        return f"a {suffix} file contains no picture"
    if min(width, height) < SMALLEST:
        return f"pictures under {SMALLEST} pixels on the shorter side are too small for it"
    return None
