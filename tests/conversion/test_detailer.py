"""A gallery at work on the faces of a film: which mesh is wanted, and what is laid over them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.heads import blurred, texture
from tests.support.textured_heads import alike, band
from tests.support.turned_heads import SIDE, face, gallery, mesh, points
from understudy.conversion.compositing.gallery_detail import GRID
from understudy.conversion.detailer import KNOWN, Detailer, Galleries, share_mesh
from understudy.conversion.swapper import Drawer, detail_of
from understudy.faces.align import CORE, alignment, core_alignment, invert
from understudy.models import gallery as galleries
from understudy.models.gallery import Gallery
from understudy.settings import ConvertSettings
from understudy.types import Face, Floats, Frame, Image

YAWS = (-12, -8, -4, 0, 4, 8, 12)
FILM = 200
"""Side of the film, pixels."""

PIXEL = 0.8


def own_gallery(yaws: Sequence[float] = YAWS, side: int = SIDE) -> Gallery:
    """Of texture, another in each picture; where its eyes look is not known."""
    found = gallery(yaws, [texture(seed, side) for seed in range(len(yaws))])
    found.gazes[:] = np.nan
    return found


def head(yaw: float = 0.0, roll: float = 0.0, x: float = 0.0, size: float = 1.0) -> Face:
    """In a film of `FILM` pixels; moved to the right by x, and so many times larger."""
    landmarks = points(yaw, roll)
    landmarks = (landmarks - FILM / 2) * size + FILM / 2
    landmarks[:, 0] += x
    return face(landmarks.astype(np.float32))


def track(length: int) -> list[tuple[int, Face]]:
    """One that turns its head, each frame with its index."""
    turns = 10 * np.sin(np.arange(length) / 3)
    return [(5 + number, head(float(yaw))) for number, yaw in enumerate(turns)]


def lay(detailer: Detailer, index: int, seen: Face) -> Image:
    film = texture(100 + index, FILM)
    return detailer.lay(blurred(film, 2), film, (0, 0), seen, (index, PIXEL))


def test_a_frame_comes_out_the_same_whatever_was_drawn_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So a film that was stopped goes on as it began."""
    own, film = own_gallery(), track(12)
    whole = Detailer(own, None, 1.0)
    whole.follow(film, {0})
    drawn = {index: lay(whole, index, seen) for index, seen in film}
    assert len({image.tobytes() for image in drawn.values()}) == 12
    resumed = Detailer(own_gallery(), None, 1.0)
    resumed.follow(film, {0})
    # Decoded pictures are forgotten at once.
    monkeypatch.setattr(galleries, "HELD", 1)
    for index, seen in [film[9], film[3], film[11], film[9]]:
        assert (lay(resumed, index, seen) == drawn[index]).all()
    assert resumed.used == whole.used
    assert set(whole.used) == {(index, 0) for index, _ in film}


def test_other_tracks_do_not_matter() -> None:
    film = track(8)
    others = [
        (index, Face(seen.box, seen.landmarks + 3, 1.0, seen.pose, 4)) for index, seen in film
    ]
    alone, among = Detailer(own_gallery(), None, 1.0), Detailer(own_gallery(), None, 1.0)
    alone.follow(film, {0})
    among.follow([one for pair in zip(others, film, strict=True) for one in pair], {0})
    assert among.used == alone.used
    assert among.picks(5, 4) is None
    # A track that is never seen is none.
    among.follow(film, {0, 17})
    assert among.used == alone.used


def laid_over(own: Gallery, row: int, seen: Face) -> Image:
    """A film in which a face looks exactly as in a picture of the gallery."""
    picture = own.near(row, 10**6)
    there = invert(alignment(seen.landmarks, len(picture)))
    size = (FILM, FILM)
    film = cv2.warpAffine(picture, there, size, flags=cv2.INTER_CUBIC, borderValue=(128,) * 3)
    return np.asarray(film, np.uint8)


def inner(seen: Face, share: float = 0.17) -> NDArray[np.bool_]:
    """The middle of a face: nose and cheeks."""
    at = core_alignment(seen.landmarks, GRID)
    y, x = np.mgrid[:FILM, :FILM]
    across, down = (a[0] * x + a[1] * y + a[2] for a in at)
    away = np.hypot(across - 0.5 * GRID, down - 0.53 * GRID)
    return np.asarray(away < share * GRID)


@pytest.mark.parametrize("roll", [0, 30, -75])
@pytest.mark.parametrize("size", [0.29, 1.0, 1.4])
def test_small_and_rolled_faces_take_the_pictures_texture(roll: float, size: float) -> None:
    """The smallest is 40 pixels high."""
    own, seen = own_gallery([0], round(SIDE * size)), head(0, roll, size=size)
    film = laid_over(own, 0, seen)
    drawn = blurred(film, 2)
    detailer = Detailer(own, own.mean, 1.0)
    detailer.follow([(0, seen)], {0})
    result = detailer.lay(drawn, film, (0, 0), seen, (0, PIXEL))
    where = inner(seen)
    assert where.sum() > 150
    wanted, found, before = (band(image, 1, 2)[where] for image in (film, result, drawn))
    assert alike(wanted, found) > 0.93
    assert alike(wanted, before) < alike(wanted, found) - 0.05
    assert 0.75 * wanted.std() < found.std() < 1.1 * wanted.std()
    assert before.std() < 0.6 * wanted.std()


def test_a_face_of_a_track_that_was_not_followed_is_a_still_picture() -> None:
    own, seen = own_gallery(), head(4)
    film = laid_over(own, 4, seen)
    drawn = blurred(film, 2)
    unfollowed, followed = Detailer(own, own.mean, 1.0), Detailer(own, own.mean, 1.0)
    followed.follow([(3, seen)], {0})
    results = [one.lay(drawn, film, (0, 0), seen, (3, PIXEL)) for one in (unfollowed, followed)]
    assert (results[0] == results[1]).all()
    assert unfollowed.used == {}
    assert unfollowed.picks(3, 0) is None
    wanted, found = (band(image, 1, 2)[inner(seen)] for image in (film, results[0]))
    assert alike(wanted, found) > 0.7


def at_grid(mesh: Floats) -> Floats:
    return np.asarray((mesh - (1 - CORE) / 2) / CORE * GRID - 0.5, np.float32)


def test_the_wanted_mesh_has_the_shape_of_who_comes() -> None:
    own = own_gallery()
    other = own.mean * np.float32(1.1) - np.float32(0.05)
    detailer = Detailer(own, other, 1.0)
    film = track(10)
    detailer.follow(film, {0})
    for index, seen in (film[2], (99, head(7))):
        _, core = detailer.wanted(seen, index)
        expected = at_grid(share_mesh(seen.landmarks) + own.mean - other)
        assert np.abs(core - expected).max() < 0.01
    # Who has that shape already is wanted as they are.
    _, core = Detailer(own, own.mean, 1.0).wanted(head(7), 0)
    assert np.abs(core - at_grid(mesh(7)[:, :2])).max() < 0.02


@pytest.mark.parametrize("length", [1, 12, 180])
def test_an_unknown_shape_counts_by_how_long_it_was_seen(length: int) -> None:
    own = own_gallery()
    wide = points()
    wide[:, 0] = (wide[:, 0] - 100) * 1.2 + 100
    film = [(index, face(wide)) for index in range(length)]
    detailer = Detailer(own, None, 1.0)
    detailer.follow(film, {0})
    _, core = detailer.wanted(film[-1][1], length - 1)
    shown = at_grid(share_mesh(wide))
    moved = np.linalg.norm(core - shown, axis=1)
    whole = np.linalg.norm(at_grid(own.mean) - shown, axis=1)
    assert whole.max() > 3
    assert moved == pytest.approx(whole * length / (length + KNOWN), abs=0.01)


def test_a_face_cut_off_by_the_edge_of_the_film() -> None:
    own, seen = own_gallery([0]), head()
    film = laid_over(own, 0, seen)
    drawn = blurred(film, 2)
    detailer = Detailer(own, own.mean, 1.0)
    whole = detailer.lay(drawn, film, (0, 0), seen, (0, PIXEL))
    cut = 85
    beside = head(x=-cut)
    part = np.ascontiguousarray(film[:, cut:]), np.ascontiguousarray(drawn[:, cut:])
    result = detailer.lay(part[1], part[0], (0, 0), beside, (0, PIXEL))
    where = inner(seen)[:, cut:]
    assert where.sum() > 300
    # Away from the edge it is the same.
    where[:, :6] = False
    assert np.abs(result.astype(int) - whole[:, cut:])[where].max() <= 4
    wanted, found = (band(image, 1, 2)[where] for image in (part[0], result))
    assert alike(wanted, found) > 0.9


def test_a_patch_may_begin_anywhere_in_the_frame() -> None:
    own, seen = own_gallery([0]), head(0, 10)
    film = laid_over(own, 0, seen)
    drawn = blurred(film, 2)
    detailer = Detailer(own, own.mean, 1.0)
    whole = detailer.lay(drawn, film, (0, 0), seen, (0, PIXEL))
    x, y = 11, 17
    result = detailer.lay(drawn[y:190, x:180], film[y:190, x:180], (x, y), seen, (0, PIXEL))
    away = np.abs(result.astype(int) - whole[y:190, x:180])
    assert away[inner(seen)[y:190, x:180]].max() <= 2


def test_strength_0_lays_nothing() -> None:
    film = texture(0, FILM)
    drawn = blurred(film, 2)
    assert Detailer(own_gallery(), None, 0.0).lay(drawn, film, (0, 0), head(), (0, 1)) is drawn
    own = own_gallery()
    both = Galleries({"ada": own}, {"chen": own.mean})
    assert both.detailer("chen", "ada", 0.0) is None
    assert both.detailer("chen", "ben", 1.0) is None
    found = both.detailer("any", "ada", 0.5)
    assert found is not None
    assert (found.gallery, found.strength) == (own, 0.5)
    assert both.facts() == {"ada": own.sha256}


class Flat(Drawer):
    """Draws every face as an even grey."""

    size, learned = 64, False
    settings = ConvertSettings(color="none", occlusion=False, grain=0, sharpen=0)

    def draw(self, crops: Sequence[Image]) -> tuple[Floats, Floats]:
        shape = len(crops), self.size, self.size
        return np.full((*shape, 3), 0.5, np.float32), np.ones(shape, np.float32)


@pytest.mark.parametrize("x", [0, -70])
def test_a_drawer_lays_it_where_it_drew(x: float) -> None:
    own, seen = own_gallery([0]), head(x=x)
    film = laid_over(own, 0, seen)
    frame = Frame(3, Fraction(0), av.VideoFrame.from_ndarray(film, format="rgb24"), lambda _: film)
    drawer = Flat()
    ((plain,),) = drawer.patches([(frame, [seen])])
    drawer.detailer = Detailer(own, own.mean, 1.0)
    ((patch,),) = drawer.patches([(frame, [seen])])
    assert (patch.x, patch.y) == (plain.x, plain.y)
    assert (patch.alpha == plain.alpha).all()
    height, width = patch.alpha.shape
    box = slice(patch.y, patch.y + height), slice(patch.x, patch.x + width)
    where = inner(seen)[box]
    where[:, :6] = False
    assert (np.abs(plain.image.astype(int) - 128)[where] <= 1).all()
    wanted, found = (band(image, 1, 2)[where] for image in (film[box], patch.image))
    assert alike(wanted, found) > 0.9
    assert found.std() > 0.5 * wanted.std()


def test_without_a_gallery_there_is_no_detail() -> None:
    assert detail_of(None, head(), 0) is None
    own, film = own_gallery(), texture(0, FILM)
    detailer = Detailer(own, None, 1.0)
    seen = track(8)
    detailer.follow(seen, {0})
    for index, one in (seen[0], seen[5]):
        laid = detail_of(detailer, one, index)
        assert laid is not None
        expected = detailer.lay(blurred(film, 2), film, (4, 2), one, (index, PIXEL))
        assert (laid(blurred(film, 2), film, (4, 2), PIXEL) == expected).all()
