from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import pytest
from av.video.stream import VideoStream

from understudy.demo import SAMPLE, demo
from understudy.errors import ProjectError, WeightsError
from understudy.evaluation.frame_measures import grey
from understudy.media.images import read_image
from understudy.media.video import VideoReader, probe
from understudy.models import base
from understudy.progress import Event, Progress
from understudy.project import Project
from understudy.verification.verify import verify

LENGTHS = {"ada.mp4": 48, "chen.mp4": 48}
SCENE = 8


def cut(source: Path, target: Path, frames: int) -> None:
    """The first frames of a film, without its sound."""
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        film = reading.streams.video[0]
        stream = writing.add_stream("libx264", rate=25, options={"crf": "18"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = film.width, film.height
        stream.pix_fmt = film.codec_context.pix_fmt
        for index, frame in enumerate(reading.decode(film)):
            if index == frames:
                break
            frame.pict_type = 0
            writing.mux(stream.encode(frame))
        writing.mux(stream.encode(None))


@pytest.fixture(scope="module")
def little(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's first frames."""
    folder = tmp_path_factory.mktemp("sample")
    for path in SAMPLE.glob("*.mp4"):
        cut(path, folder / path.name, LENGTHS.get(path.name, SCENE))
    return folder


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(base.NETWORKS, "swift", ("tests.support.tiny_network", "Tiny"))


def test_the_sample_is_small_whole_and_has_its_licence() -> None:
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) <= 3_000_000
    infos = {path.name: probe(path) for path in SAMPLE.glob("*.mp4")}
    assert {info.width for info in infos.values()} == {info.height for info in infos.values()}
    assert infos["ada.mp4"].frames == infos["chen.mp4"].frames == 900
    same = ("scene.mp4", "truth.mp4", "scene-mask.mp4", "truth-mask.mp4")
    assert {infos[name].frames for name in same} == {150}
    assert infos["scene.mp4"].audio
    assert "CC0" in (SAMPLE / "LICENSE.md").read_text(encoding="utf-8")


def test_masks_of_the_sample_are_plain_weights() -> None:
    for name in ("scene-mask.mp4", "truth-mask.mp4"):
        with VideoReader(SAMPLE / name) as reader:
            frame = next(iter(reader))
            weights = grey(frame, frame)
        assert weights.min() <= 0.01
        assert weights.max() >= 0.98
        assert 0.05 < (weights > 0.5).mean() < 0.6


@pytest.mark.slow
def test_the_whole_way(little: Path, tmp_path: Path) -> None:
    how: dict[str, Any] = {"sample": little, "steps": 3, "size": 64, "report_every": 1000}
    folder = tmp_path / "demo"
    try:
        report = demo(folder, **how)
    except WeightsError as error:
        pytest.skip(str(error))
    values = json.loads(report.numbers.read_text(encoding="utf-8"))
    assert report.numbers == folder / "report.json"
    assert values == report.values
    for near in (values["swap"]["truth"], values["swap"]["untouched"]):
        assert 5 < near["psnr_db"] < 60
        assert -1 <= near["ssim"] <= 1
    assert values["train"]["steps"] == 3
    assert values["train"]["minutes"] > 0
    assert values["train"]["faces_per_second"] > 0
    assert (values["convert"]["frames"], values["convert"]["swapped"]) == (SCENE, SCENE)
    assert values["convert"]["frames_per_second"] > 0
    assert set(values["people"]) == {"ada", "chen"}

    assert probe(report.film).frames == SCENE
    assert report.side_by_side is not None
    assert probe(report.side_by_side).width == 2 * probe(report.film).width
    assert report.page.read_text(encoding="utf-8").startswith("<!doctype html>")
    told = str(report)
    for path in (report.film, report.side_by_side, report.sheet, report.page, report.numbers):
        assert path.parent == folder
        assert str(path) in told
    height, width = read_image(report.sheet).shape[:2]
    assert width == 6 * 260 - 4
    assert height > 3 * (256 + 28), "there is a label above"
    found = verify(report.sheet)
    assert (found.outcome, found.mark) == (
        "intact",
        report.values["outputs"]["sheet.png"]["number"],
    )

    notes: list[str] = []

    def listen(event: Event) -> None:
        assert event.task not in ("scan ada.mp4", "scan chen.mp4"), "nothing is done twice"
        notes.append(event.text)

    again = demo(folder, progress=Progress(listen), **how)
    assert any("finished demo" in note for note in notes)
    assert again.values["train"] == values["train"]
    assert again.values["swap"]["truth"] == values["swap"]["truth"]
    assert demo(folder, **(how | {"steps": 5})).values["train"]["steps"] == 5


@pytest.mark.slow
def test_a_stopped_demo_goes_on(little: Path, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def listen(event: Event) -> None:
        if event.task.startswith("train") and event.kind == "step" and event.done == 2:
            raise Stop

    how: dict[str, Any] = {"sample": little, "steps": 4, "size": 64, "report_every": 1e-6}
    try:
        with pytest.raises(Stop):
            demo(tmp_path, progress=Progress(listen), **how)
    except WeightsError as error:
        pytest.skip(str(error))
    assert not (tmp_path / "report.json").exists()
    notes: list[str] = []
    report = demo(tmp_path, progress=Progress(lambda event: notes.append(event.text)), **how)
    assert report.values["train"]["steps"] == 4
    assert any("Continuing from step" in note for note in notes)


def test_the_project_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    project = Project.create(tmp_path)
    project.place_of("mira").folder.mkdir()
    with pytest.raises(ProjectError, match="mira"):
        demo(tmp_path)
    assert project.people == ["mira"]
