from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from understudy.errors import MediaError
from understudy.evaluation import metrics
from understudy.evaluation.frame_measures import (
    Films,
    Finders,
    Moment,
    counterpart,
    mesh_mask,
    overlap,
    walk,
)
from understudy.faces.pose import reference
from understudy.types import Face, Floats, Image, Pose

SIDE = 96
RATE = 25


def face(x: float = 48, y: float = 50, track: int = 0, size: float = 60, opened: float = 0) -> Face:
    """The reference head, `size` pixels high, around (x, y); the lower lip lowered."""
    points = reference().points.astype(np.float64)
    points = (points - points.mean(0)) / np.ptp(points[:, 1]) * size
    points[[14, 87, 317], 1] += opened
    points[:, :2] += (x, y)
    landmarks = points.astype(np.float32)
    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return Face(box, landmarks, 0.9, Pose(0.0, 0.0, 0.0), track)


def write(path: Path, frames: Sequence[np.ndarray], start: int = 0) -> Path:
    """A lossless film; grey frames (h, w) stay grey."""
    grey = frames[0].ndim == 2
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=RATE)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "gray" if grey else "bgr0"
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, "gray" if grey else "rgb24")
            picture = picture if grey else picture.reformat(format="bgr0")
            picture.pts, picture.time_base = number + start, Fraction(1, RATE)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def pictures(seed: int, count: int = 6, side: int = SIDE) -> list[Image]:
    rng = np.random.default_rng(seed)
    still = rng.integers(40, 200, (side, side, 3)).astype(np.uint8)
    return [still + np.uint8(number) for number in range(count)]


def finders(embedded: list[int] | None = None) -> Finders:
    def embed(image: Image, found: Face) -> Floats:
        if embedded is not None:
            embedded.append(int(image[0, 0, 0]))
        return np.full(128, image.mean(), np.float32)

    return Finders(
        film=lambda index: face(),
        swap=lambda index, found: face(x=49),
        truth=lambda index, found: face(),
        embed=embed,
    )


def measured(films: Films, every: int = 1, identity_every: int = 1) -> list[Moment]:
    return list(walk(films, finders(), every, identity_every))


def test_every_frame_is_compared_with_the_frame_of_its_time(tmp_path: Path) -> None:
    film, swap = pictures(1), pictures(2)
    films = Films(
        write(tmp_path / "film.mkv", film),
        write(tmp_path / "swap.mkv", swap),
        write(tmp_path / "truth.mkv", [image + np.uint8(5) for image in swap]),
    )
    moments = measured(films)
    assert [moment.index for moment in moments] == list(range(6))
    assert [moment.seconds for moment in moments] == pytest.approx([n / RATE for n in range(6)])
    inner = mesh_mask(face(), (SIDE, SIDE))
    assert 0.1 < inner.mean() < 0.6
    for n, moment in enumerate(moments):
        truth, untouched = moment.truth, moment.untouched
        assert truth is not None
        assert untouched is not None
        # The swap is 5 grey levels off everywhere, so its PSNR does not depend on the mask.
        assert truth.psnr_db == pytest.approx(20 * np.log10(255 / 5), abs=0.01)
        expected = metrics.psnr(film[n], swap[n] + np.uint8(5), inner)
        assert untouched.psnr_db == pytest.approx(expected)
        assert moment.landmark_error == pytest.approx(0, abs=1e-5)


def test_given_masks_are_united_and_ours_left_out(tmp_path: Path) -> None:
    film, truth = pictures(1), pictures(1)
    left, right = np.zeros((SIDE, SIDE), np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    left[:, :10], right[:, 20:30] = 255, 255
    for image in truth:
        image[:, :10] += 10
        image[:, 20:30] += 20
        image[:, 10:20] += 90
    films = Films(
        write(tmp_path / "film.mkv", film),
        write(tmp_path / "swap.mkv", truth),
        write(tmp_path / "truth.mkv", truth),
        (
            write(tmp_path / "left.mkv", [left] * 6),
            write(tmp_path / "right.mkv", [right] * 6, start=10),
        ),
    )
    for moment in measured(films):
        assert moment.truth is not None
        assert moment.untouched is not None
        assert moment.truth.psnr_db == metrics.PSNR_CEILING
        expected = 10 * np.log10(255**2 / ((10**2 + 20**2) / 2))
        assert moment.untouched.psnr_db == pytest.approx(expected, abs=0.01)


def test_steadiness_is_what_changes_under_the_films_own_alignment(tmp_path: Path) -> None:
    still = pictures(1)[0]
    flicker = [still + np.uint8(8 * (n % 2)) for n in range(6)]
    films = Films(
        write(tmp_path / "film.mkv", [still + np.uint8(2 * n) for n in range(6)]),
        write(tmp_path / "swap.mkv", flicker),
    )
    moments = measured(films)
    assert moments[0].source_residual is None
    assert [moment.source_residual for moment in moments[1:]] == pytest.approx([2] * 5, abs=0.2)
    assert [moment.swap_residual for moment in moments[1:]] == pytest.approx([8] * 5, abs=0.2)


def test_a_new_track_begins_anew(tmp_path: Path) -> None:
    film = write(tmp_path / "film.mkv", pictures(1))
    plain = finders()
    cut = Finders(lambda n: face(track=n // 3), plain.swap, plain.truth, plain.embed)
    moments = list(walk(Films(film, film), cut, 1, 1))
    assert [moment.source_residual is None for moment in moments] == [1, 0, 0, 1, 0, 0]


def test_only_every_nth_frame_is_measured_and_embedded(tmp_path: Path) -> None:
    film = write(tmp_path / "film.mkv", pictures(1, 9))
    embedded: list[int] = []
    moments = list(walk(Films(film, film), finders(embedded), 2, 3))
    assert [moment.index for moment in moments] == [0, 2, 4, 6, 8]
    assert [moment.embedding is not None for moment in moments] == [1, 0, 0, 1, 0]
    assert len(embedded) == 2


def test_a_part_of_the_film_is_laid_beside_the_whole_swap(tmp_path: Path) -> None:
    film = pictures(1, 9)
    films = Films(
        write(tmp_path / "film.mkv", film),
        write(tmp_path / "swap.mkv", film[3:7]),
        write(tmp_path / "truth.mkv", film[3:7]),
        start=Fraction(3, RATE),
        end=Fraction(7, RATE),
    )
    moments = measured(films)
    assert [moment.index for moment in moments] == [3, 4, 5, 6]
    assert {m.untouched.psnr_db for m in moments if m.untouched} == {metrics.PSNR_CEILING}


def test_frames_without_a_face_are_kept_as_such(tmp_path: Path) -> None:
    film = write(tmp_path / "film.mkv", pictures(1, 3))
    plain = finders()
    nobody = Finders(lambda n: None, plain.swap, plain.truth, plain.embed)
    for moment in walk(Films(film, film, film), nobody, 1, 1):
        assert moment.source is None
        assert moment.swap is None
        assert moment.truth is not None
        assert moment.truth.psnr_db is None


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (pictures(1, 4), "has no frame at 0.160 s"),
        (pictures(1, 9), "is longer than"),
        (pictures(1, 6, 64), "is 64x64 pixels"),
    ],
)
def test_films_that_do_not_fit_are_refused(tmp_path: Path, other: list[Image], words: str) -> None:
    film = write(tmp_path / "film.mkv", pictures(1))
    odd = write(tmp_path / "odd.mkv", other)
    for films in (Films(film, odd), Films(film, film, odd)):
        with pytest.raises(MediaError, match=words) as caught:
            measured(films)
        assert "odd.mkv" in caught.value.problem
        assert caught.value.remedy


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    film = write(tmp_path / "film.mkv", pictures(1))
    mask = write(tmp_path / "mask.mkv", [np.zeros((64, 64), np.uint8)] * 6)
    with pytest.raises(MediaError, match=r"mask\.mkv is 64x64 pixels"):
        measured(Films(film, film, film, (mask,)))


def test_the_counterpart_lies_where_the_face_lies() -> None:
    here, there = face(30), face(70, size=30)
    assert counterpart(here, [there, face(33)]) is not None
    assert counterpart(here, [there]) is None
    assert counterpart(here, []) is None
    assert overlap((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 1, 1), (1, 1, 2, 2)) == 0
