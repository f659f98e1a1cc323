from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from understudy.media import film_sheet


def test_the_sheet_shows_the_same_moments_of_each_film(tmp_path: Path) -> None:
    for name, step in (("a.mkv", 10), ("b.mkv", 20)):
        with av.open(str(tmp_path / name), "w") as writing:
            stream = writing.add_stream("ffv1", rate=Fraction(25))
            assert isinstance(stream, VideoStream)
            stream.width = stream.height = 256
            stream.pix_fmt = "bgr0"
            for index in range(12):
                image = np.full((256, 256, 3), step * index, np.uint8)
                writing.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            writing.mux(stream.encode(None))
    sheet = film_sheet.contact_sheet([("a", tmp_path / "a.mkv"), ("b", tmp_path / "b.mkv")], 12)
    side = film_sheet.TILE + film_sheet.GAP
    for row, step in ((0, 10), (1, 20)):
        y = row * (film_sheet.TILE + film_sheet.CAPTION) + film_sheet.CAPTION + film_sheet.TILE // 2
        shown = [int(sheet[y, column * side + 9, 0]) for column in range(film_sheet.SHOWN)]
        assert shown == [step * index for index in (1, 3, 5, 7, 9, 11)]
