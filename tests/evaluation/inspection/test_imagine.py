"""The command `imagine`, and exact resumption of the networks whose latents it looks at.

People, films, facesets and networks are real and small; only what finds faces is painted.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)

from tests.support import studio
from tests.support.painted_people import ColourTracker
from understudy.cli.entry import main
from understudy.errors import ConsentError, SettingsError, UnknownModel, UnknownPerson
from understudy.evaluation.inspection import imagine as stage
from understudy.facesets.traits import TRAITS
from understudy.media import xmp
from understudy.media.images import read_image
from understudy.models import base
from understudy.models.checkpoint import checkpoints, load
from understudy.progress import Event, Progress
from understudy.project import Project
from understudy.runtime import files
from understudy.safeguards import consent_gate as consent
from understudy.settings import ScanSettings
from understudy.types import Face, Image
from understudy.verification.verify import verify

pytestmark = pytest.mark.slow

NETWORKS = {name: base.NETWORKS[name] for name in ("autoencoder", "vae")}
TRAIN: dict[str, Any] = {"size": 96, "batch": 4, "steps": 20, "report_every": 1000, "device": "cpu"}
SMALL: dict[str, Any] = {"samples": 8, "frames": 12, "device": "cpu"}


class Eyes:
    """Finds a face wherever the middle of a picture is not grey."""

    def __init__(self, settings: ScanSettings) -> None:
        self._tracker = ColourTracker(tracks={"red": 0})

    def faces(self, image: Image) -> list[Face]:
        height, width = image.shape[:2]
        middle = image[height * 3 // 8 : height * 5 // 8, width * 3 // 8 : width * 5 // 8]
        coloured = float(np.ptp(middle.mean((0, 1)))) > 20
        return [self._tracker._face("red", width / 2, height / 2)] if coloured else []


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    found = Project.open(studio.build(tmp_path_factory.mktemp("imagine")))
    for name in NETWORKS:
        found.train(("red", "blue"), name, network=name, **TRAIN)
    return found


@pytest.fixture(autouse=True)
def eyes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "FaceAnalyser", Eyes)


def stopping(at: int) -> Progress:
    """Interrupts the process when a training has made so many steps."""
    steps = 0

    def hear(event: Event) -> None:
        nonlocal steps
        if event.kind == "step" and event.task.startswith("train"):
            steps += 1
            if steps == at:
                os.kill(os.getpid(), signal.SIGINT)

    return Progress(hear)


def weights(project: Project, name: str) -> dict[str, torch.Tensor]:
    snapshot = load(checkpoints(project.model_folder(name))[0])
    return {
        f"{prefix}.{key}": value
        for prefix, one in (("model", snapshot.model), ("average", snapshot.average))
        for key, value in one.state_dict().items()
    }


@pytest.mark.parametrize("network", sorted(NETWORKS))
@pytest.mark.slow
def test_resuming_gives_the_same_weights_to_the_bit(project: Project, network: str) -> None:
    name = f"{network}-again"
    first = project.train(("red", "blue"), name, progress=stopping(10), network=network, **TRAIN)
    assert first.steps == 10
    assert not first.finished
    second = project.train(("red", "blue"), name, network=network, **TRAIN)
    assert second.steps == 20
    whole, halves = weights(project, network), weights(project, name)
    assert whole.keys() == halves.keys()
    assert all(torch.equal(value, halves[key]) for key, value in whole.items())


@pytest.mark.slow
def test_a_model_begins_with_the_encoder_of_another(project: Project) -> None:
    few = TRAIN | {"steps": 1}
    project.train(("red", "blue"), "fresh", network="vae", **few)
    project.train(("red", "blue"), "seeing", network="vae", encoder_from="autoencoder", **few)
    key = "average.encoder.squeeze.weight"
    source = weights(project, "autoencoder")[key]
    near, far = (
        float((weights(project, name)[key] - source).norm()) for name in ("seeing", "fresh")
    )
    assert near < 0.3 * far
    again = project.train(
        ("red", "blue"), "seeing", network="vae", encoder_from="autoencoder", **few
    )
    assert again.steps == 1


def test_an_encoder_that_is_not_there_or_does_not_fit_is_refused(project: Project) -> None:
    with pytest.raises(UnknownModel, match="autoencodr"):
        project.train(("red", "blue"), "new", encoder_from="autoencodr", **TRAIN)
    other = TRAIN | {"size": 160}
    with pytest.raises(SettingsError, match="incompatible with vae at 160 px"):
        project.train(("red", "blue"), "new", network="vae", encoder_from="autoencoder", **other)
    assert not checkpoints(project.model_folder("new"))


def test_the_divergence_is_logged_in_nats(project: Project) -> None:
    events = EventAccumulator(str(project.model_folder("vae") / "log"))
    events.Reload()
    curves = set(events.Tags()["scalars"])
    assert {"loss/kl", "loss/l1", "held out kl/red", "held out ssim/blue"} <= curves
    assert events.Scalars("held out kl/red")[-1].value > 0


def comment(path: Path) -> str:
    if path.suffix == ".png":
        (packet,) = xmp.packets(path.read_bytes())
        return packet.decode()
    with av.open(str(path)) as container:
        return container.metadata["comment"]


def measured(figures: dict[str, Any]) -> dict[str, Any]:
    """What does not hang on when it was signed."""
    return {key: value for key, value in figures.items() if key != "outputs"}


def shown(path: Path) -> list[bytes]:
    """Its pictures."""
    if path.suffix == ".png":
        return [read_image(path).tobytes()]
    with av.open(str(path)) as container:
        return [one.to_ndarray(format="rgb24").tobytes() for one in container.decode(video=0)]


def check_share(value: float) -> None:
    assert 0 <= value <= 1


@pytest.mark.slow
def test_a_vae_is_looked_at_person_by_person(project: Project, tmp_path: Path) -> None:
    report = project.imagine("vae", output=tmp_path / "out", **SMALL)
    assert json.loads((tmp_path / "out" / "figures.json").read_text()) == report.figures
    assert list(report.figures["people"]) == ["red", "blue"]
    assert report.figures["step"] == 20
    for name, figures in report.figures["people"].items():
        assert figures["faces"] >= 40
        assert figures["latents"]["kl"] > 0
        assert 0 <= figures["latents"]["active latents"] <= figures["latents"]["all"]
        assert figures["between"]["largest_over_mean_step"] >= 1
        assert figures["between"]["way_over_distance"] >= 1 - 1e-9
        check_share(figures["found"]["held-out faces"])
        check_share(figures["samples_found"]["prior"])
        check_share(figures["samples_found"]["fitted"])
        assert set(figures["directions"]) <= set(TRAITS)
        for kind in ("samples.png", "between.png", "between.mp4"):
            path = report.folder / f"{name}-{kind}"
            assert "ai-generated" in comment(path)
            assert "Faces imagined" in comment(path)
    again = project.imagine("vae", output=tmp_path / "again", **SMALL)
    assert measured(again.figures) == measured(report.figures)
    for path in sorted(report.folder.glob("*.[mp]*")):
        assert shown(path) == shown(again.folder / path.name), path.name
    other = project.imagine("vae", "red", tmp_path / "other", seed=1, **SMALL)
    assert list(other.figures["people"]) == ["red"]
    drawn, different = (
        read_image(folder / "red-samples.png") for folder in (report.folder, other.folder)
    )
    assert not np.array_equal(drawn, different)


@pytest.mark.slow
def test_what_is_drawn_is_marked_sealed_and_found_again(project: Project, tmp_path: Path) -> None:
    report = project.imagine("vae", "red", tmp_path, **SMALL)
    drawn = sorted(tmp_path.glob("*.[mp]*"))
    assert list(report.figures["outputs"]) == [path.name for path in drawn]
    consent = project.person("red").consent
    assert consent is not None
    for path in drawn:
        told = report.figures["outputs"][path.name]
        assert (told["sha256"], told["people"]) == (files.sha256(path), ["red"])
        assert (told["mark"], told["credentials"]) == ("found", "embedded")
        found = verify(path)
        assert found.outcome == "intact"
        assert found.mark == told["number"]
        assert found.facts is not None
        assert found.facts.source_sha256 is None
        assert found.facts.model_sha256 == report.figures["model"]["weights_sha256"]
        assert (found.facts.label, found.facts.reason) == ("corner", None)
        assert [one.id for one in found.facts.consents] == [consent.id]
        assert f'"ProduceID":"{told["number"]}"'.encode() in path.read_bytes().replace(
            b"&quot;", b'"'
        )
    # Two files of one run are not taken for one another.
    assert len({one["number"] for one in report.figures["outputs"].values()}) == len(drawn)


@pytest.mark.slow
def test_an_autoencoder_is_looked_at_as_a_whole(project: Project) -> None:
    report = project.imagine("autoencoder", **SMALL)
    assert report.folder == project.renders_folder / "imagine-autoencoder"
    assert list(report.figures["people"]) == ["everybody"]
    assert "kl" not in report.figures["people"]["everybody"]["latents"]
    assert (report.folder / "everybody-samples.png").is_file()
    one = project.imagine("autoencoder", "red", **SMALL)
    assert list(one.figures["people"]) == ["red"]


def test_nobody_is_drawn_without_consent(project: Project) -> None:
    place = project.person("blue")
    before = place.consent
    assert before is not None
    taken = before.model_copy(update={"revoked_at": before.stated_at})
    consent.write(place.consent_file, taken)
    try:
        with pytest.raises(ConsentError, match="blue withdrew the consent"):
            project.imagine("vae", **SMALL)
        with pytest.raises(ConsentError, match="blue withdrew the consent"):
            project.imagine("autoencoder", "red", **SMALL)
        assert project.imagine("vae", "red", **SMALL).figures["people"].keys() == {"red"}
    finally:
        consent.write(place.consent_file, before)


def test_bad_input_is_said_clearly(project: Project) -> None:
    with pytest.raises(SettingsError, match="not trained on eve"):
        project.imagine("vae", "eve", **SMALL)
    with pytest.raises(UnknownPerson, match="eve"):
        project.imagine("autoencoder", "eve", **SMALL)
    with pytest.raises(SettingsError, match="samples"):
        project.imagine("vae", samples=0)


def test_a_plain_autoencoder_is_not_asked_to_swap(project: Project) -> None:
    scene = project.folder.parent / "scene.mp4"
    with pytest.raises(SettingsError, match="it can redraw faces, but not swap them"):
        project.convert(scene, "red", "blue", "autoencoder")


@pytest.fixture
def quiet(capsys: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    capsys.readouterr()
    return capsys


def test_training_what_cannot_swap_leads_to_imagine(
    project: Project, quiet: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "red", "blue", "--name", "autoencoder", "--network", "autoencoder"]
    more = ["--size", "96", "--steps", "20", "--batch", "4", "--device", "cpu"]
    assert main(["--project", str(project.folder), *words, *more]) == 0
    assert "Next: understudy imagine --model autoencoder" in quiet.readouterr().out


def test_the_command_says_what_was_found(
    project: Project, quiet: pytest.CaptureFixture[str]
) -> None:
    words = ["imagine", "--model", "vae", "--person", "red", "--samples", "8", "--frames", "9"]
    assert main(["--project", str(project.folder), *words]) == 0
    said = quiet.readouterr().out
    assert "of the samples from N(0, 1)" in said
    assert "imagine-vae" in said
