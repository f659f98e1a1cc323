"""A film through the whole conversion: who changes, what stays, and what survives a kill."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest

from tests.support import conversion_project
from tests.support.conversion_project import SEGMENT, convert, essence, faces_of, studio
from tests.support.painted_people import Act, film, paint, seconds
from understudy.conversion import render
from understudy.conversion.compositing.occlusion import REACH
from understudy.conversion.finish import marking
from understudy.errors import (
    ConsentError,
    FacesError,
    MediaError,
    ProjectError,
    ProjectLocked,
    SettingsError,
    StorageError,
    UnderstudyError,
    UnknownPerson,
    WeightsError,
)
from understudy.faces.masks import face_mask
from understudy.media.video import SegmentWriter, VideoReader, join
from understudy.models.base import SwapModel
from understudy.progress import Event, Progress
from understudy.project import Project
from understudy.runtime.files import only_writer
from understudy.settings import EncodeSettings
from understudy.tracks.scan import Scan, scan
from understudy.types import Frame, Image

FRAMES = 37
RED_UNTIL = 28
ACTS = [Act("red", 0, RED_UNTIL, 60), Act("blue", 5, FRAMES, 130)]
LOSSLESS: dict[str, Any] = {"codec": "ffv1"}
BESIDES: dict[str, Any] = {"side_by_side": True, "matte": True}


class Stage(NamedTuple):
    project: Project
    clip: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A project and a clip, copied by those who use it."""
    folder = tmp_path_factory.mktemp("made")
    clip = with_sound(film(folder / "silent.mp4", FRAMES, ACTS), folder / "clip.mp4")
    return Stage(studio(folder / "project"), clip)


@pytest.fixture
def here(made: Stage, tmp_path: Path) -> Stage:
    shutil.copytree(made.project.folder, tmp_path / "project")
    return Stage(Project.open(tmp_path / "project"), made.clip)


def with_sound(silent: Path, path: Path) -> Path:
    """The film with a tone of its length, AAC."""
    rate = 48000
    with av.open(str(silent)) as source, av.open(str(path), "w") as target:
        old = source.streams.video[0]
        new = target.add_stream_from_template(old)
        sound = target.add_stream("aac", rate=rate)
        assert isinstance(sound, av.AudioStream)
        sound.codec_context.layout = "mono"
        for packet in source.demux(old):
            if packet.size:
                packet.stream = new
                target.mux(packet)
        tone = np.sin(np.arange(int(rate * FRAMES / 25)) / 20).astype(np.float32)[None] / 4
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        target.mux(sound.encode(frame))
        target.mux(sound.encode(None))
    return path


def pictures(path: Path) -> list[Image]:
    with VideoReader(path) as reader:
        return [frame.image for frame in reader]


def planes(path: Path) -> list[list[bytes]]:
    """The native samples of every frame."""
    with VideoReader(path) as reader:
        return [
            [
                np.frombuffer(plane, np.uint8)  # type: ignore[call-overload]
                .reshape(-1, plane.line_size)[: plane.height, : plane.width]
                .tobytes()
                for plane in frame.picture.planes
            ]
            for frame in reader
        ]


def packets(path: Path, kind: str) -> list[bytes]:
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


def contents(project: Project) -> dict[str, bytes]:
    """Everything in the renders folder."""
    return {
        path.name: path.read_bytes() for path in project.renders_folder.iterdir() if path.is_file()
    }


def work_folders(project: Project) -> list[Path]:
    return [path for path in project.renders_folder.glob(".work/*") if path.is_dir()]


def test_only_the_named_person_changes(here: Stage) -> None:
    report = convert(here.project, here.clip, **LOSSLESS, **BESIDES)
    assert (report.frames, report.swapped) == (FRAMES, RED_UNTIL)
    assert report.output == here.project.renders_folder / "clip-green-for-red.mkv"
    assert report.matte is not None
    assert report.side_by_side is not None
    before, after, alpha = pictures(here.clip), pictures(report.output), pictures(report.matte)
    assert len(before) == len(after) == len(alpha) == FRAMES
    for index, (old, new, grey) in enumerate(zip(before, after, alpha, strict=True)):
        touched = np.abs(old.astype(int) - new).max(2) > 0
        if index >= RED_UNTIL:
            assert not touched.any()
            assert not grey.any()
            continue
        # Chroma samples spread over their neighbours, hence a pixel or two of room.
        rows, columns = np.nonzero(touched)
        assert columns.max() < 100, "blue is further right"
        seen = grey[..., 0] > 0
        near = np.zeros_like(seen)
        low, high = np.argwhere(seen).min(0) - 2, np.argwhere(seen).max(0) + 3
        near[low[0] : high[0], low[1] : high[1]] = True
        assert not (touched & ~near).any()
        middle = new[int(rows.mean()), int(columns.mean())].astype(int)
        assert middle[0] < middle[2], "red is drawn inverted"
    wide = pictures(report.side_by_side)
    assert wide[0].shape[1] == 2 * before[0].shape[1]
    for old, new, both in zip(before, after, wide, strict=True):
        # The halves meet in the middle, where chroma is interpolated across.
        np.testing.assert_array_equal(both[:, :190], old[:, :190])
        np.testing.assert_array_equal(both[:, 194:], new[:, 2:])


def test_everybody_changes_when_asked(here: Stage) -> None:
    report = convert(here.project, here.clip, "any", **LOSSLESS)
    assert (report.frames, report.swapped) == (FRAMES, FRAMES)
    old, new = pictures(here.clip)[10].astype(int), pictures(report.output)[10]
    changed = np.abs(old - new).max(2) > 30
    assert changed[:, :95].any()
    assert changed[:, 105:].any()


def test_two_people_take_each_others_places(here: Stage) -> None:
    swaps = {"red": "blue", "blue": "red"}
    report = convert(here.project, here.clip, swaps, None, **LOSSLESS)
    assert report.output.name == "clip-red-for-blue-and-blue-for-red.mkv"
    assert [match.as_ for match in report.matches] == ["red", "blue"]
    assert json.loads(report.record.read_text())["swaps"] == swaps
    one = convert(here.project, here.clip, "red", "blue", **LOSSLESS)
    other = convert(here.project, here.clip, "blue", "red", **LOSSLESS)
    films = [pictures(path) for path in (report.output, one.output, other.output)]
    for both, left, right in zip(*films, strict=True):
        np.testing.assert_array_equal(both[:, :95], left[:, :95])
        np.testing.assert_array_equal(both[:, 97:], right[:, 97:])
    again = convert(here.project, here.clip, dict(reversed(swaps.items())), None, **LOSSLESS)
    assert again.output == report.output


def test_somebody_by_name_and_the_rest_by_any(here: Stage) -> None:
    report = convert(here.project, here.clip, {"red": "green", "any": "red"}, None)
    assert [match.as_ for match in report.matches] == ["red", "any"]
    assert report.swapped == FRAMES


def test_everybody_who_takes_part_is_asked_and_looked_for(here: Stage, tmp_path: Path) -> None:
    alone = film(tmp_path / "alone.mp4", 12, [Act("red", 0, 12, 60)])
    both = {"red": "green", "blue": "red"}
    expect(FacesError, here, "blue was not found", film=alone, replace=both, with_=None)
    expect(ProjectError, here, "green has no faceset", replace={**both, "green": "red"}, with_=None)
    for name in ("red", "green", "blue"):
        file = here.project.person(name).consent_file
        record = file.read_bytes()
        file.unlink()
        expect(ConsentError, here, f"{name} has no consent", replace=both, with_=None)
        file.write_bytes(record)


def test_frames_without_the_face_are_encoded_as_the_source(here: Stage, tmp_path: Path) -> None:
    """Segments start encoders anew, so a segment without a swap is what plain encoding gives."""
    report = convert(here.project, here.clip)
    plain = tmp_path / "plain.nut"
    settings = EncodeSettings(preset="ultrafast")
    last = 3 * SEGMENT
    with (
        VideoReader(here.clip, seconds(last)) as reader,
        SegmentWriter(plain, reader.info, settings) as writer,
    ):
        for frame in reader:
            writer.write(frame)
    join([plain], tmp_path / "plain.mp4", None, None, None, settings)
    expected = packets(tmp_path / "plain.mp4", "video")
    assert len(expected) == FRAMES - last
    assert packets(report.output, "video")[last:] == expected


def test_untouched_frames_keep_every_sample(here: Stage) -> None:
    report = convert(here.project, here.clip, **LOSSLESS)
    assert planes(report.output)[RED_UNTIL:] == planes(here.clip)[RED_UNTIL:]


def test_sound_is_copied_packet_for_packet(here: Stage) -> None:
    report = convert(here.project, here.clip)
    assert report.output.suffix == ".mp4"
    assert packets(report.output, "audio") == packets(here.clip, "audio")
    assert report.notes[0].startswith(
        "The film is unscanned: the content guard, an optional extra, is not"
    )
    assert report.notes[1:] == (
        f"{report.output.name} has no invisible watermark: pictures under {10**6} pixels on the "
        "shorter side are too small for it. Its record says so.",
    )


def test_a_part_is_that_part_of_the_whole(here: Stage) -> None:
    whole = convert(here.project, here.clip, **LOSSLESS)
    part = convert(here.project, here.clip, start=seconds(10), end=seconds(24), **LOSSLESS)
    assert part.output.name == "clip-green-for-red-2.mkv"
    assert (part.frames, part.swapped) == (14, 14)
    with VideoReader(part.output) as reader:
        times = [frame.time for frame in reader]
    assert times == [seconds(index) for index in range(14)]
    # The tracker begins anew with the part, so faces may lie a little differently: compare
    # what is not face.
    for old, new in zip(pictures(whole.output)[10:24], pictures(part.output), strict=True):
        np.testing.assert_array_equal(old[:, 100:], new[:, 100:])
        assert np.abs(old.astype(int) - new).mean() < 2


def test_outputs_say_what_they_are(here: Stage) -> None:
    report = convert(here.project, here.clip, **BESIDES)
    for path in (report.output, report.side_by_side, report.matte):
        with av.open(str(path)) as container:
            tags = {key.lower(): value for key, value in container.metadata.items()}
        assert "ai-generated" in tags["comment"]
        assert tags["comment"] == marking()["comment"]


def test_the_record_says_what_went_in(here: Stage) -> None:
    report = convert(here.project, here.clip, **BESIDES)
    assert report.record == report.output.with_suffix(".json")
    record = json.loads(report.record.read_text())
    assert record["schema_version"] == 2
    assert record["swaps"] == {"red": "green"}
    assert record["film"]["name"] == "clip.mp4"
    assert set(record["consents"]) == {"red", "green"}
    assert (record["frames"], record["swapped"]) == (FRAMES, RED_UNTIL)
    assert set(record["outputs"]) == {"film", "side", "matte"}
    assert record["settings"]["convert"]["segment"] == SEGMENT
    assert [track["as_"] for track in record["tracks"]] == ["red", None]
    assert not work_folders(here.project)


@pytest.mark.slow
def test_again_with_other_settings_keeps_the_first_film(here: Stage) -> None:
    first = convert(here.project, here.clip)
    kept = contents(here.project)
    made = essence(here.project.renders_folder)
    second = convert(here.project, here.clip, feather=0.2)
    assert second.output.name == "clip-green-for-red-2.mp4"
    assert {name: contents(here.project)[name] for name in kept} == kept
    third = convert(here.project, here.clip)
    assert third.output == first.output
    again = essence(here.project.renders_folder)
    assert {name: again[name] for name in made} == made


class _Stop(Exception):
    pass


@pytest.fixture(scope="module")
def uninterrupted(made: Stage, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("whole") / "project"
    shutil.copytree(made.project.folder, folder)
    project = Project.open(folder)
    convert(project, made.clip, **BESIDES)
    return essence(project.renders_folder)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", [KeyboardInterrupt, _Stop])
@pytest.mark.slow
def test_an_interrupted_conversion_comes_out_the_same(
    here: Stage, uninterrupted: dict[str, Any], seed: int, kind: type[BaseException]
) -> None:
    chance = random.Random(seed)
    frames_done: list[int] = []
    notes: list[str] = []

    def stopper(after: int) -> Progress:
        def listen(event: Event) -> None:
            if event.kind == "note":
                notes.append(event.text)
            if event.task.startswith("convert") and event.kind == "step":
                frames_done.append(int(event.done))
                if event.done >= after:
                    raise kind

        return Progress(listen)

    at = sorted(chance.sample(range(1, FRAMES), 3))
    for after in at:
        with pytest.raises(kind):
            convert(here.project, here.clip, progress=stopper(after), **BESIDES)
        assert not contents(here.project)
        (work,) = work_folders(here.project)
        segments = len(list(work.glob("segment-*.json")))
        assert segments == (after - 1) // SEGMENT
        assert len(list(work.glob(".segment-*"))) == 0
    if kind is KeyboardInterrupt:
        assert any("same command again to continue" in note for note in notes)
    frames_done.clear()
    report = convert(here.project, here.clip, progress=stopper(FRAMES + 1), **BESIDES)
    assert frames_done[0] == (at[-1] - 1) // SEGMENT * SEGMENT + 1, "finished ones are kept"
    assert (report.frames, report.swapped) == (FRAMES, RED_UNTIL)
    assert essence(here.project.renders_folder) == uninterrupted


@pytest.mark.slow
def test_killed_between_film_and_clean_up(
    here: Stage, uninterrupted: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(path: Path) -> None:
        raise _Stop

    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", dies)
        with pytest.raises(_Stop):
            convert(here.project, here.clip, **BESIDES)
    report = convert(here.project, here.clip, **BESIDES)
    assert report.frames_per_second == 0
    assert essence(here.project.renders_folder) == uninterrupted
    assert not work_folders(here.project)


@pytest.mark.slow
def test_few_frames_are_held_at_a_time(
    here: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory stays flat because decoding waits for encoding."""
    decoded, written, furthest = 0, 0, 0
    through = render.swapped

    def counting(frames: Iterator[Frame], *rest: Any) -> Any:
        def counted() -> Iterator[Frame]:
            nonlocal decoded
            for frame in frames:
                decoded += 1
                yield frame

        return through(counted(), *rest)

    def listen(event: Event) -> None:
        nonlocal written, furthest
        if event.task.startswith("convert") and event.kind == "step":
            written += 1
            furthest = max(furthest, decoded - written)
            time.sleep(0.001)

    monkeypatch.setattr(render, "swapped", counting)
    long = film(tmp_path / "long.mp4", 150, [Act("red", 0, 150, 60)])
    report = convert(here.project, long, progress=Progress(listen), segment=50)
    assert report.frames == decoded == written == 150
    assert furthest <= render.GROUP_FRAMES + REACH + render.RENDER_AHEAD + 2


def expect(error: type[UnderstudyError], here: Stage, match: str, **given: Any) -> None:
    """The conversion is refused, before anything was rendered."""
    clip = given.pop("film", here.clip)
    before = contents(here.project)
    with pytest.raises(error, match=match) as caught:
        convert(here.project, clip, **given)
    assert caught.value.remedy
    assert contents(here.project) == before
    assert not work_folders(here.project)


def test_wrong_people_are_refused(here: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    expect(UnknownPerson, here, "redd", replace="redd")
    expect(SettingsError, here, "cannot replace", replace="red", with_="red")
    expect(ProjectError, here, "has no faceset", replace="green", with_="red")
    here.project.person("red").consent_file.unlink()
    expect(ConsentError, here, "red has no consent", replace="red")
    expect(ConsentError, here, "red has no consent", replace="blue", with_="red")
    convert(here.project, here.clip, "any", "green")


def test_a_person_the_model_does_not_know_is_refused(
    here: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_green(self: SwapModel, person: str) -> Any:
        raise SettingsError("This model was not trained on green.", "Train one.")

    monkeypatch.setattr(SwapModel, "decoder", without_green)
    expect(SettingsError, here, "not trained on green")


def test_a_film_without_the_person_is_refused(here: Stage, tmp_path: Path) -> None:
    other = film(tmp_path / "other.mp4", 20, [Act("green", 0, 20, 60)])
    expect(FacesError, here, "red was not found", film=other)
    empty = film(tmp_path / "empty.mp4", 5, [])
    expect(FacesError, here, "No face was found", film=empty)


def test_bad_films_and_outputs_are_refused(here: Stage, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a film")
    expect(MediaError, here, "text.mp4", film=text)
    expect(MediaError, here, "missing.mp4", film=tmp_path / "missing.mp4")
    expect(MediaError, here, "is the film", output=here.clip)
    expect(MediaError, here, "avi", output=tmp_path / "out.avi")
    expect(MediaError, here, "webm", output=tmp_path / "out.webm")
    folder = tmp_path / "folder.mp4"
    folder.mkdir()
    expect(MediaError, here, "is a folder", output=folder)
    theirs = tmp_path / "out.json"
    theirs.write_text("{}")
    expect(StorageError, here, "would be overwritten", output=tmp_path / "out.mp4")
    assert theirs.read_text() == "{}"
    expect(SettingsError, here, "negative", start=Fraction(-1))
    expect(SettingsError, here, "is not after", start=Fraction(1), end=Fraction(1))
    expect(MediaError, here, "libx265x", codec="libx265x")


def test_a_full_disk_is_seen_beforehand(here: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(1000))
    expect(StorageError, here, "GB free")


@pytest.mark.slow
def test_a_disk_that_fills_up_loses_nothing(here: Stage, uninterrupted: dict[str, Any]) -> None:
    faces_of(here.project, here.clip, 0)
    limited = 'ulimit -f 60; exec "$0" "$@"'
    command = ["bash", "-c", limited, sys.executable, "-m", "tests.support.conversion_project"]
    done = subprocess.run(
        [*command, str(here.project.folder), str(here.clip)],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    assert "StorageError" in done.stderr
    assert "disk is full" in done.stderr
    assert not contents(here.project)
    convert(here.project, here.clip, **BESIDES)
    assert essence(here.project.renders_folder) == uninterrupted


def test_odd_sizes_come_out_as_they_are(here: Stage, tmp_path: Path) -> None:
    odd = tmp_path / "odd.mkv"
    with av.open(str(odd), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 191, 189, "yuv420p"
        for index in range(3):
            image = np.ascontiguousarray(paint(ACTS, index)[:189, :191])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    report = convert(here.project, odd, **BESIDES)
    assert "191x189 is odd" in " ".join(report.notes)
    assert pictures(report.output)[0].shape == (189, 191, 3)
    assert report.side_by_side is not None
    assert pictures(report.side_by_side)[0].shape == (189, 380, 3)


def test_one_writer_only(here: Stage) -> None:
    with pytest.raises(_Stop):
        convert(here.project, here.clip, progress=Progress(stop_at(15)))
    (work,) = work_folders(here.project)
    kept = sorted(path.name for path in work.iterdir())
    with only_writer(work.with_suffix(".lock"), "it"), pytest.raises(ProjectLocked):
        convert(here.project, here.clip)
    assert sorted(path.name for path in work.iterdir()) == kept


def stop_at(frame: int) -> Any:
    def listen(event: Event) -> None:
        if event.task.startswith("convert") and event.kind == "step" and event.done == frame:
            raise _Stop

    return listen


def test_the_given_output_is_written_there(here: Stage, tmp_path: Path) -> None:
    here.project.renders_folder.rmdir()
    output = tmp_path / "new" / "swap.mov"
    report = convert(here.project, here.clip, output=output, **BESIDES)
    assert report.output == output
    assert report.side_by_side == tmp_path / "new" / "swap-side-by-side.mov"
    assert report.matte == tmp_path / "new" / "swap-matte.mkv"
    assert sorted(path.name for path in output.parent.iterdir()) == [
        "swap-matte.mkv",
        "swap-matte.mkv.c2pa",
        "swap-side-by-side.mov",
        "swap.json",
        "swap.mov",
    ]
    assert len(pictures(output)) == FRAMES


def test_the_matte_lies_inside_the_face(here: Stage) -> None:
    report = convert(here.project, here.clip, matte=True)
    assert report.matte is not None
    for index, grey in enumerate(pictures(report.matte)[:RED_UNTIL]):
        (red,) = [face for face in faces_of(here.project, here.clip, index) if face.track == 0]
        hull = face_mask(red.landmarks, grey.shape[0], soft=0.0)
        assert not grey[hull == 0].any()
        assert grey.max() == 255


def test_a_rendered_head_changes_inside_its_face(
    here: Stage, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real scan, on a clip whose true face is known."""
    clip = shared_data / "synthetic" / "test1_ada.mp4"
    truth = shared_data / "synthetic" / "test1_ada_mask.mkv"

    def look(*given: Any, tracker: object, **more: Any) -> Scan:
        return scan(*given, **more)

    monkeypatch.setattr(conversion_project, "_scan", look)
    try:
        report = convert(here.project, clip, "any", end=seconds(12), matte=True)
    except WeightsError as error:
        pytest.skip(str(error))
    assert (report.frames, report.swapped) == (12, 12)
    assert report.matte is not None
    for grey, face in zip(pictures(report.matte), pictures(truth)[:12], strict=True):
        alpha, true = grey[..., 0] / 255, face[..., 0] / 255
        assert alpha.max() == 1
        assert (alpha * true).sum() > 0.9 * alpha.sum(), "little beside the face"
        assert (alpha * true).sum() > 0.6 * true.sum(), "most of the face"
