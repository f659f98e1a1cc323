"""A project with a tiny model of three people, and everything that can be known of them."""

from __future__ import annotations

import torch

from tests.support.tiny_network import Tiny
from understudy.models.checkpoint import Snapshot, checkpoints, load, save
from understudy.project import Project
from understudy.safeguards import consent_gate
from understudy.training.schedule import State

PEOPLE = ("ada", "chen", "eva")


def snapshot(step: int, people: tuple[str, ...] = PEOPLE, seed: int = 0) -> Snapshot:
    torch.manual_seed(seed)
    model, average = Tiny(64, people), Tiny(64, people)
    memory = {f"{name}.exp_avg": torch.rand_like(value) for name, value in model.named_parameters()}
    figures = {name: {"ssim": 0.5, "psnr": 20.0, "l1": 0.1} for name in people}
    state = State({"steps": 40}, 0.1, dict.fromkeys(people, "print"), step=step)
    state.history = [{"step": step, "seconds": 1.0, "people": figures}]
    return Snapshot(model, average, memory, {}, state.json())


def studio(project: Project, people: tuple[str, ...] = PEOPLE) -> Project:
    for name in people:
        place = project.place_of(name)
        place.footage_folder.mkdir(parents=True)
        place.faces_folder.mkdir()
        (place.footage_folder / "film.mp4").write_bytes(f"film of {name}".encode())
        (place.faces_folder / "faces.parquet").write_bytes(b"faces")
        consent_gate.write(place.consent_file, consent_gate.state(name, "synthetic"))
    return project


def trained(project: Project, model: str = "trio", people: tuple[str, ...] = PEOPLE) -> None:
    """Two checkpoints and two preview sheets."""
    folder = project.model_folder(model)
    for step in (10, 20):
        save(folder, step, snapshot(step, people))
        (folder / "preview").mkdir(exist_ok=True)
        (folder / "preview" / f"step-{step:08d}.png").write_bytes(b"picture")


def newest(project: Project, model: str = "trio") -> Snapshot:
    return load(checkpoints(project.model_folder(model))[0])


def parts(project: Project, model: str = "trio") -> dict[str, bytes]:
    """The weights in the newest checkpoint, by file."""
    folder = checkpoints(project.model_folder(model))[0]
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}
