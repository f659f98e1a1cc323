from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.drawn_facesets import Drawn
from tests.support.tiny_network import Tiny
from understudy.errors import (
    CheckpointError,
    ConsentError,
    FacesError,
    ProjectLocked,
    SettingsError,
    TrainingError,
    UnknownModel,
    UnknownPerson,
)
from understudy.media.images import read_image
from understudy.models import base, original
from understudy.models.checkpoint import checkpoints, load, load_model
from understudy.models.recipe import Augmentation
from understudy.progress import Event, Progress
from understudy.project import Project
from understudy.runtime.files import only_writer
from understudy.safeguards import consent_gate
from understudy.settings import TrainSettings
from understudy.training import batches, plan
from understudy.training import train as stage
from understudy.training.augment import augment, core, planes
from understudy.training.held_out_loss import measure
from understudy.training.schedule import State, learning_rate

PEOPLE = ("ada", "chen")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(base.NETWORKS, "swift", ("tests.support.tiny_network", "Tiny"))
    monkeypatch.setattr(plan, "Faceset", Drawn)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project.create(tmp_path / "film")
    for name in PEOPLE:
        person = project.place_of(name)
        person.faces_folder.mkdir(parents=True)
        (person.faces_folder / "count.txt").write_text("40")
        consent_gate.write(person.consent_file, consent_gate.state(name, "synthetic"))
    return project


def settings(**given: Any) -> TrainSettings:
    # Faces that are drawn here lie in no folder that a gallery could be made from.
    values = {"size": 64, "steps": 20, "report_every": 1000, "device": "cpu", "gallery": False}
    return TrainSettings.model_validate(values | given)


def crops(person: str) -> torch.Tensor:
    arrays = Drawn(person, 40).load(64)
    return planes(arrays.images, arrays.masks)


def weights(project: Project, name: str = "duo") -> dict[str, torch.Tensor]:
    snapshot = load(checkpoints(project.model_folder(name))[0])
    return (
        {f"model.{key}": value for key, value in snapshot.model.state_dict().items()}
        | {f"average.{key}": value for key, value in snapshot.average.state_dict().items()}
        | snapshot.optimizer
    )


class Listener:
    """Keeps the notes, and does something when a step is reached."""

    def __init__(self, at: int | None = None, what: Any = None) -> None:
        self.notes: list[str] = []
        self.steps = 0
        self.at, self.what = at, what

    def __call__(self, event: Event) -> None:
        if event.kind == "note":
            self.notes.append(event.text)
        if event.kind == "step":
            self.steps += 1
            if self.steps == self.at:
                self.what()

    @property
    def progress(self) -> Progress:
        return Progress(self)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_training_learns_and_leaves_everything_behind(project: Project) -> None:
    listener = Listener()
    report = stage.train(project, PEOPLE, "duo", settings(steps=80), listener.progress)
    assert report.finished
    assert (report.steps, report.network, report.size) == (80, "swift", 64)
    assert report.people == PEOPLE
    assert report.minutes > 0
    assert report.faces_per_second > 0
    assert set(report.held_out) == set(PEOPLE)
    folder = project.model_folder("duo")
    assert report.folder == folder
    untrained = Tiny(64, PEOPLE).eval()
    trained = load_model(folder)
    error = measure(trained, crops("ada"), "ada").l1
    assert error < 0.7 * measure(untrained, crops("ada"), "ada").l1
    ada, chen = core(crops("ada"), 64)[0], core(crops("chen"), 64)[0]
    swapped = trained.swap(ada, "chen")[0]
    assert float((swapped - chen).abs().mean()) < float((swapped - ada).abs().mean())
    assert os.readlink(folder / "checkpoints" / "last") == "00000080"
    sheet = read_image(folder / "preview" / "latest.png")
    assert np.array_equal(sheet, read_image(folder / "preview" / "step-00000080.png"))
    assert sheet.std() > 10
    assert any(path.name.startswith("events") for path in (folder / "log").iterdir())
    assert any("held-out SSIM ada" in note for note in listener.notes)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_stopping_and_resuming_changes_nothing_to_the_bit(project: Project, precision: str) -> None:
    how = settings(steps=20, precision=precision)
    stage.train(project, PEOPLE, "whole", how)
    listener = Listener(9, interrupt)
    report = stage.train(project, PEOPLE, "duo", how, listener.progress)
    assert (report.finished, report.steps) == (False, 9)
    assert any("Run the same command again" in note for note in listener.notes)
    report = stage.train(project, PEOPLE, "duo", how)
    assert (report.finished, report.steps) == (True, 20)
    whole, parts = weights(project, "whole"), weights(project)
    assert set(whole) == set(parts)
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_original_resumes_to_the_bit(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    # The real one would take a minute and a gigabyte for this.
    monkeypatch.setattr(original, "WIDTHS", (8, 16, 16, 32))
    how = settings(steps=4, network="original", batch=2)
    stage.train(project, PEOPLE, "whole", how)
    stage.train(project, PEOPLE, "duo", how, Listener(2, interrupt).progress)
    report = stage.train(project, PEOPLE, "duo", how)
    assert report.size == 64
    whole, parts = weights(project, "whole"), weights(project)
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_another_seed_gives_another_model(project: Project) -> None:
    stage.train(project, PEOPLE, "one", settings(steps=2))
    stage.train(project, PEOPLE, "two", settings(steps=2, seed=1))
    one, two = weights(project, "one"), weights(project, "two")
    assert any(not torch.equal(one[key], two[key]) for key in one)


def test_a_finished_training_does_nothing_more_until_it_gets_a_larger_budget(
    project: Project,
) -> None:
    stage.train(project, PEOPLE, "duo", settings(steps=5))
    before = weights(project)
    listener = Listener()
    report = stage.train(project, PEOPLE, "duo", settings(steps=5), listener.progress)
    assert (report.steps, report.faces_per_second, listener.steps) == (5, 0, 0)
    assert any("already used its budget" in note for note in listener.notes)
    after = weights(project)
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert stage.train(project, PEOPLE, "duo", settings(steps=8)).steps == 8


def test_a_budget_in_minutes_counts_over_resumptions(project: Project) -> None:
    how = settings(steps=None, minutes=0.01)
    first = stage.train(project, PEOPLE, "duo", how, Listener(1, interrupt).progress)
    assert first.minutes < 0.01
    second = stage.train(project, PEOPLE, "duo", how)
    assert second.finished
    assert second.steps > first.steps
    assert second.minutes >= 0.01


def test_reports_are_made_on_the_way_and_three_checkpoints_kept(project: Project) -> None:
    report = stage.train(project, PEOPLE, "duo", settings(steps=6, report_every=1e-6))
    folder = project.model_folder("duo")
    assert [path.name for path in checkpoints(folder)] == ["00000006", "00000005", "00000004"]
    assert len(list((folder / "preview").glob("step-*.png"))) == 6
    history = load(checkpoints(folder)[0]).state["history"]
    assert [entry["step"] for entry in history] == [1, 2, 3, 4, 5, 6]
    assert report.held_out["ada"].ssim == history[-1]["people"]["ada"]["ssim"]


def test_a_loss_that_is_not_finite_does_not_touch_the_weights(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.train(project, PEOPLE, "duo", settings(steps=3))
    before = weights(project)
    honest, calls = Tiny.loss, []

    def loss(self: Tiny, *args: torch.Tensor) -> dict[str, torch.Tensor]:
        calls.append(1)
        terms = honest(self, *args)
        return {key: value * float("nan") for key, value in terms.items()}

    monkeypatch.setattr(Tiny, "loss", loss)
    report = stage.train(project, PEOPLE, "duo", settings(steps=5))
    assert report.steps == 5
    after = weights(project)
    parameters = [key for key in before if "running" not in key and "num_batches" not in key]
    assert all(torch.equal(before[key], after[key]) for key in parameters)


def test_a_loss_that_stays_broken_ends_with_the_last_checkpoint_kept(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.train(project, PEOPLE, "duo", settings(steps=3))
    before = weights(project)
    monkeypatch.setattr(
        Tiny, "loss", lambda self, image, *rest: {"l1": image.mean() * float("inf")}
    )
    listener = Listener()
    with pytest.raises(TrainingError, match="is not finite"):
        stage.train(project, PEOPLE, "duo", settings(steps=100), listener.progress)
    assert sum("half the learning rate" in note for note in listener.notes) == stage.RETREATS
    after = weights(project)
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_training_recovers_when_the_loss_breaks_for_a_while(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, calls = Tiny.loss, []

    def loss(self: Tiny, *args: torch.Tensor) -> dict[str, torch.Tensor]:
        calls.append(1)
        bad = 10 < len(calls) <= 10 + len(PEOPLE) * stage.PATIENCE
        return {
            key: value * (float("nan") if bad else 1) for key, value in honest(self, *args).items()
        }

    monkeypatch.setattr(Tiny, "loss", loss)
    assert stage.train(project, PEOPLE, "duo", settings(steps=20)).finished
    state = load(checkpoints(project.model_folder("duo"))[0]).state
    assert (state["retreats"], state["caution"]) == (1, 0.5)
    assert all(bool(value.isfinite().all()) for value in weights(project).values())


def test_what_is_wrong_is_said_before_anything_is_computed(project: Project) -> None:
    with pytest.raises(SettingsError, match="each person only once"):
        stage.train(project, ("ada", "ada"), "duo", settings())
    with pytest.raises(UnknownPerson, match="eve"):
        stage.train(project, ("ada", "eve"), "duo", settings())
    with pytest.raises(SettingsError, match="128 pixels"):
        stage.train(project, PEOPLE, "duo", settings(size=128))
    (project.person("chen").faces_folder / "count.txt").write_text("9")
    with pytest.raises(FacesError, match="chen has 9 faces; training needs at least 32"):
        stage.train(project, PEOPLE, "duo", settings())
    project.person("chen").consent_file.unlink()
    with pytest.raises(ConsentError, match="chen"):
        stage.train(project, PEOPLE, "duo", settings())
    assert not project.model_folder("duo").exists()


def test_an_existing_model_is_not_trained_as_something_else(project: Project) -> None:
    stage.train(project, PEOPLE, "duo", settings(steps=1))
    with pytest.raises(SettingsError, match=r"exists with other settings: swift, 64 px, ada"):
        stage.train(project, ("ada",), "duo", settings(steps=2))
    with pytest.raises(SettingsError, match="96 px"):
        stage.train(project, PEOPLE, "duo", settings(steps=2, size=96))
    with pytest.raises(SettingsError, match="original"):
        stage.train(project, PEOPLE, "duo", settings(steps=2, network="original"))


def test_only_one_process_trains_a_model(project: Project) -> None:
    with (
        only_writer(project.model_folder("duo") / ".lock", "the model duo"),
        pytest.raises(ProjectLocked),
    ):
        stage.train(project, PEOPLE, "duo", settings(steps=1))


def test_resuming_from_a_damaged_checkpoint_uses_the_one_before_and_says_so(
    project: Project,
) -> None:
    stage.train(project, PEOPLE, "duo", settings(steps=3, report_every=1e-6))
    newest = checkpoints(project.model_folder("duo"))[0]
    weak = newest / "optimizer-encoder.safetensors"
    weak.write_bytes(weak.read_bytes()[:-10])
    listener = Listener()
    report = stage.train(project, PEOPLE, "duo", settings(steps=4), listener.progress)
    assert report.steps == 4
    assert any(str(weak) in note for note in listener.notes)
    assert any("Continuing from step 2." in note for note in listener.notes)


def test_one_person_alone_can_be_learnt(project: Project) -> None:
    assert stage.train(project, ("ada",), "solo", settings(steps=2)).people == ("ada",)


def test_the_learning_rate_rises_and_falls_over_the_budget() -> None:
    def rate(step: int, steps: int = 100, phase: int = 0) -> float:
        return learning_rate(Tiny.recipe, State({"steps": steps}, 0.1, {}, step, phase=phase))

    curve = [rate(step) for step in range(100)]
    peak = curve.index(max(curve))
    assert 3 <= peak <= 6
    assert curve[: peak + 1] == sorted(curve[: peak + 1])
    assert curve[peak:] == sorted(curve[peak:], reverse=True)
    assert curve[-1] < 0.05 * max(curve)
    assert rate(100, 200, phase=100) < rate(110, 200, phase=100)
    timed = State({"minutes": 1}, 0.1, {}, 50, seconds=30)
    assert learning_rate(Tiny.recipe, timed) == pytest.approx(Tiny.recipe.learning_rate * 0.51)


def test_load_model_says_when_there_is_none(project: Project) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        load_model(project.model_folder("duo"))


def test_augmentation_of_the_recipe_is_used(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Augmentation] = []
    honest = augment

    def spy(crops: torch.Tensor, size: int, how: Augmentation, *more: Any) -> Any:
        seen.append(how)
        return honest(crops, size, how, *more)

    monkeypatch.setattr(batches, "augment", spy)
    stage.train(project, PEOPLE, "duo", settings(steps=1))
    assert seen == [Tiny.recipe.augmentation] * 2


@pytest.fixture
def trio(project: Project) -> Project:
    """The project with a third person, and `duo` trained on the first two."""
    person = project.place_of("eva")
    person.faces_folder.mkdir(parents=True)
    (person.faces_folder / "count.txt").write_text("40")
    consent_gate.write(person.consent_file, consent_gate.state("eva", "synthetic"))
    stage.train(project, PEOPLE, "duo", settings(steps=10))
    return project


def parts(project: Project, name: str = "duo") -> dict[str, bytes]:
    """The files of the newest checkpoint."""
    folder = checkpoints(project.model_folder(name))[0]
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


def test_three_people_resume_to_the_bit_and_every_decoder_is_stepped(trio: Project) -> None:
    people = (*PEOPLE, "eva")
    stage.train(trio, people, "whole", settings(steps=1))
    first = weights(trio, "whole")
    assert all((first[f"decoders.{number}.0.weight.exp_avg"] != 0).any() for number in range(3))
    stage.train(trio, people, "whole", settings(steps=8, seed=1))
    stage.train(trio, people, "parts", settings(steps=1))
    stage.train(trio, people, "parts", settings(steps=8, seed=1), Listener(3, interrupt).progress)
    stage.train(trio, people, "parts", settings(steps=8, seed=1))
    whole, again = weights(trio, "whole"), weights(trio, "parts")
    assert all(torch.equal(whole[key], again[key]) for key in whole)


def test_somebody_joins_on_a_frozen_encoder_and_nobody_else_changes_a_bit(trio: Project) -> None:
    before = parts(trio)
    listener = Listener()
    how = settings(steps=40)
    report = stage.train(trio, (), "duo", how, listener.progress, add=["eva"], freeze=True)
    assert (report.steps, report.people, report.learned) == (50, (*PEOPLE, "eva"), ("eva",))
    assert listener.steps == 40, "the budget counts from when she joined"
    assert set(report.held_out) == {"eva"}
    after = parts(trio)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {
        "decoder-eva.safetensors",
        "ema-decoder-eva.safetensors",
        "optimizer-decoder-eva.safetensors",
    }
    model = load_model(trio.model_folder("duo"))
    assert measure(model, crops("eva"), "eva").l1 < 0.8 * measure(model, crops("eva"), "ada").l1
    assert read_image(trio.model_folder("duo") / "preview" / "latest.png").std() > 10


@pytest.mark.parametrize("first", ["alike", "mean", "scratch"])
@pytest.mark.slow
def test_a_frozen_training_resumes_to_the_bit(trio: Project, first: str) -> None:
    shutil.copytree(trio.model_folder("duo"), trio.model_folder("whole"))
    how = settings(steps=12, decoder_from=first)
    stage.train(trio, (), "whole", how, add=["eva"], freeze=True)
    for _ in range(2):
        stage.train(trio, (), "duo", how, Listener(4, interrupt).progress, add=["eva"], freeze=True)
    report = stage.train(trio, (), "duo", how, add=["eva"], freeze=True)
    assert (report.steps, report.finished) == (22, True)
    assert parts(trio) == parts(trio, "whole")


def test_after_somebody_joined_all_learn_together_again(trio: Project) -> None:
    stage.train(trio, (), "duo", settings(steps=3), add=["eva"], freeze=True)
    before = parts(trio)
    report = stage.train(trio, (), "duo", settings(steps=5))
    assert (report.steps, report.learned) == (18, (*PEOPLE, "eva"))
    after = parts(trio)
    assert all(after[name] != before[name] for name in before)
    memory = load(checkpoints(trio.model_folder("duo"))[0]).optimizer
    steps = [float(memory[f"decoders.{number}.0.weight.step"]) for number in range(3)]
    assert steps == [15, 15, 8], "what the optimiser remembers is kept"


def test_somebody_joins_and_all_learn_together(trio: Project) -> None:
    report = stage.train(trio, (), "duo", settings(steps=4), add=["eva"])
    assert (report.steps, report.learned) == (14, (*PEOPLE, "eva"))
    assert set(report.held_out) == {*PEOPLE, "eva"}


def test_who_may_not_or_cannot_lend_pictures_is_left_out(trio: Project) -> None:
    trio.person("ada").consent_file.unlink()
    shutil.rmtree(trio.person("chen").faces_folder)
    listener = Listener()
    report = stage.train(
        trio, (), "duo", settings(steps=2), listener.progress, add=["eva"], freeze=True
    )
    assert report.finished
    assert sum("are not used" in note for note in listener.notes) == 2


def test_joining_what_cannot_be_joined_is_refused(
    trio: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnknownModel, match="no trained model trio"):
        stage.train(trio, (), "trio", settings(), add=["eva"])
    with pytest.raises(SettingsError, match="--add-person NAME --freeze-encoder"):
        stage.train(trio, (), "duo", settings(), freeze=True)
    with pytest.raises(SettingsError, match="cannot be named while adding eva"):
        stage.train(trio, ("ada",), "duo", settings(), add=["eva"])
    with pytest.raises(UnknownPerson):
        stage.train(trio, (), "duo", settings(), add=["eve"])
    monkeypatch.setattr(Tiny, "swaps", False)
    with pytest.raises(SettingsError, match="one decoder for all people"):
        stage.train(trio, (), "duo", settings(), add=["eva"])
