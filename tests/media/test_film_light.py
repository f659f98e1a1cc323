"""Films in light that faces cannot be drawn in are refused before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.clips import make_film
from understudy.errors import MediaError
from understudy.media.film_light import check_light
from understudy.media.video import probe
from understudy.progress import silent
from understudy.settings import ScanSettings
from understudy.tracks.scan import scan


def film(path: Path, transfer: int) -> Path:
    return make_film(path, frames=2, pixel_format="yuv420p10le", tags=(9, 1, 9, transfer))


def test_pq_is_refused_with_the_true_reason(tmp_path: Path) -> None:
    path = film(tmp_path / "hdr.mp4", 16)
    with pytest.raises(MediaError, match=r"hdr.mp4 uses HDR with the PQ curve") as told:
        scan(path, tmp_path / "cache", ScanSettings(), silent())
    assert "SDR or HLG version" in told.value.remedy


@pytest.mark.parametrize("transfer", [1, 2, 13, 14, 18])
def test_what_looks_right_on_any_screen_is_taken(transfer: int, tmp_path: Path) -> None:
    check_light(probe(film(tmp_path / "film.mp4", transfer)))
