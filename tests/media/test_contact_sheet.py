from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from PIL import Image as Pillow

from understudy.media.contact_sheet import (
    CAPTION,
    GAP,
    PAPER,
    RATE,
    TILE,
    Row,
    grid,
    sheet,
    write_film,
    write_still,
)
from understudy.media.video import VideoReader
from understudy.types import Image

TAGS = {"comment": "made up; ai-generated"}


def plain(value: int, side: int = 32) -> Image:
    return np.full((side, side, 3), value, np.uint8)


def test_every_picture_lies_in_its_place() -> None:
    page = sheet([Row("two", [plain(200), plain(60)]), Row("", [plain(120)])])
    assert page.shape == (CAPTION + 2 * (TILE + GAP), 2 * (TILE + GAP), 3)
    assert (page[CAPTION : CAPTION + TILE, :TILE] == 200).all()
    assert (page[CAPTION : CAPTION + TILE, TILE + GAP : -GAP] == 60).all()
    second = CAPTION + TILE + GAP
    assert (page[second : second + TILE, :TILE] == 120).all()
    assert (page[second:, TILE + GAP :] == PAPER).all()
    assert page[:CAPTION].max() > 150


def test_a_grid_has_its_caption_once() -> None:
    rows = grid("many", [plain(n) for n in range(7)], columns=3)
    assert [row.caption for row in rows] == ["many", "", ""]
    assert [len(row.pictures) for row in rows] == [3, 3, 1]


def test_stills_and_films_say_what_they_are(tmp_path: Path) -> None:
    write_still(tmp_path / "page.png", plain(90), TAGS)
    with Pillow.open(tmp_path / "page.png") as found:
        assert found.info["Comment"] == TAGS["comment"]
    pictures = [plain(40 + 10 * n, 67) for n in range(12)]
    write_film(tmp_path / "deep" / "film.mp4", iter(pictures), TAGS)
    with av.open(str(tmp_path / "deep" / "film.mp4")) as container:
        assert container.metadata["comment"] == TAGS["comment"]
    with VideoReader(tmp_path / "deep" / "film.mp4") as reader:
        frames = list(reader)
    assert [frame.time * RATE for frame in frames] == list(range(12))
    assert [abs(float(frame.image.mean()) - 40 - 10 * n) < 3 for n, frame in enumerate(frames)]
    assert frames[0].image.shape == (66, 66, 3)
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["film.mp4"]
