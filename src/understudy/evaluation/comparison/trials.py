"""One model's trial: train, convert and evaluate, skipping what was done before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from understudy.conversion.convert import ConvertReport, convert
from understudy.conversion.outputs import Target, check_space
from understudy.conversion.plan import mean_identities
from understudy.conversion.rehearsal import Rehearsal
from understudy.conversion.request import WARP, ConversionRequest
from understudy.errors import ProjectError
from understudy.evaluation.comparison.plan import Contest, Scene, digest
from understudy.evaluation.evaluate import evaluate
from understudy.facesets.faceset import Faceset
from understudy.media.video import probe
from understudy.models.base import network_class
from understudy.models.checkpoint import checkpoints, load_state
from understudy.progress import Progress
from understudy.runtime import files
from understudy.runtime.child_process import Outcome, Runs
from understudy.settings import TrainSettings
from understudy.tracks.identify import Search, identify
from understudy.tracks.matching import EVERYBODY, require_match
from understudy.tracks.scan import film_hash
from understudy.training.train import TrainReport, train
from understudy.workspace import Workspace

FILM_FIGURES = (
    *("identity", "expression", "pose", "pose_offset", "pose_wander", "steadiness"),
    *("truth", "untouched"),
)


def train_apart(
    progress: Progress,
    project: Workspace,
    people: Sequence[str],
    name: str,
    settings: TrainSettings,
) -> TrainReport:
    """The training of one network; runs in a separate process."""
    return train(project, people, name, settings, progress, rehearse=Rehearsal)


def convert_apart(
    progress: Progress, project: Workspace, scene: Scene, model: str, output: Path
) -> ConvertReport:
    """The conversion of the film by one model; runs in a process of its own."""
    request = ConversionRequest.parse(
        project,
        scene.film,
        replace=scene.replace,
        with_=scene.with_,
        model=model,
        output=output,
        face=scene.face if model == WARP else None,
        given={"side_by_side": False, "matte": False},
    )
    return convert(project, request, progress)


@dataclass(frozen=True)
class Trials:
    """What all models go through.

    Attributes:
        folder: for films and reports.
        apart: runs work in a separate process.
    """

    project: Workspace
    contest: Contest
    folder: Path
    progress: Progress
    apart: Runs

    @property
    def _notes(self) -> Path:
        """Results of finished work, by model and part, so that it is not repeated."""
        return self.folder / ".measured.json"

    def check_ready(self, scene: Scene) -> None:
        """Raises FacesError when there is no target, StorageError when the disk is too small
        for the films."""
        project, how = self.project, self.project.settings
        info = probe(scene.film)
        target = Target.of(self.folder / f"film{self._suffix(scene)}", how.convert)
        check_space(target, project.renders_folder, info, start=None, end=None)
        wanted = (scene.replace,)
        identities = mean_identities(project, [n for n in wanted if n != EVERYBODY])
        search = Search(project.cache_folder, how.scan, how.convert.same_person)
        found = identify(
            scene.film, identities, replace=wanted, search=search, progress=self.progress
        )
        require_match(found.matches, wanted, search.same_person, scene.film.name)

    def _suffix(self, scene: Scene) -> str:
        how = self.project.settings
        swaps = {scene.replace: scene.with_}
        named = Target.named(
            self.folder,
            scene.film,
            swaps,
            output=None,
            settings=how.convert,
            encode=how.encode,
        )
        return named.film.suffix

    def train(self, network: str) -> dict[str, Any]:
        """Train to the end of the budget, or use the stored result."""
        name, how = self.contest.names[network], self.contest.training[network]
        home = self.project.model_folder(name)
        note = home / "compare.json"
        known = files.read_json(note) if note.exists() else {}
        state = load_state(home)
        if known.get("finished") and state is not None and state["step"] == known["steps"]:
            self.progress.note(f"{name} is already trained ({known['steps']} steps).")
            return {key: value for key, value in known.items() if key != "finished"}
        people = self.contest.courses[network].people
        work = (self.project, people, name, how)
        done: Outcome[TrainReport] = self.apart(
            f"the training of {network}", train_apart, *work, progress=self.progress
        )
        report = done.value
        batch = how.batch or network_class(network).recipe.batch
        faces = report.steps * batch * len(people)
        facts: dict[str, Any] = {
            "steps": report.steps,
            "minutes": report.minutes,
            "faces_per_second": faces / (60 * report.minutes) if report.minutes else None,
            "memory_mb": max(done.memory_mb, known.get("memory_mb", 0.0)),
        }
        files.write_json(note, facts | {"finished": report.finished})
        if not report.finished:
            raise KeyboardInterrupt
        return facts

    def weights(self, name: str) -> float:
        """What conversion reads of a model, MB: the averaged weights of encoder and decoders."""
        newest = checkpoints(self.project.model_folder(name))[0]
        return sum(file.stat().st_size for file in newest.glob("ema-*.safetensors")) / 1e6

    def _known(self, model: str, part: str, key: str) -> dict[str, Any] | None:
        """What an earlier run found, if it is of the same."""
        found = self._noted().get(f"{model} {part}")
        return found if isinstance(found, dict) and found.get("key") == key else None

    def _noted(self) -> dict[str, Any]:
        try:
            found = files.read_json(self._notes)
        except ProjectError:
            return {}
        return found if isinstance(found, dict) else {}

    def _note(self, model: str, part: str, found: dict[str, Any]) -> dict[str, Any]:
        files.write_json(self._notes, self._noted() | {f"{model} {part}": found})
        return found

    def convert(self, scene: Scene, row: dict[str, Any]) -> dict[str, Any]:
        model, how = row["model"], self.project.settings
        cache = self.project.cache_folder
        pictures = self._pictures(scene) if model == WARP else None
        key = digest(
            *(version("understudy"), row["trained_as"], (row["training"] or {}).get("steps")),
            *(film_hash(scene.film, cache), scene.replace, scene.with_, pictures),
            *(part.model_dump(mode="json") for part in (how.scan, how.convert, how.encode)),
        )
        output = self.folder / f"{model}{self._suffix(scene)}"
        known = self._known(model, "conversion", key)
        if known is not None and output.is_file():
            return known
        work = (self.project, scene, row["trained_as"] or WARP, output)
        done: Outcome[ConvertReport] = self.apart(
            f"the conversion with {model}", convert_apart, *work, progress=self.progress
        )
        report = done.value
        facts: dict[str, Any] = {
            "file": report.output.name,
            "frames": report.frames,
            "swapped": report.swapped,
            "frames_per_second": report.frames_per_second or None,
            "memory_mb": done.memory_mb,
            "key": key,
        }
        return self._note(model, "conversion", facts)

    def _pictures(self, scene: Scene) -> list[str | None]:
        """What the warp draws with: the photo, or the facesets of source and target."""
        if scene.face is not None:
            path = Path(scene.face)
            cache = self.project.cache_folder
            return [scene.face, film_hash(path, cache) if path.is_file() else None]
        people = [name for name in (scene.with_, scene.replace) if name != EVERYBODY]
        folders = [self.project.person(name).faces_folder for name in people]
        return [Faceset.open(folder).fingerprint for folder in folders]

    def evaluate(
        self, scene: Scene, row: dict[str, Any], warp: dict[str, Any] | None
    ) -> dict[str, Any]:
        """Measure a network's swap and the warp's, which is stored in its row `warp`."""
        cache, how = self.project.cache_folder, self.project.settings.evaluate
        how_measured = (
            [film_hash(other, cache) for other in scene.others],
            how.model_dump(mode="json"),
        )
        warp_key = None if warp is None else digest(warp["conversion"]["key"], *how_measured)
        key = digest(row["conversion"]["key"], warp_key, *how_measured)
        known = self._known(row["model"], "film", key)
        if warp is not None and warp_key is not None:
            warp["film"] = self._known(WARP, "film", warp_key)
        if known is not None and (warp is None or warp["film"] is not None):
            return known
        values = evaluate(
            self.project,
            row["trained_as"],
            film=scene.film,
            swap=self.folder / row["conversion"]["file"],
            replace=scene.replace,
            with_=scene.with_,
            truth=scene.truth,
            truth_mask=scene.truth_mask,
            target_mask=scene.target_mask,
            settings=how,
            progress=self.progress,
            output=self.folder,
            baseline=None if warp is None else self.folder / warp["conversion"]["file"],
        ).values
        if warp is not None:
            found = {name: values["baseline"][name] for name in FILM_FIGURES}
            warp["film"] = self._note(WARP, "film", found | {"key": warp_key})
        found = {name: values["swap"][name] for name in FILM_FIGURES}
        return self._note(row["model"], "film", found | {"key": key})
