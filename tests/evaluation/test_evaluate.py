from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar

import av
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support.painted_people import COLOURS, SIZE, Act, ColourTracker, embedding, film
from understudy.errors import FacesError, MediaError, SettingsError, UnknownModel, UnknownPerson
from understudy.evaluation import metrics
from understudy.evaluation.evaluate import EvaluateReport
from understudy.evaluation.evaluate import evaluate as really_evaluate
from understudy.facesets.extract import extract
from understudy.facesets.faceset import Faceset
from understudy.models import base
from understudy.models.base import SwapModel
from understudy.models.checkpoint import Snapshot, save
from understudy.models.recipe import Recipe
from understudy.progress import silent
from understudy.project import Project
from understudy.settings import EvaluateSettings, ExtractSettings, ScanSettings
from understudy.tracks.scan import film_hash, scan
from understudy.types import Face, Floats, Image

FRAMES = 30
HELD_OUT = 0.3
GREEN = [Act("green", 0, FRAMES, 90)]
RED = [Act("red", 0, FRAMES, 90)]


def look_at(image: Image, face: Face) -> Floats:
    """Who has the colour in the middle of the face."""
    x, y = (int((face.box[n] + face.box[n + 2]) / 2) for n in (0, 1))
    seen = np.median(image[y - 4 : y + 5, x - 4 : x + 5].reshape(-1, 3), axis=0)
    return embedding(min(COLOURS, key=lambda who: float(np.abs(seen - COLOURS[who]).sum())))


evaluate: Callable[..., EvaluateReport] = partial(
    really_evaluate, embed=look_at, gaze=lambda image, face: None
)


class Tiny(SwapModel):
    """Draws what it sees, in red's case as it is, in green's case half as bright."""

    network: ClassVar[str] = "tiny"
    sizes = (64,)
    recipe = Recipe(batch=1, learning_rate=1e-3, betas=(0.9, 0.999))

    def __init__(self, size: int, people: tuple[str, ...]) -> None:
        super().__init__(size, people)
        self.decoders = nn.ModuleList(nn.Conv2d(3, 4, 1) for _ in people)
        with torch.no_grad():
            for person, decoder in zip(people, self.decoders, strict=True):
                assert isinstance(decoder, nn.Conv2d)
                assert decoder.bias is not None
                share = 1.0 if person == "red" else 0.5
                decoder.weight.copy_(share * torch.eye(4, 3)[..., None, None])
                decoder.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 1.0]))

    def encode(self, images: Tensor) -> Tensor:
        return images

    def decode(self, latent: Tensor, person: str) -> tuple[Tensor, Tensor]:
        out = self.decoder(person)(latent)
        return out[:, :3], out[:, 3:]

    def loss(self, image: Tensor, mask: Tensor, target: Tensor, face: Tensor) -> dict[str, Tensor]:
        return {"l1": (image - target).abs().mean()}


@pytest.fixture(scope="module")
def _tiny() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(base.NETWORKS, "tiny", (__name__, "Tiny"))
        yield


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, _tiny: None) -> Project:
    """Red and green with facesets, a model of both, and nobody else's weights."""
    folder = tmp_path_factory.mktemp("evaluate")
    project = Project.create(folder / "project")
    for person in ("red", "green"):
        clip = film(folder / f"{person}.mp4", 60, [Act(person, 0, 60, 100)])
        project.add(person, [clip], consent="synthetic")
        extract(
            project,
            person,
            ExtractSettings(),
            ScanSettings(),
            silent(),
            make_tracker=ColourTracker,
        )
    model = Tiny(64, ("red", "green"))
    prints = {
        "red": Faceset.open(project.person("red").faces_folder).fingerprint,
        "green": "other faces",
    }
    history = [
        {"step": n, "seconds": 60.0 * n, "people": {"red": {"ssim": 0.5, "psnr": 20.0}}}
        for n in (1, 2)
    ]
    state = {"step": 2, "held_out": HELD_OUT, "facesets": prints, "history": history}
    snapshot = Snapshot(model, copy.deepcopy(model), {}, {}, state)
    save(project.model_folder("duo"), 2, snapshot)
    return project


def painted_film(project: Project, path: Path, acts: list[Act], frames: int = FRAMES) -> Path:
    """A film whose scan lies in the project's cache already, made without networks."""
    film(path, frames, acts)
    scan(path, project.cache_folder, ScanSettings(), silent(), make_tracker=ColourTracker)
    return path


@pytest.fixture(scope="module")
def films(project: Project) -> tuple[Path, Path]:
    folder = project.folder.parent
    return (
        painted_film(project, folder / "film.mp4", GREEN),
        painted_film(project, project.renders_folder / "film.red.mp4", RED),
    )


def read(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def grey_film(path: Path, side: int = SIZE) -> Path:
    mask = np.zeros((side, side), np.uint8)
    mask[60:130, 60:120] = 255
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width = stream.height = side
        stream.pix_fmt = "gray"
        for _ in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(mask, "gray")))
        container.mux(stream.encode(None))
    return path


def test_a_model_alone_is_measured_on_faces_it_never_saw(project: Project) -> None:
    report = evaluate(project, "duo")
    assert report.swap is None
    faceset = Faceset.open(project.person("red").faces_folder)
    held_out = len(faceset.split(HELD_OUT)[1])
    red, green = report.people["red"], report.people["green"]
    assert red.faces == held_out > 0
    assert red.ssim == pytest.approx(1, abs=1e-3)
    assert red.psnr_db is not None
    assert red.psnr_db > 45
    assert green.psnr_db is not None
    assert green.psnr_db < 20
    assert report.json == project.renders_folder / "duo.report.json"
    values = json.loads(report.json.read_text())
    assert values == report.values
    assert values["swap"] is None
    assert values["people"]["red"]["ssim"] == red.ssim
    text = " ".join(sentence for _, sentence in report.verdict)
    assert "The faceset of green has changed since the training" in text
    assert "The faceset of red" not in text
    assert "Held-out SSIM while training" in report.html.read_text()


def test_a_swap_is_measured_against_film_and_truth(
    project: Project, films: tuple[Path, Path], tmp_path: Path
) -> None:
    plain, swap = films
    mask = grey_film(tmp_path / "mask.mkv")
    truth = painted_film(project, tmp_path / "truth.mp4", RED)
    report = evaluate(
        project, "duo", plain, swap, "green", "red", truth=truth, truth_mask=mask, output=tmp_path
    )
    scores = report.swap
    assert scores is not None
    assert scores.identity.nearer_to_with == 1
    assert scores.identity.distance_to_with == pytest.approx(0, abs=0.2)
    assert scores.identity.distance_to_replace == pytest.approx(2**0.5, abs=0.2)
    assert scores.expression.landmark_error == pytest.approx(0, abs=1e-4)
    assert scores.pose.pitch == pytest.approx(0, abs=0.1)
    assert scores.steadiness.ratio == pytest.approx(1, abs=0.4)
    assert (scores.frames, scores.faces, scores.both) == (FRAMES, FRAMES, FRAMES)
    inside = np.zeros((SIZE, SIZE), bool)
    inside[60:130, 60:120] = True
    expected = metrics.mean(
        [metrics.psnr(a, b, inside) for a, b in zip(read(plain), read(truth), strict=True)]
    )
    values = json.loads((tmp_path / "film.red.report.json").read_text())
    assert values["schema_version"] == 2
    assert values["swap"]["untouched"]["psnr_db"] == pytest.approx(expected, abs=0.3)
    assert values["swap"]["truth"]["psnr_db"] == metrics.PSNR_CEILING
    assert values["swap"]["truth"]["ssim"] == pytest.approx(1)
    assert values["frames"] == {"measured": FRAMES, "with_face": FRAMES, "with_both": FRAMES}
    assert (values["replace"], values["with"]) == ("green", "red")
    assert values["verdict"][0]["tone"] == "good"
    assert "The face is as crisp as in a perfect swap" in values["verdict"][0]["text"]
    texts = [one["text"] for one in values["verdict"]]
    decibels = [" dB" in text for text in texts]
    assert decibels == sorted(decibels), "figures in dB come last"
    assert any("Closer to the truth than the unchanged film" in text for text in texts)
    seen = values["swap"]["seen"]
    assert seen["detail"]["face"]["detail"] == pytest.approx([1, 1, 1])
    assert seen["detail"]["face"]["found"] == pytest.approx([1, 1, 1])
    assert seen["perceptual"]["swap"] == pytest.approx(0, abs=1e-3)
    assert seen["perceptual"]["untouched"] > 1
    assert seen["footage"]["face"] == pytest.approx([1, 1, 1], abs=0.3)
    assert seen["likeness"]["over_truth"] == pytest.approx(0, abs=1e-6)
    assert seen["likeness"]["margin"] > 1
    assert seen["retrieval"]["share"] == 1
    assert seen["retrieval"]["people"] > 70
    assert seen["blinks"]["agreement"] == 1
    assert seen["steps"]["jumps_at"] == []
    assert seen["steps"]["film"]["pairs"] == FRAMES - 1
    page = (tmp_path / "film.red.report.html").read_text()
    for heading in ("In words", "In numbers", "Frames", "Held-out faces", "Over time", "Worst"):
        assert f"<h2>{heading}" in page
    assert "Detail, compared with the true swap" in page
    assert "What a viewer sees" in page
    assert page.count("data:image/webp") >= 16
    assert "Numbers:" in str(report)


@pytest.mark.slow
def test_a_swap_is_held_against_another_one(
    project: Project, films: tuple[Path, Path], tmp_path: Path
) -> None:
    plain, swap = films
    mask = grey_film(tmp_path / "mask.mkv")
    truth = painted_film(project, tmp_path / "truth.mp4", RED)
    report = evaluate(
        project,
        "duo",
        plain,
        swap,
        "green",
        "red",
        truth=truth,
        truth_mask=mask,
        output=tmp_path,
        baseline=plain,
    )
    assert report.values["baseline"]["file"] == str(plain)
    assert report.values["baseline"]["truth"] == report.values["swap"]["untouched"]
    first = next(one for one in report.verdict if "Closer to the truth than film: " in one[1])
    second = next(one for one in report.verdict if "than film does" in one[1])
    assert first[0] == second[0] == "good"
    assert report.values["baseline"]["seen"]["detail"] == report.values["swap"]["seen"]["untouched"]
    assert "Looks more like red than film does" in second[1]
    with pytest.raises(SettingsError, match="only together with its film"):
        evaluate(project, "duo", baseline=plain)


def test_without_masks_our_own_are_taken(
    project: Project, films: tuple[Path, Path], tmp_path: Path
) -> None:
    plain, swap = films
    truth = painted_film(project, tmp_path / "truth.mp4", RED)
    report = evaluate(
        project,
        "duo",
        plain,
        swap,
        "green",
        "red",
        truth=truth,
        settings=EvaluateSettings(every=10),
        output=tmp_path,
    )
    assert report.swap is not None
    assert report.swap.frames == 3
    assert report.swap.truth is not None
    assert report.swap.truth.psnr_db == metrics.PSNR_CEILING
    assert report.swap.untouched is not None
    assert report.swap.untouched.psnr_db is not None
    assert report.swap.untouched.psnr_db < 15


@pytest.mark.slow
def test_the_record_beside_the_swap_says_who_is_who(
    project: Project, films: tuple[Path, Path], tmp_path: Path
) -> None:
    plain, swap = films
    with pytest.raises(MediaError, match="contains no film that duo made from film") as caught:
        evaluate(project, "duo", plain)
    assert "--swap" in caught.value.remedy
    record = {
        "film": {"name": plain.name, "sha256": film_hash(plain, project.cache_folder)},
        "swaps": {"green": "red"},
        "start": None,
        "end": None,
        "model": {"name": "duo"},
        "outputs": {"film": {"file": swap.name}},
    }
    beside = swap.with_suffix(".json")
    beside.write_text(json.dumps(record))
    try:
        report = evaluate(project, "duo", plain, output=tmp_path)
        assert report.values["swap"]["file"] == str(swap)
        assert (report.values["replace"], report.values["with"]) == ("green", "red")
        several = {**record, "swaps": {"green": "red", "any": "blue"}}
        beside.write_text(json.dumps(several))
        with pytest.raises(SettingsError, match="green by red, any by blue") as several_found:
            evaluate(project, "duo", plain, output=tmp_path)
        assert "--replace" in several_found.value.remedy
        report = evaluate(project, "duo", plain, replace="green", output=tmp_path)
        assert (report.values["replace"], report.values["with"]) == ("green", "red")
        other = painted_film(project, tmp_path / "other.mp4", [Act("green", 0, FRAMES, 80)])
        with pytest.raises(MediaError, match=r"was made from film\.mp4, not from other\.mp4"):
            evaluate(project, "duo", other, swap)
    finally:
        beside.unlink()


def test_what_makes_no_sense_is_refused_with_a_remedy(
    project: Project, films: tuple[Path, Path], tmp_path: Path
) -> None:
    plain, swap = films
    with pytest.raises(SettingsError, match="only together with its film"):
        evaluate(project, "duo", swap=swap)
    with pytest.raises(SettingsError, match="only with --truth"):
        evaluate(project, "duo", plain, swap, "green", "red", truth_mask=plain)
    with pytest.raises(SettingsError, match="the faces of film"):
        evaluate(project, "duo", plain, swap)
    with pytest.raises(SettingsError, match="cannot replace"):
        evaluate(project, "duo", plain, swap, "red", "red")
    with pytest.raises(UnknownPerson, match="rod"):
        evaluate(project, "duo", plain, swap, "green", "rod")
    with pytest.raises(UnknownModel, match="dou"):
        evaluate(project, "dou", plain, swap)
    with pytest.raises(MediaError, match=r"nowhere\.mp4 does not exist"):
        evaluate(project, "duo", tmp_path / "nowhere.mp4", swap)
    with pytest.raises(FacesError, match="red was not found in film"):
        evaluate(project, "duo", plain, swap, "red", "green")


def test_films_of_other_length_leave_earlier_results(
    project: Project, films: tuple[Path, Path], tmp_path: Path
) -> None:
    plain, _ = films
    short = painted_film(project, tmp_path / "short.mp4", RED, FRAMES - 10)
    kept = tmp_path / "short.report.json"
    kept.write_text("{}")
    with pytest.raises(MediaError, match=r"short\.mp4 has no frame at"):
        evaluate(project, "duo", plain, short, "green", "red", output=tmp_path)
    assert kept.read_text() == "{}"
