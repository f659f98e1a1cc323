"""Kinds of files: what is read, whole and upright, what is refused, and how that is said.

A new row in `REFUSED` or `SEVERAL` is a file, and what is to come of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.support import small_files
from tests.support.small_files import gradient
from tests.support.studio import CONVERT, command
from understudy.errors import MediaError
from understudy.media.images import IMAGE_SUFFIXES, read_image
from understudy.media.kinds import kind_of
from understudy.media.probe import is_still, read_still
from understudy.media.video import VideoReader, probe
from understudy.project import Project
from understudy.runtime.installation import Home
from understudy.verification.verify import verify

PICTURE = gradient(100, 90)
MOVING = [gradient(40, 30, blue) for blue in (0, 60, 120, 180)]
SHOWN = (40, 80, 40, 120)
"""Milliseconds of each."""
TIMES = [Fraction(0), Fraction(1, 25), Fraction(3, 25), Fraction(4, 25)]


def off(image: np.ndarray, truth: np.ndarray) -> float:
    assert image.shape == truth.shape
    return float(np.abs(image.astype(int) - truth).mean())


class TestHeic:
    def test_all_tiles_are_read_in_their_places(self, tmp_path: Path) -> None:
        path = small_files.heic(tmp_path / "IMG_0001.HEIC", PICTURE, 64)
        assert off(read_image(path), PICTURE) < 2
        info = probe(path)
        assert (info.kind, info.width, info.height, info.frames) == ("images", 100, 90, 1)

    @pytest.mark.parametrize("turns", [0, 1, 2, 3])
    @pytest.mark.parametrize("mirrored", [False, True])
    def test_it_is_shown_upright(self, turns: int, mirrored: bool, tmp_path: Path) -> None:
        path = small_files.heic(
            tmp_path / "a.heic", PICTURE, 64, quarter_turns=turns, mirrored=mirrored
        )
        upright = np.rot90(PICTURE, turns)
        assert off(read_image(path), upright[:, ::-1] if mirrored else upright) < 2

    def test_a_depth_map_is_not_the_picture(self, tmp_path: Path) -> None:
        path = small_files.heic(tmp_path / "a.heic", PICTURE, 64, depth=gradient(64, 64, 255))
        assert off(read_image(path), PICTURE) < 2

    def test_half_a_picture_is_none(self, tmp_path: Path) -> None:
        path = small_files.heic(tmp_path / "a.heic", PICTURE, 64, lost=1)
        with pytest.raises(MediaError, match="3 of its 4 tiles") as caught:
            probe(path)
        assert "export it from there as JPEG" in caught.value.remedy

    def test_the_name_does_not_matter(self, tmp_path: Path) -> None:
        """Phones' pictures are often renamed, and then read as films of one tile."""
        for name in ("a.jpg", "a.mov", "a"):
            path = small_files.heic(tmp_path / name, PICTURE, 64)
            assert is_still(path)
            with VideoReader(path) as frames:
                (frame,) = frames
            assert off(frame.image, PICTURE) < 2

    def test_damage_is_told_and_nothing_else(self, tmp_path: Path) -> None:
        whole = small_files.heic(tmp_path / "a.heic", gradient(64, 64), 64).read_bytes()
        path = tmp_path / "b.heic"
        random = np.random.default_rng(5)
        told = 0
        for _ in range(150):
            data = bytearray(whole[: random.integers(24, len(whole) + 1)])
            for place in random.integers(20, len(data), 4):
                data[place] = random.integers(256)
            path.write_bytes(data)
            try:
                assert read_image(path).dtype == np.uint8
            except MediaError:
                told += 1
        assert told > 75

    def test_a_real_one(self, shared_data: Path) -> None:
        path = shared_data / "trouble" / "heic" / "IMG_0001.HEIC"
        if not path.is_file():
            pytest.skip("not here")
        image = read_image(path)
        assert image.shape == (512, 512, 3)
        # The tiles go on in one another: seams are no sharper than the rest.
        steps = np.abs(np.diff(image.astype(int), axis=0)).mean((1, 2))
        assert steps[255] < 4 * np.median(steps)


def test_avif(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "a.avif"
    if not cv2.imwrite(str(path), PICTURE[..., ::-1], [cv2.IMWRITE_AVIF_QUALITY, 95]):
        pytest.skip("this OpenCV writes no AVIF")
    assert is_still(path)
    assert off(read_image(path), PICTURE) < 2
    share = np.where(np.arange(100) < 50, 0, 255).astype(np.uint8)
    clear = np.dstack([PICTURE[..., ::-1], np.broadcast_to(share, (90, 100))])
    assert cv2.imwrite(str(path), clear, [cv2.IMWRITE_AVIF_QUALITY, 95])
    image = read_image(path)
    assert (image[:, :45] > 250).all()
    assert off(image[:, 55:], PICTURE[:, 55:]) < 2


def read_all(path: Path) -> tuple[list[Fraction], list[np.ndarray], list[str]]:
    with VideoReader(path) as frames:
        pairs = [(frame.time, frame.image) for frame in frames]
        return [time for time, _ in pairs], [image for _, image in pairs], frames.damage


@pytest.mark.parametrize("name", ["a.webp", "a.png", "a.gif", "a.avif", "webp.png"])
def test_all_pictures_of_an_animation_with_their_times(name: str, tmp_path: Path) -> None:
    made = small_files.animation(tmp_path / name.replace("webp.png", "x.webp"), MOVING, SHOWN)
    path = made.rename(tmp_path / name)
    info = probe(path)
    assert info.kind == ("video" if name == "a.avif" else "animation")
    assert not is_still(path)
    times, images, damage = read_all(path)
    assert (times, damage) == (TIMES, [])
    close = 60 if name == "a.gif" else 5  # GIF has few colours
    for image, truth in zip(images, MOVING, strict=True):
        assert off(image, truth) < close
    with VideoReader(path, Fraction(1, 25), Fraction(4, 25)) as frames:
        assert [frame.time for frame in frames] == TIMES[1:3]
    with pytest.raises(MediaError, match="animation"):
        read_still(path)


def test_all_pages_of_a_tiff(tmp_path: Path) -> None:
    path = small_files.pages(tmp_path / "p.tif", [PICTURE, PICTURE // 2, gradient(50, 45)])
    assert (probe(path).kind, probe(path).frames) == ("images", 3)
    _, images, damage = read_all(path)
    assert off(images[0], PICTURE) == 0
    assert off(images[1], PICTURE // 2) == 0
    assert images[2].shape == PICTURE.shape
    assert damage == [
        "p.tif: 1 of 3 pictures have another size and were resized to 100x90, as the first."
    ]
    assert not is_still(path)
    with pytest.raises(MediaError, match="contains 3 pictures, but exactly one is needed"):
        read_still(path)


def test_a_small_copy_in_a_tiff_is_no_page(tmp_path: Path) -> None:
    path = small_files.pages(tmp_path / "p.tif", [PICTURE, gradient(20, 18)])
    data = bytearray(path.read_bytes())
    # NewSubfileType (254) of the second directory says "reduced" (TIFF 6.0, section 8).
    entry = b"\xfe\0\4\0\1\0\0\0"
    places = [at for at in range(len(data)) if data[at : at + 8] == entry]
    if len(places) != 2:
        pytest.skip("this OpenCV writes no such tag")
    data[places[1] + 8] = 1
    path.write_bytes(data)
    assert is_still(path)
    assert off(read_still(path), PICTURE) == 0


CR3 = b"\0\0\0\x18ftypcrx \0\0\0\1crx isom"

REFUSED: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a.dng": (lambda path: small_files.tiff(path, (0xC612, 4)), "raw camera data", "Export it"),
    "dng.tif": (
        lambda path: small_files.tiff(path, (0xC612, 4)),
        "raw camera data (DNG)",
        "Export it",
    ),
    "a.nef": (small_files.tiff, "raw camera data (NEF)", "Export it"),
    "a.cr3": (
        lambda path: path.write_bytes(CR3),
        "raw",
        "Export",
    ),
    "cr3.jpg": (
        lambda path: path.write_bytes(CR3),
        "raw",
        "Export",
    ),
    "a.raf": (lambda path: path.write_bytes(b"FUJIFILMCCD-RAW 0201"), "Fujifilm", "Export it"),
    "a.jxl": (lambda path: path.write_bytes(b"\xff\x0a\xfa\x0f"), "JPEG XL", "Save it as"),
    "a.psd": (lambda path: path.write_bytes(b"8BPS\0\1" + bytes(40)), "Photoshop", "Save it as"),
    "a.mp3": (lambda path: path.write_bytes(b"ID3\3" + bytes(40)), "no pictures", "Name a film"),
    "a.png": (lambda path: path.write_bytes(b"nothing"), "cannot be decoded", "Copy or download"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_named_with_the_way_out(name: str, tmp_path: Path) -> None:
    make, problem, remedy = REFUSED[name]
    make(tmp_path / name)
    project = Project.create(tmp_path / "project")
    with pytest.raises(MediaError) as caught:
        project.add("ada", [tmp_path / name], consent="self")
    assert problem in caught.value.problem
    assert name in caught.value.problem
    assert remedy in caught.value.remedy
    with pytest.raises(MediaError, match="could not be opened"):
        verify(tmp_path / name, Home(tmp_path / "home"))


def test_a_folder_of_everything(tmp_path: Path) -> None:
    """What is used, what is refused with the reason, what is passed over and what it is."""
    folder = tmp_path / "phone"
    folder.mkdir()
    small_files.heic(folder / "IMG_0001.HEIC", PICTURE, 64)
    small_files.film(folder / "IMG_0001.MOV", container="mov")
    small_files.animation(folder / "anim.webp", MOVING, SHOWN)
    small_files.pages(folder / "pages.tif", [PICTURE, PICTURE // 2])
    small_files.film(folder / "no suffix")
    small_files.tiff(folder / "DSC_1.NEF")
    small_files.tiff(folder / "DSC_2.NEF")
    (folder / "voice.mp3").write_bytes(b"ID3\3" + bytes(40))
    (folder / "IMG_0001.AAE").write_text("<plist/>")
    (folder / "notes").write_text("x")
    (folder / "half.heic").write_bytes((folder / "IMG_0001.HEIC").read_bytes()[:400])
    (folder / "others").symlink_to(tmp_path)
    report = Project.create(tmp_path / "project").add("ada", [folder], consent="self")
    assert {entry.file: entry.kind for entry in report.added} == {
        "IMG_0001.HEIC": "picture",
        "IMG_0001.MOV": "video",
        "anim.webp": "video",
        "no suffix": "video",
        "pages.tif": "picture",
    }
    assert {entry.file: entry.facts.get("pictures") for entry in report.added}["pages.tif"] == 2
    assert [one.path.name for one in report.refused] == ["half.heic"]
    assert report.passed_over == {
        "raw camera file (NEF): export it as JPEG or TIFF first": 2,
        "sound file without pictures": 1,
        "not a video or image (.aae)": 1,
        "not a video or image": 1,
        "link to a folder": 1,
    }


def test_every_suffix_of_pictures_is_known_by_its_content_too(tmp_path: Path) -> None:
    kinds = {".png": "PNG", ".jpg": "JPEG", ".webp": "WebP", ".bmp": "BMP", ".tif": "TIFF"}
    cv2 = pytest.importorskip("cv2")
    for suffix, name in kinds.items():
        assert suffix in IMAGE_SUFFIXES
        assert cv2.imwrite(str(tmp_path / f"a{suffix}"), PICTURE)
        shutil.copyfile(tmp_path / f"a{suffix}", tmp_path / "a.mp4")
        assert kind_of(tmp_path / "a.mp4").name == name
        assert probe(tmp_path / "a.mp4").kind == "images"


@pytest.mark.slow
def test_a_signed_film_under_a_picture_s_name_is_a_source(folder: Path) -> None:
    """Its credentials come along, as with its own name."""
    project = folder / "project"
    assert command(project, "convert", folder / "scene.mp4", *CONVERT) == 0
    (made,) = project.joinpath("renders").glob("*.mp4")
    source = made.rename(folder / "signed.png")
    assert verify(source).credentials.state == "trusted"
    assert command(project, "convert", source, *CONVERT) == 0
    (again,) = project.joinpath("renders").glob("signed-*.mp4")
    (ingredient,) = verify(again).credentials.ingredients
    assert ingredient.state == "trusted"
