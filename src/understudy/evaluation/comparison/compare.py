"""Compare networks: same people, same budget, same held-out film.

    understudy compare ada chen --models original,swift,vae,warp --minutes 10 --film FILM

Each network is trained under a separate name and converts the film; held-out faces and the
film are measured. `warp`, which learns nothing, is what they have to beat. Training and
conversion run in processes of their own, one after another, so that the memory that each takes
is its own. In the output folder:

    comparison.json, comparison.md      the table
    comparison.png                      the film, every model's swap, the truth
    comparison.faces.png                held-out faces, redrawn by every network
    MODEL.mp4, MODEL.json               the swap and its record
    MODEL.report.html, .json            its evaluation, with the warp as baseline

When run again, it continues: finished networks are not trained again, nor converted or measured if
nothing has changed. Keys of comparison.json (schema 2); what was not measured is null:

    schema_version, understudy, people, budget, with, replace, film, truth, machine
    compared_at             side in pixels at which held-out faces are compared
    untouched.{psnr_db, ssim}      the film itself against the truth
    models[].{model, size, trained_as, weights_mb}
    models[].training.{steps, minutes, faces_per_second, memory_mb}
    models[].held_out.{ssim, psnr_db, faces, people.NAME.{ssim, psnr_db, faces}}
    models[].conversion.{file, frames, swapped, frames_per_second, memory_mb, key}
    models[].film.{identity, expression, pose, pose_offset, pose_wander, steadiness, truth,
                   untouched, key}     as `swap` in the file that `evaluate` writes
    consents, outputs, notes           of the pictures, once they are there; see
                            `conversion.finish_drawn`, which labels, marks and seals them
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from understudy.conversion.finish_drawn import Finisher
from understudy.conversion.request import WARP
from understudy.errors import ProjectError, StorageError
from understudy.evaluation import metrics
from understudy.evaluation.comparison import table as comparison
from understudy.evaluation.comparison.held_out import Judged, judge
from understudy.evaluation.comparison.plan import Contest, Scene, settle, words_of
from understudy.evaluation.comparison.trials import Trials
from understudy.facesets.faceset import Faceset
from understudy.media.contact_sheet import Row, sheet
from understudy.media.film_sheet import contact_sheet
from understudy.models.base import network_class
from understudy.models.checkpoint import load_model
from understudy.progress import Progress, silent
from understudy.provenance.seal import check_ready, pictured
from understudy.runtime import files
from understudy.runtime.child_process import Runs, run_apart
from understudy.runtime.devices import choose_device, cores
from understudy.runtime.filenames import safe_stem
from understudy.settings import CompareSettings
from understudy.tracks.matching import EVERYBODY
from understudy.types import Image
from understudy.workspace import Workspace

SCHEMA_VERSION = 2
STEM = "comparison"


@dataclass(frozen=True)
class CompareReport:
    """What was found.

    Attributes:
        values: contents of `json`.
        json, markdown: the table.
        sheet: pictures of the film; None without one. `faces`: held-out faces.
    """

    values: dict[str, Any]
    json: Path
    markdown: Path
    sheet: Path | None
    faces: Path

    def __str__(self) -> str:
        made = [f"Table: {self.markdown}, {self.json}", f"Held-out faces: {self.faces}"]
        if self.sheet is not None:
            made.append(f"Pictures: {self.sheet}")
        return "\n".join([comparison.text(self.values), "", *made])


def compare(
    project: Workspace,
    people: Sequence[str],
    settings: CompareSettings,
    film: Path | None = None,
    replace: str | None = None,
    with_: str | None = None,
    face: str | None = None,
    truth: Path | None = None,
    truth_mask: Path | None = None,
    target_mask: Path | None = None,
    output: Path | None = None,
    progress: Progress | None = None,
    *,
    apart: Runs = run_apart,
) -> CompareReport:
    """Train networks for the same budget and measure what they and the warp do.

    Args:
        people: to train on; when empty, everyone with a faceset.
        film: in which faces are swapped, preferably one not used for training; without one only
            held-out faces, speed and size are compared, and the warp is left out.
        replace, with_: target (a person or "any") and source; when None the second and the first
            of `people`.
        face: photo of `with_` for the warp; None: the warp uses the faceset.
        truth, truth_mask, target_mask: as for `evaluation.evaluate.evaluate`.
        output: folder; one in the renders folder when None.
        apart: runs work in a separate process.

    Raises:
        UnknownModel: no such network.
        UnknownPerson, ConsentError, FacesError: someone cannot be trained or shown, or is not in
            the film.
        SettingsError: the arguments contradict each other.
        MediaError: a film or the photo cannot be read.
        StorageError: the disk is likely too small, or cannot be written.
        TrustError, ContentError: the output cannot be sealed.
        ProjectLocked: another process makes the same comparison.
        ProjectError: a process died.
        KeyboardInterrupt: stopped; the same call continues.
    """
    progress = progress or silent()
    others = {"truth": truth, "truth_mask": truth_mask, "target_mask": target_mask}
    contest = settle(project, people, settings, film, replace, with_, face, others)
    check_ready(project.settings.trust)
    if film is None and WARP in words_of(settings.models):
        progress.note("The warp is skipped, because it needs a film: give one with --film.")
    folder = (output or project.renders_folder / _folder_name(project, contest)).absolute()
    _check_output(folder / f"{STEM}.json")
    with files.storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with files.only_writer(folder / ".lock", f"the comparison in {folder}"):
        return _Run(Trials(project, contest, folder, progress, apart)).all()


def _folder_name(project: Workspace, contest: Contest) -> str:
    scene = contest.scene
    if scene is None:
        return "compare"
    who = f"-{scene.with_}-for-{scene.replace}"
    return f"compare-{files.fitting(safe_stem(scene.film), who, project.renders_folder)}{who}"


def _check_output(path: Path) -> None:
    """Raises StorageError when there is something else of that name."""
    if not path.exists():
        return
    try:
        ours = "compared_at" in files.read_json(path)
    except (ProjectError, TypeError):
        ours = False
    if not ours:
        raise StorageError(
            f"{path} is not a comparison and would be overwritten.", "Choose another --output."
        )


class _Run:
    """A comparison under way."""

    def __init__(self, trials: Trials) -> None:
        self.trials = trials
        self.project, self.contest, self.folder = trials.project, trials.contest, trials.folder
        self.progress = trials.progress
        self.rows: dict[str, dict[str, Any]] = {}
        self.judged: dict[str, dict[str, Judged]] = {}
        self.scene = trials.contest.scene
        self.told = self._earlier()

    def all(self) -> CompareReport:
        if self.scene is not None:
            self.trials.check_ready(self.scene)
        # First the rows without training: errors in the input show immediately.
        for model in sorted(self.contest.models, key=lambda model: model != WARP):
            self.rows[model] = self._row(model)
            self._write()
        faces = self.folder / f"{STEM}.faces.png"
        self._finish(faces, self._faces(), "Faces redrawn", self.contest.people)
        pictures = None
        if (scene := self.scene) is not None:
            pictures = self.folder / f"{STEM}.png"
            shown = [name for name in (scene.with_, scene.replace) if name != EVERYBODY]
            self._finish(pictures, self._films(scene), "Face replaced", shown, scene.film)
        values = self._write()
        table, words = (self.folder / f"{STEM}{suffix}" for suffix in (".json", ".md"))
        return CompareReport(values, table, words, pictures, faces)

    def _earlier(self) -> dict[str, Any]:
        """What an earlier run said of the pictures."""
        try:
            found = files.read_json(self.folder / f"{STEM}.json")
        except ProjectError:
            return {}
        return {key: found[key] for key in ("consents", "outputs", "notes") if key in found}

    def _finish(
        self,
        path: Path,
        image: Image,
        words: str,
        people: Sequence[str],
        film: Path | None = None,
    ) -> None:
        """Write a sheet on which these people are shown or replaced."""
        trust = self.project.settings.trust
        found = {name: self.project.person(name).consent for name in people}
        consents = {name: one for name, one in found.items() if one is not None}
        job = {
            "understudy": version("understudy"),
            "models": [
                [row["trained_as"], row["training"], row["conversion"]]
                for row in self.rows.values()
            ],
            "people": list(people),
            "picture": hashlib.sha256(image.tobytes()).hexdigest(),
            "trust": pictured(trust),
        }
        earlier = self.told.get("outputs")
        finisher = Finisher(trust, job, words, consents, source=film, earlier=earlier)
        finisher.still(path, image)
        for note in finisher.notes:
            self.progress.note(note)
        for key, value in finisher.told().items():
            if isinstance(value, dict):
                self.told[key] = {**self.told.get(key, {}), **value}
            else:
                self.told[key] = list(dict.fromkeys([*self.told.get(key, []), *value]))

    def _row(self, model: str) -> dict[str, Any]:
        row: dict[str, Any] = {"model": model, "size": None, "trained_as": None, "training": None}
        row |= {"weights_mb": 0.0, "held_out": None, "conversion": None, "film": None}
        swaps = model == WARP
        if model != WARP:
            name = self.contest.names[model]
            row["trained_as"], row["size"] = name, self.contest.courses[model].size
            row["training"] = self.trials.train(model)
            row["weights_mb"] = self.trials.weights(name)
            row["held_out"] = self._held_out(model)
            swaps = network_class(model).swaps
        if self.scene is not None and swaps:
            row["conversion"] = self.trials.convert(self.scene, row)
            if model != WARP:
                row["film"] = self.trials.evaluate(self.scene, row, self.rows.get(WARP))
        return row

    def _held_out(self, network: str) -> dict[str, Any]:
        home = self.project.model_folder(self.contest.names[network])
        course = self.contest.courses[network]
        facesets = {
            person: Faceset.open(self.project.person(person).faces_folder)
            for person in course.people
        }
        share = self.contest.training[network].held_out
        model = load_model(home, self.progress.note)
        found = judge(model, facesets, share, self.contest.compared_at, self.progress)
        self.judged[network] = found
        figures = {person: vars(one.figures) for person, one in found.items()}
        return {
            "ssim": metrics.mean([one["ssim"] for one in figures.values()]),
            "psnr_db": metrics.mean([one["psnr_db"] for one in figures.values()]),
            "faces": sum(one["faces"] for one in figures.values()),
            "people": figures,
        }

    def _write(self) -> dict[str, Any]:
        """Write the known part of the table; returns the contents of the JSON file."""
        scene = self.scene
        rows = [self.rows[model] for model in self.contest.models if model in self.rows]
        films = [row["film"] for row in rows if row["film"] is not None]
        values = {
            "schema_version": SCHEMA_VERSION,
            "understudy": version("understudy"),
            "people": list(self.contest.people),
            "budget": self.contest.budget,
            "with": scene.with_ if scene else None,
            "replace": scene.replace if scene else None,
            "film": scene.film.name if scene else None,
            "truth": scene.truth.name if scene and scene.truth else None,
            "machine": {
                "cores": cores(),
                "device": choose_device(self.project.settings.train.device).type,
                "torch": torch.__version__,
            },
            "compared_at": self.contest.compared_at,
            "untouched": films[0]["untouched"] if films else None,
            "models": rows,
            **self.told,
        }
        files.write_json(self.folder / f"{STEM}.json", values)
        table = comparison.markdown(values)
        files.write_bytes(self.folder / f"{STEM}.md", table.encode())
        return values

    def _faces(self) -> Image:
        """Held-out faces of everyone, as they are and as every network redraws them."""
        first = next(iter(self.judged.values()))
        rows = [Row("held-out faces", [p for one in first.values() for p in one.true])]
        rows += [
            Row(f"redrawn by {network}", [p for one in found.values() for p in one.drawn])
            for network, found in self.judged.items()
        ]
        return sheet(rows)

    def _films(self, scene: Scene) -> Image:
        """Frames of the film, of every swap and of the truth."""
        shown = [("the film", scene.film)]
        frames = 0
        for model in self.contest.models:
            done = self.rows[model]["conversion"]
            if done is not None:
                caption = f"with {scene.with_}'s face, by {model}"
                shown.append((caption, self.folder / done["file"]))
                frames = done["frames"]
        if scene.truth is not None:
            shown.append(("the truth", scene.truth))
        return contact_sheet(shown, frames)
