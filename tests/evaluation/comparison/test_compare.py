"""Networks held against one another, over painted people; children run in this process."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import av
import numpy as np
import pytest
import torch
from torch import Tensor

import understudy.evaluation.evaluate
import understudy.faces.analyser
from tests.support import studio
from tests.support.painted_people import COLOURS, SIZE, Act, ColourTracker, embedding, film
from tests.support.tiny_network import Tiny
from understudy.cli.commands import STOPPED
from understudy.cli.entry import main
from understudy.errors import (
    ConsentError,
    FacesError,
    MediaError,
    SettingsError,
    StorageError,
    UnderstudyError,
    UnknownModel,
    UnknownPerson,
)
from understudy.evaluation.comparison.compare import CompareReport
from understudy.evaluation.comparison.compare import compare as really_compare
from understudy.evaluation.comparison.held_out import SHOWN, judge
from understudy.facesets.faceset import Faceset
from understudy.media.images import read_image
from understudy.models import base
from understudy.progress import Event, Progress, silent
from understudy.project import Project
from understudy.provenance.credentials import credentials
from understudy.runtime.child_process import Outcome
from understudy.settings import CompareSettings, ScanSettings, override
from understudy.training.train import train
from understudy.types import Face, Floats, Frame, Image

pytestmark = pytest.mark.slow

T = TypeVar("T")
MEMORY = 123.0


class Other(Tiny):
    network: ClassVar[str] = "original"
    sizes: ClassVar[tuple[int, ...]] = (96,)


class Eyes:
    """Finds the painted people in pictures and knows them by their colour."""

    def __init__(self, settings: ScanSettings) -> None:
        self.settings = settings

    def faces(self, image: Image) -> list[Face]:
        return ColourTracker().update(frame_of(image))

    def embed(self, image: Image, face: Face) -> Floats:
        x, y = (int((face.box[n] + face.box[n + 2]) / 2) for n in (0, 1))
        seen = np.median(image[y - 4 : y + 5, x - 4 : x + 5].reshape(-1, 3), axis=0)
        return embedding(min(COLOURS, key=lambda who: float(np.abs(seen - COLOURS[who]).sum())))


class Here:
    """Runs work in this process, as far as sending it to another would allow."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.done: list[str] = []
        self.stop_at = stop_at

    def __call__(
        self, what: str, work: Callable[..., T], *arguments: Any, progress: Progress
    ) -> Outcome[T]:
        if len(self.done) == self.stop_at:
            raise KeyboardInterrupt
        self.done.append(what)
        ForkingPickler.dumps((work, arguments))
        value = work(progress, *arguments)
        ForkingPickler.dumps(value)
        return Outcome(value, MEMORY)


def frame_of(image: Image) -> Frame:
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    return Frame(0, Fraction(0), picture, lambda shown: image)


@pytest.fixture(scope="module", autouse=True)
def _painted() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, studio.painted():
        patch.setitem(base.NETWORKS, "original", (__name__, "Other"))
        patch.setattr(understudy.evaluation.evaluate, "FaceAnalyser", Eyes)
        patch.setattr(understudy.faces.analyser, "FaceAnalyser", Eyes)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, _painted: None) -> Path:
    """A project with red and blue, and green who has no faces, beside the films."""
    folder = tmp_path_factory.mktemp("compare")
    Project.create(folder / "project")
    (folder / "project" / "project.toml").write_text('[convert]\ncolor = "none"\n')
    project = Project.open(folder / "project")
    people = {**studio.FILMS, "green": [Act("green", 0, studio.FRAMES, 90)]}
    for name, acts in people.items():
        footage = film(folder / f"{name}.mp4", studio.FRAMES, acts)
        project.add(name, [footage], consent="synthetic")
        if name != "green":
            project.extract(name)
    film(folder / "scene.mp4", 20, [Act("blue", 0, 20, 100)])
    film(folder / "truth.mp4", 20, [Act("red", 0, 20, 100)])
    film(folder / "empty.mp4", 5, [])
    return folder


@pytest.fixture
def project(folder: Path) -> Project:
    return Project.open(folder / "project")


def compare(
    project: Project,
    folder: Path,
    apart: Here,
    people: tuple[str, ...] = ("red", "blue"),
    **given: Any,
) -> CompareReport:
    """With the scene and its truth; `given` as for `evaluation.comparison.compare.compare` or
    fields of its settings."""
    films = {"film": folder / "scene.mp4", "truth": folder / "truth.mp4"}
    own = {key: given.pop(key) for key in list(given) if key in CompareSettings.model_fields}
    how = {"models": "swift,original,warp", "steps": 3, "size": 64, **own}
    settings = override(project.settings.compare, how, "the test")
    return really_compare(project, people, settings, **{**films, **given}, apart=apart)


@pytest.fixture(scope="module")
def compared(folder: Path) -> tuple[CompareReport, list[str]]:
    here = Here()
    return compare(Project.open(folder / "project"), folder, here), here.done


@pytest.mark.slow
def test_what_is_done(compared: tuple[CompareReport, list[str]]) -> None:
    assert compared[1] == [
        "the conversion with warp",
        *("the training of swift", "the conversion with swift"),
        *("the training of original", "the conversion with original"),
    ]


def test_the_figures(compared: tuple[CompareReport, list[str]], project: Project) -> None:
    report, _ = compared
    values = json.loads(report.json.read_text(encoding="utf-8"))
    assert values == report.values
    assert (values["people"], values["with"], values["replace"]) == (["red", "blue"], "red", "blue")
    assert values["budget"] == {"steps": 3}
    assert values["compared_at"] == 96
    swift, original, warp = values["models"]
    assert [row["model"] for row in values["models"]] == ["swift", "original", "warp"]
    assert (swift["size"], original["size"], warp["size"]) == (64, 96, None)
    assert (warp["training"], warp["held_out"], warp["weights_mb"]) == (None, None, 0)
    for row in (swift, original):
        training = row["training"]
        assert (training["steps"], training["memory_mb"]) == (3, MEMORY)
        seconds = 60 * training["minutes"]
        assert training["faces_per_second"] * seconds == pytest.approx(3 * 4 * 2)
        last = project.model_folder(row["trained_as"]) / "checkpoints" / "last"
        written = [file.stat().st_size for file in last.glob("ema-*.safetensors")]
        assert len(written) == 3
        assert row["weights_mb"] == sum(written) / 1e6
        held_out = row["held_out"]
        assert -1 <= held_out["ssim"] <= 1
        assert set(held_out["people"]) == {"red", "blue"}
        assert held_out["faces"] == sum(one["faces"] for one in held_out["people"].values()) > 1
    for row in values["models"]:
        assert (row["conversion"]["frames"], row["conversion"]["swapped"]) == (20, 20)
        assert row["conversion"]["frames_per_second"] > 0
        assert row["conversion"]["memory_mb"] == MEMORY
        assert row["film"]["identity"]["distance_to_with"] is not None
        assert row["film"]["untouched"] == values["untouched"]
    assert warp["film"]["truth"]["psnr_db"] > values["untouched"]["psnr_db"] + 3
    assert warp["film"]["identity"]["nearer_to_with"] == 1


def test_the_table_and_the_pictures(compared: tuple[CompareReport, list[str]]) -> None:
    report, _ = compared
    lines = report.markdown.read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    assert rows[0][-3:] == ["swift", "original", "warp"]
    assert ["training steps", "3", "3", "\N{EN DASH}"] in rows
    assert {len(row) for row in rows[2:]} == {4}
    warp = report.values["models"][2]
    (truth,) = (row for row in rows if row[0].startswith("swap and truth, PSNR"))
    assert truth[3] == f"{warp['film']['truth']['psnr_db']:.1f}"
    told = str(report)
    assert "20 frames" not in told
    assert "swap and truth, PSNR" in told
    assert str(report.sheet) in told
    assert report.sheet is not None
    height, width = read_image(report.sheet).shape[:2]
    assert width == 6 * 260 - 4
    assert height > 5 * (256 + 28), "there is a label above"
    faces = read_image(report.faces)
    assert faces.shape[0] > 3 * (128 + 4 + 22)
    for path, source in ((report.faces, False), (report.sheet, True)):
        assert b"ai-generated" in path.read_bytes()
        told = report.values["outputs"][path.name]
        assert (told["people"], told["mark"]) == (["blue", "red"], "found")
        facts = credentials.read(path).facts
        assert facts is not None
        assert (facts.record, len(facts.consents)) == (told["number"], 2)
        assert (facts.source_sha256 is not None) == source
    page = (report.json.parent / "swift.report.html").read_text(encoding="utf-8")
    assert "warp" in page


@pytest.mark.slow
def test_again_nothing_is_done_twice(
    compared: tuple[CompareReport, list[str]], project: Project, folder: Path
) -> None:
    nothing = Here(stop_at=0)
    again = compare(project, folder, nothing)
    assert again.values == compared[0].values
    other_order = compare(project, folder, nothing, models="warp,swift")
    assert [row["model"] for row in other_order.values["models"]] == ["warp", "swift"]
    way_back = Here()
    with pytest.raises(FacesError, match="scene"):
        compare(project, folder, way_back, with_="blue")
    assert way_back.done == []
    longer = Here()
    compare(project, folder, longer, models="swift", steps=4, output=folder / "longer")
    assert longer.done == ["the training of swift", "the conversion with swift"]


def test_without_a_film(project: Project, folder: Path, tmp_path: Path) -> None:
    here = Here()
    report = compare(project, folder, here, film=None, truth=None, output=tmp_path)
    assert here.done == []
    assert [row["model"] for row in report.values["models"]] == ["swift", "original"]
    assert report.sheet is None
    assert all(row["conversion"] is row["film"] is None for row in report.values["models"])
    assert "conversion" not in str(report)


def test_without_a_film_the_warp_is_left_out_however_the_models_are_written(
    project: Project, folder: Path, tmp_path: Path
) -> None:
    here = Here()
    how: dict[str, Any] = {"film": None, "truth": None, "output": tmp_path}
    events: list[Event] = []
    progress = Progress(events.append)
    models = "swift , original, warp"
    report = compare(project, folder, here, models=models, progress=progress, **how)
    assert [row["model"] for row in report.values["models"]] == ["swift", "original"]
    assert [event.text for event in events if "The warp is skipped" in event.text]


@pytest.mark.slow
def test_stopped_it_goes_on(project: Project, folder: Path, tmp_path: Path) -> None:
    how: dict[str, Any] = {"steps": 2, "output": tmp_path, "truth": None}
    stopped = Here(stop_at=3)
    with pytest.raises(KeyboardInterrupt):
        compare(project, folder, stopped, **how)
    half = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    assert [row["model"] for row in half["models"]] == ["swift", "warp"]
    rest = Here()
    report = compare(project, folder, rest, **how)
    assert rest.done == ["the training of original", "the conversion with original"]
    assert report.values["untouched"] is None
    assert "truth" not in str(report)


@pytest.mark.slow
def test_a_training_that_was_stopped_is_no_result(
    project: Project, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how: dict[str, Any] = {"models": "swift", "steps": 5, "output": tmp_path}

    def stopped(*given: Any, **more: Any) -> Any:
        return dataclasses.replace(train(*given, **more), finished=False)

    monkeypatch.setattr("understudy.evaluation.comparison.trials.train", stopped)
    with pytest.raises(KeyboardInterrupt):
        compare(project, folder, Here(), **how)
    monkeypatch.undo()
    here = Here()
    compare(project, folder, here, **how)
    assert here.done == ["the training of swift", "the conversion with swift"]


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"models": "swfit,warp"}, UnknownModel, "`swfit`.*`swift`"),
        ({"models": "warp"}, SettingsError, "warp alone"),
        ({"models": "autoencoder,warp"}, SettingsError, "--models swift"),
        ({"people": ("red",)}, SettingsError, "two people"),
        ({"people": ("red", "bleu")}, UnknownPerson, "blue"),
        ({"people": ("red", "green")}, FacesError, "understudy extract"),
        ({"with_": "green"}, SettingsError, "green is not among"),
        ({"with_": "red", "replace": "red"}, SettingsError, "red"),
        ({"film": None}, SettingsError, "--film"),
        ({"film": None, "truth": None, "face": "x.png"}, SettingsError, "--film"),
        ({"film": Path("no.mp4")}, MediaError, r"no\.mp4"),
        ({"film": "empty.mp4", "truth": None}, FacesError, "No face was found"),
        ({"film": "truth.mp4"}, FacesError, "blue was not found"),
        ({"truth": "small.mp4"}, MediaError, "pixels"),
        ({"truth": None, "truth_mask": "truth.mp4"}, SettingsError, "--truth"),
        ({"face": "no.png"}, MediaError, r"no\.png"),
    ],
)
def test_what_is_wrong_is_told_before_any_work(
    given: dict[str, Any], error: type[UnderstudyError], words: str, project: Project, folder: Path
) -> None:
    named: dict[str, Any] = {
        key: folder / value if isinstance(value, str) and value.endswith(".mp4") else value
        for key, value in given.items()
    }
    if "truth" in named and given["truth"] == "small.mp4" and not named["truth"].exists():
        shrink(folder / "truth.mp4", named["truth"])
    here = Here()
    with pytest.raises(error) as caught:
        compare(project, folder, here, **named)
    assert re.search(words, str(caught.value))
    assert here.done == []


def shrink(source: Path, target: Path) -> None:
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        stream = writing.add_stream("libx264", rate=25)
        stream.width = stream.height = SIZE // 2
        stream.pix_fmt = "yuv420p"
        for frame in reading.decode(video=0):
            writing.mux(stream.encode(frame.reformat(SIZE // 2, SIZE // 2)))
        writing.mux(stream.encode())


def test_without_consent_nothing_is_trained(project: Project, folder: Path) -> None:
    consent = project.person("blue").consent_file
    before = consent.read_bytes()
    consent.unlink()
    try:
        with pytest.raises(ConsentError, match="blue"):
            compare(project, folder, Here(stop_at=0))
    finally:
        consent.write_bytes(before)


def test_a_full_disk_is_told_before_any_work(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = type("Usage", (), {"free": 1000})()
    monkeypatch.setattr("shutil.disk_usage", lambda path: full)
    with pytest.raises(StorageError, match="models to train"):
        compare(project, folder, Here(stop_at=0), steps=9)


def test_a_file_of_somebody_else_is_not_overwritten(
    project: Project, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "comparison.json").write_text('{"mine": 1}')
    with pytest.raises(StorageError, match="--output"):
        compare(project, folder, Here(stop_at=0), output=tmp_path)
    assert (tmp_path / "comparison.json").read_text() == '{"mine": 1}'


def test_small_networks_are_measured_on_large_faces(project: Project) -> None:
    """What draws every face as it sees it is perfect at its own size only."""
    facesets = {"red": Faceset.open(project.person("red").faces_folder)}
    network = Mirror(64, ("red",))
    found = [judge(network, facesets, 0.2, size, silent())["red"] for size in (64, 128)]
    own, large = (one.figures for one in found)
    assert own.faces == large.faces > 0
    assert own.ssim == pytest.approx(1, abs=0.01)
    assert large.ssim is not None
    assert large.ssim < 0.97
    assert [len(one.true) for one in found] == [SHOWN, SHOWN]
    assert {picture.shape for picture in (*found[1].true, *found[1].drawn)} == {(128, 128, 3)}


class Mirror(Tiny):
    """Draws what it sees."""

    def encode(self, images: Tensor) -> Tensor:
        return images

    def decode(self, latent: Tensor, person: str) -> tuple[Tensor, Tensor]:
        return latent, torch.ones_like(latent[:, :1])


def test_the_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def spy(*given: Any, **named: Any) -> None:
        seen.append((given, named))
        raise KeyboardInterrupt

    monkeypatch.setattr("understudy.evaluation.comparison.compare.compare", spy)
    words = ["--project", str(folder / "project"), "compare", "red", "blue"]
    words += ["--models", "swift,warp", "--minutes", "2", "--film", "f.mp4", "--face", "p.jpg#2"]
    assert main(words) == STOPPED
    (_, people, settings), named = seen[0]
    assert people == ("red", "blue")
    assert settings == CompareSettings(models="swift,warp", minutes=2)
    said = [named[name] for name in ("film", "replace", "with_", "face")]
    assert said == [Path("f.mp4"), None, None, "p.jpg#2"]
    assert main([*words, "--steps", "3"]) == SettingsError.exit_code
    assert "not both" in capsys.readouterr().err
