"""Stage 6: how good is a model, and a film made with it?

    understudy evaluate --model NAME [--film FILM] [--swap SWAP] [--truth FILM]

Always measured: how well every person's held-out faces are redrawn. With a film and its swap:
identity, expression, pose and steadiness, and what a viewer sees: whether the swap is as crisp as
its person's own footage, whom it looks like, whether it blinks and whether it jumps. With the
truth: how much of its detail the swap has, how near the swap is to it, and how near the film was
before anything was done. Results go to `renders/NAME.report.json`, where NAME
is the swap's (else the model's), and to one page next to it, `NAME.report.html`.

Keys of the JSON file (schema 2); what could not be measured is null:

    schema_version, model, film, swap, truth, replace, with
    people.NAME.{ssim, psnr_db, faces}
    replayed.NAME.{face,eyes,mouth}.{detail,found}
                                            held-out pictures put through the whole way of a
                                            conversion, compared with the pictures; null
                                            without a gallery
    swap.identity.{distance_to_with, distance_to_replace, nearer_to_with, frames}
    swap.expression.{landmark_error, mouth_correlation, eye_correlation, gaze_correlation}
    swap.pose.{yaw, pitch, roll}            mean absolute error, degrees
    swap.pose_offset.{yaw, pitch, roll}     mean of swap less film: mostly the mesh, which sees
                                            a pose differently in a face of another shape
    swap.pose_wander.{yaw, pitch, roll}     mean absolute error without that offset
    swap.pose_median.{yaw, pitch, roll}     median absolute error, offset and all
    swap.steadiness.{source, swap, ratio}
    swap.truth.{psnr_db, ssim}              null without --truth
    swap.untouched.{psnr_db, ssim}          the film itself against the truth
    swap.seen.detail.{face,eyes,mouth}.{detail,found}
                                            against the truth, [fine, middle, coarse] band; null
                                            without --truth; see `evaluation.gauges.detail`
    swap.seen.untouched                     as swap.seen.detail, for the film itself
    swap.seen.footage.{face,eyes,mouth}     detail over that of the person's own footage, by band
    swap.seen.footage.{enlarged, frames}    see `evaluation.gauges.footage`
    swap.seen.likeness.{to_source, to_target, margin, truth_to_source, over_truth, frames}
    swap.seen.retrieval.{share, frames, people, nearest_other}
    swap.seen.true_retrieval                as swap.seen.retrieval, for the truth
    swap.seen.perceptual.{swap, untouched}  distance to the truth, see
    `evaluation.gauges.perceptual`
    swap.seen.blinks.{agreement, shut_in_film, shut_in_swap, shut_in_both, frames}
    swap.seen.true_blinks                   as swap.seen.blinks, for the truth
    swap.seen.steps.{film,swap,truth}.{mean, median, largest, ratio, at, pairs}
                                            change from frame to frame after optical flow
    swap.seen.steps.jumps_at                seconds at which the swap jumps, the largest first
    swap.seen.{frames, notes}               frames measured closely; what was not measured, why
    baseline                                as swap, for the film given with --baseline, or null
    frames.{measured, with_face, with_both}
    verdict                                 [{tone: good | note | bad, text}]

Schema 2 added swap.seen; the keys of schema 1 are as they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

import numpy as np

from understudy.conversion.rehearsal import Rehearsal
from understudy.conversion.swapper import Swapper
from understudy.errors import FacesError, SettingsError
from understudy.evaluation.coverage import Openings, Reach, missing_expressions, missing_reach
from understudy.evaluation.frame_measures import (
    Aside,
    Embed,
    Films,
    Finders,
    Moment,
    counterpart,
    walk,
)
from understudy.evaluation.gauges import Means, Subject, Watcher, closely, sentences
from understudy.evaluation.gauges.detail import Detail
from understudy.evaluation.gauges.perceptual import at_hand
from understudy.evaluation.gauges.retrieval import crowd
from understudy.evaluation.gauges.seen import plain
from understudy.evaluation.gauges.wording import own_footage
from understudy.evaluation.inputs import Chosen, choose
from understudy.evaluation.page import Evaluation, Measured, build
from understudy.evaluation.reconstruction import Redrawn, redraw
from understudy.evaluation.replayed import MOST, replayed
from understudy.evaluation.scores import (
    Reconstruction,
    Sentence,
    SwapScores,
    beside,
    in_order,
    summarise,
    verdict,
)
from understudy.faces.analyser import FaceAnalyser
from understudy.faces.gaze import Gaze
from understudy.faces.openings import eye_opening, mouth_opening
from understudy.faces.weights import store
from understudy.facesets.faceset import Faceset
from understudy.media.html_report import Curve, Plot
from understudy.models.base import SwapModel
from understudy.models.checkpoint import load_model, load_state
from understudy.models.gallery import path_of
from understudy.progress import Progress, silent
from understudy.runtime import files
from understudy.runtime.devices import bfloat16_pays, choose_device, few_threads
from understudy.runtime.filenames import safe_stem
from understudy.settings import ConvertSettings, EvaluateSettings, TrainSettings
from understudy.tracks.identify import Search, identify
from understudy.tracks.matching import EVERYBODY, mean_identity, require_match
from understudy.tracks.scan import Scan, scan
from understudy.types import Face, Floats
from understudy.workspace import Workspace

SCHEMA_VERSION = 2

MOST_EMBEDDED = 60
"""Frames whose identity is measured, evenly spaced; an embedding costs as much as dozens of
frames of everything else."""

STRAY = 2.0
"""Per cent of a film's frames at either end of an angle that say nothing about its range."""


@dataclass(frozen=True)
class EvaluateReport:
    """What was found, as in the JSON file.

    Attributes:
        values: contents of `json`.
        people: held-out figures by name.
        swap: figures of the film; None when only the model was measured.
        verdict: what it means, in words.
        json, html: the files.
    """

    values: dict[str, Any]
    people: dict[str, Reconstruction]
    swap: SwapScores | None
    verdict: tuple[Sentence, ...]
    json: Path
    html: Path

    def __str__(self) -> str:
        lines = [f"{tone:<5}{text}" for tone, text in self.verdict]
        return "\n".join([*lines, f"Numbers: {self.json}", f"Page: {self.html}"])


def evaluate(
    project: Workspace,
    model: str,
    film: Path | None = None,
    swap: Path | None = None,
    replace: str | None = None,
    with_: str | None = None,
    truth: Path | None = None,
    truth_mask: Path | None = None,
    target_mask: Path | None = None,
    settings: EvaluateSettings | None = None,
    progress: Progress | None = None,
    output: Path | None = None,
    baseline: Path | None = None,
    *,
    embed: Embed | None = None,
    gaze: Aside | None = None,
) -> EvaluateReport:
    """Measure a model, and a film made with it.

    Args:
        film, swap: a film before and after conversion. Without `swap`, the newest film in the
            renders folder that this model made of `film`.
        replace, with_: target and source; what the record next to the swap says when
            not given. `replace` may be "any".
        truth: what the swap should look like, frame by frame.
        truth_mask, target_mask: grey films, white where the face is in `truth` and in `film`;
            pixels inside either count. Without any, our own face masks of both films do.
        output: folder for the two files; the renders folder when None.
        baseline: another swap of the same film, for example a photo's warp, to be beaten.
        embed, gaze: give identity embeddings and gazes, for callers with networks at hand.

    Raises:
        UnknownModel, UnknownPerson, CheckpointError, ProjectError: the model or a faceset
            cannot be used.
        SettingsError: it is not clear what to compare.
        FacesError: the target was not found in the film.
        MediaError: a film cannot be read, or films differ in size, length or timing.
        StorageError: the results cannot be written; earlier ones are kept.
    """
    settings = settings or EvaluateSettings()
    progress = progress or silent()
    if film is None and (swap is not None or truth is not None or baseline is not None):
        raise SettingsError(
            f"{'The truth' if truth else 'A swap'} can be measured only together with its film.",
            "Give the film before conversion with --film.",
        )
    if truth is None and (truth_mask is not None or target_mask is not None):
        raise SettingsError("Masks are used only with --truth.", "Give --truth too.")
    name = project.model(model)
    network = load_model(project.model_folder(name), progress.note)
    state = load_state(project.model_folder(name)) or {}
    chosen = None if film is None else choose(project, name, network, film, swap, replace, with_)
    facesets = _facesets(project, network)

    measured, other, reach = None, None, []
    if chosen is not None:
        masks = tuple(mask for mask in (truth_mask, target_mask) if mask is not None)
        films = Films(chosen.film, chosen.swap, truth, masks, chosen.start, chosen.end)
        measured = _measure(project, chosen, films, facesets, settings, progress, embed, gaze)
        reach = _missing(measured, facesets.get(chosen.with_))
        if baseline is not None:
            films = replaced(films, swap=baseline)
            other = _measure(project, chosen, films, facesets, settings, progress, embed, gaze)
    people = _reconstruct(state, network, facesets, progress)

    figures = {person: each.figures for person, each in people.items()}
    again = _replayed(project, name, state, network, facesets, progress)
    said = verdict(
        measured.scores if measured else None,
        figures,
        chosen.with_ if chosen else None,
        chosen.replace if chosen else None,
    )
    if measured is not None and other is not None and baseline is not None and chosen is not None:
        said = beside(measured.scores, other.scores, baseline.stem, chosen.with_) + said
    if measured is not None:
        said = sentences(measured.seen, measured.with_name) + said
    absent = [person for person in network.people if person not in facesets]
    said += (
        reach
        + _changed(state, facesets)
        + [
            ("note", f"{person} has no faceset in this project, so {person} was not measured.")
            for person in absent
        ]
    )
    said = in_order(said)
    said = said + own_footage(again)
    values = _values(name, chosen, truth, figures, measured, other, said)
    values["replayed"] = plain({n: one and asdict(one) for n, one in again.items()})
    title = f"{chosen.with_} in {chosen.film.name}" if chosen else f"Model {name}"
    lead = f"Model {name} ({network.network}, {network.size} pixels)"
    if chosen is not None and measured is not None:
        lead += f", {chosen.swap.name}, {measured.scores.frames} frames measured"
    page = build(Evaluation(title, lead, said, people, measured, _history(state)))
    folder = output or project.renders_folder
    stem = safe_stem(chosen.swap) if chosen else name
    stem = files.fitting(stem, ".report.html", folder)
    report = EvaluateReport(
        values=values,
        people=figures,
        swap=measured.scores if measured else None,
        verdict=tuple(said),
        json=folder / f"{stem}.report.json",
        html=folder / f"{stem}.report.html",
    )
    files.write_bytes(report.html, page.encode(errors="replace"))
    files.write_json(report.json, values)
    return report


def _values(
    model: str,
    chosen: Chosen | None,
    truth: Path | None,
    people: Mapping[str, Reconstruction],
    measured: Measured | None,
    other: Measured | None,
    said: Sequence[Sentence],
) -> dict[str, Any]:
    values: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "model": model,
        "film": str(chosen.film) if chosen else None,
        "swap": None,
        "truth": str(truth) if truth else None,
        "replace": (chosen.replace or EVERYBODY) if chosen else None,
        "with": chosen.with_ if chosen else None,
        "baseline": {
            "file": str(other.films.swap),
            **asdict(other.scores),
            "seen": other.seen.values(),
        }
        if other
        else None,
        "people": {name: asdict(figures) for name, figures in people.items()},
        "frames": None,
        "verdict": [{"tone": tone, "text": text} for tone, text in said],
    }
    if chosen is not None and measured is not None:
        scores = asdict(measured.scores)
        values["frames"] = {
            "measured": scores.pop("frames"),
            "with_face": scores.pop("faces"),
            "with_both": scores.pop("both"),
        }
        values["swap"] = {"file": str(chosen.swap), **scores, "seen": measured.seen.values()}
    return values


def _facesets(project: Workspace, network: SwapModel) -> dict[str, Faceset]:
    """Facesets of everyone in the project who has one, those of the model first."""
    names = [*network.people, *(name for name in project.people if name not in network.people)]
    return {
        name: Faceset.open(project.person(name).faces_folder)
        for name in names
        if name in project.people and project.person(name).has_faces
    }


def _identity(faceset: Faceset | None) -> Floats | None:
    if faceset is None or not len(faceset.embeddings):
        return None
    return mean_identity(faceset.embeddings)


def _missing(measured: Measured, faceset: Faceset | None) -> list[Sentence]:
    """Where the film turns further than the faces that the model could learn from."""
    if faceset is None:
        return []
    # The film shows another face than the faceset, and the mesh sees the pose of one face a
    # few degrees differently from that of another.
    offset = measured.scores.pose_offset
    poses = [moment.source.pose for moment in measured.moments if moment.source is not None]
    film = Reach.of(
        [pose.yaw + (offset.yaw or 0) for pose in poses],
        [pose.pitch + (offset.pitch or 0) for pose in poses],
        STRAY,
    )
    columns = (faceset.table[axis].to_numpy() for axis in ("yaw", "pitch"))
    faces = Reach.of(*columns)
    said = missing_reach(film, faces, measured.with_name) if film and faces else []
    looks = [moment.source for moment in measured.moments if moment.source is not None]
    played = Openings([look.eyes for look in looks], [look.mouth for look in looks])
    return said + missing_expressions(played, _openings(faceset), measured.with_name)


def _openings(faceset: Faceset) -> Openings:
    meshes = faceset.meshes
    return Openings(
        [sum(eye_opening(mesh)) / 2 for mesh in meshes],
        [mouth_opening(mesh) for mesh in meshes],
    )


def _measure(
    project: Workspace,
    chosen: Chosen,
    films: Films,
    facesets: Mapping[str, Faceset],
    settings: EvaluateSettings,
    progress: Progress,
    embed: Embed | None,
    gaze: Aside | None,
) -> Measured:
    cache, how = project.cache_folder, project.settings.scan
    identities = {
        name: one for name, each in facesets.items() if (one := _identity(each)) is not None
    }
    with_, replace = identities.get(chosen.with_), identities.get(chosen.replace or "")
    if chosen.replace is not None and replace is None:
        raise FacesError(
            f"{chosen.replace} has no faceset and cannot be recognised.",
            f"Run: understudy extract {chosen.replace}",
        )
    limit = project.settings.convert.same_person
    wanted = (chosen.replace or EVERYBODY,)
    search = Search(cache, how, limit, start=films.start, end=films.end)
    found = identify(films.film, identities, replace=wanted, search=search, progress=progress)
    require_match(found.matches, wanted, limit, chosen.film.name)
    source, tracks = found.scan, {match.track for match in found.matches if match.chosen}
    swapped = scan(films.swap, cache, how, progress)
    true = scan(films.truth, cache, how, progress) if films.truth else None

    def in_film(index: int) -> Face | None:
        # Where one person turns into another there is no telling what should be seen.
        faces = [f for f in source.faces(index) if f.track in tracks and f.share == 1]
        return max(faces, key=lambda face: face.box[2] - face.box[0], default=None)

    def alongside(other: Scan | None, index: int, face: Face) -> Face | None:
        return None if other is None else counterpart(face, other.faces(index))

    finders = Finders(
        film=in_film,
        swap=lambda index, face: alongside(swapped, index, face),
        truth=lambda index, face: alongside(true, index, face),
        embed=embed or FaceAnalyser(how).embed,
        gaze=gaze or Gaze(store.path("iris_landmark.tflite")),
    )
    perceptual, why = at_hand(progress) if films.truth else (None, None)
    people = {**{f"crowd {name}": one for name, one in crowd().items()}, **identities}
    subject = Subject(chosen.with_, chosen.replace, people, facesets.get(chosen.with_))
    there = sum(in_film(index) is not None for index in range(0, source.frames, settings.every))
    watcher = Watcher(
        subject, Means(in_film, finders.embed, perceptual), closely(there), settings.every
    )
    count = -(-source.frames // settings.every)
    moments: list[Moment] = []
    # Small networks and filters one after the other: parallel loops would wait for busy cores.
    with few_threads(), progress.task(f"measure {films.swap.name}", "frames", count) as task:
        apart = max(1, count // MOST_EMBEDDED)
        for moment in walk(films, finders, settings.every, apart, watcher):
            moments.append(moment)
            task.step()
    scores = summarise(moments, with_, replace)
    seen = watcher.result((why,) if why else ())
    return Measured(films, moments, scores, chosen.with_, chosen.replace, with_, replace, seen)


def _reconstruct(
    state: Mapping[str, Any],
    network: SwapModel,
    facesets: Mapping[str, Faceset],
    progress: Progress,
) -> dict[str, Redrawn]:
    """Redraw everyone's held-out faces with their own decoder."""
    share = float(state.get("held_out", TrainSettings().held_out))
    device = choose_device("auto")
    found: dict[str, Redrawn] = {}
    for person in network.people:
        if person not in facesets:
            continue
        _, rows = facesets[person].split(share)
        swapper = Swapper(network, person, ConvertSettings(), device, bfloat16_pays(device))
        with progress.task(f"redraw {person}", "faces", len(rows)) as task:
            found[person] = redraw(swapper, facesets[person], rows, task.step)
    return found


def _replayed(
    project: Workspace,
    model: str,
    state: Mapping[str, Any],
    network: SwapModel,
    facesets: Mapping[str, Faceset],
    progress: Progress,
) -> dict[str, Detail | None]:
    """Each person's held-out pictures, drawn through the whole pipeline, if the network swaps."""
    if not network.swaps:
        return {}
    share = float(state.get("held_out", TrainSettings().held_out))
    rows = {}
    for person in network.people:
        if person in facesets:
            held_out = facesets[person].split(share)[1]
            places = np.linspace(0, len(held_out) - 1, min(len(held_out), MOST))
            rows[person] = held_out[np.unique(places.round().astype(int))]
    found: dict[str, Detail | None] = {}
    folder, settings = project.model_folder(model), project.settings.convert
    with progress.task("replay", "people", len(rows)) as task:
        for person, own in rows.items():
            if not path_of(folder, person).exists():
                found[person] = None
                task.step()
                continue
            rehearsal = Rehearsal(
                folder, {person: facesets[person]}, {person: own}, settings, choose_device("auto")
            )
            found[person] = replayed(rehearsal, network, person)
            task.step()
    return found


def _changed(state: Mapping[str, Any], facesets: Mapping[str, Faceset]) -> list[Sentence]:
    """Who has other faces now than in training, so that held-out faces may have been seen."""
    trained = state.get("facesets")
    if not isinstance(trained, dict):
        return []
    return [
        (
            "note",
            f"The faceset of {person} has changed since the training, so some of the held-out "
            "faces may have been used for training.",
        )
        for person, faceset in facesets.items()
        if person in trained and trained[person] != faceset.fingerprint
    ]


def _history(state: Mapping[str, Any]) -> list[Plot]:
    """The held-out figures that training reported on its way."""
    entries = state.get("history") or []
    minutes = [entry["seconds"] / 60 for entry in entries]
    people = list(dict.fromkeys(person for entry in entries for person in entry["people"]))
    return [
        Plot(
            f"Held-out {title} while training",
            minutes,
            [
                Curve(person, [entry["people"].get(person, {}).get(key) for entry in entries])
                for person in people
            ],
            x_label="minutes",
            unit=unit,
        )
        for title, key, unit in (("SSIM", "ssim", ""), ("PSNR", "psnr", "dB"))
        if len(entries) > 1
    ]
