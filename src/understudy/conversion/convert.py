"""Stage 5: swap faces in a film with a model.

    understudy convert FILM --replace B --with A
    understudy convert FILM --replace ben=ada --replace eva=chen
    understudy convert FILM --replace B --model warp --face PHOTO --with A
    understudy convert FILM --replace B --model a.dfm --with A

Two passes: the film is scanned for faces (cached), then rendered segment by segment. Decoding,
the network and encoding overlap; memory does not grow with the film. A stopped or killed
conversion continues after its last finished segment when the same command is given again, and
gives the same bytes, except for the signature and its time.

    renders/FILM-A-for-B.mp4          the film (FILM-A-for-B-and-C-for-D.mp4, ...)
    renders/FILM-A-for-B.json         its inputs and settings
    renders/.work/KEY/                finished segments, until the film is joined
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from understudy.conversion.finish import Work, finish
from understudy.conversion.outputs import Target, check, check_space, choose
from understudy.conversion.plan import cast_of, look_for, plan, record_of
from understudy.conversion.render import MATTE, SIDE
from understudy.conversion.request import ConversionRequest, in_name
from understudy.media.video import SEGMENT_SUFFIX, SegmentWriter
from understudy.progress import Progress
from understudy.provenance.seal import Origin, clear_leftovers, record_number
from understudy.runtime import files
from understudy.tracks.matching import Match
from understudy.workspace import Workspace


@dataclass(frozen=True)
class ConvertReport:
    """What a conversion did.

    Attributes:
        output: the film; `side_by_side` and `matte` when they were asked for.
        record: JSON file with the film's inputs and settings.
        frames: in the film; `swapped` of these were changed.
        seconds: duration of this run, everything included.
        frames_per_second: of the frames that this run rendered, with decoding and encoding and
            without the scan; 0 when nothing was left to render.
        matches: the person recognised in every track of the film.
        notes: what the user should know, for example that sound was encoded again.
    """

    output: Path
    side_by_side: Path | None
    matte: Path | None
    record: Path
    frames: int
    swapped: int
    seconds: float
    frames_per_second: float
    matches: tuple[Match, ...]
    notes: tuple[str, ...]


def convert(
    project: Workspace,
    request: ConversionRequest,
    progress: Progress,
) -> ConvertReport:
    """Swap faces in a film.

    Args:
        request: which film, who goes and who comes, and the film to write.

    Raises:
        UnknownPerson, UnknownModel, ProjectError: no such person or model.
        ConsentError: a source or target may not be used.
        CheckpointError: the model is damaged or has no checkpoint.
        SettingsError: the model was not trained on the source, or settings contradict each other.
        MediaError: the film cannot be read, or the output cannot be what its name says.
        FacesError: a target was not found in the film, or the portrait does not show
            one face.
        ProjectLocked: another process makes the same film.
        StorageError: the output cannot be written or the disk is too small.
        KeyboardInterrupt: finished segments are kept.
    """
    began = time.monotonic()
    film, settings, encode = request.film, request.settings, request.encode
    start, end = request.start, request.end
    planned = plan(project, request, progress)
    swaps, info, trust = planned.swaps, planned.info, project.settings.trust
    target = Target.named(
        project.renders_folder,
        film,
        in_name(swaps),
        output=request.output,
        settings=settings,
        encode=encode,
    )
    check(target, film)
    with files.storage_errors(project.renders_folder):
        project.renders_folder.mkdir(exist_ok=True)
    check_space(target, project.renders_folder, info, start=start, end=end)
    notes = SegmentWriter(target.film.with_suffix(SEGMENT_SUFFIX), info, encode).notes

    seen = look_for(project, planned, progress)
    found = seen.found
    job = record_of(project, planned, seen)
    job["settings"]["encode"] = encode.model_dump(mode="json")
    key = hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()[:32]
    folder = project.work_folder / key
    with files.only_writer(folder.with_suffix(".lock"), f"the conversion of {film.name}"):
        target = choose(target, key, given=request.output is not None)
        files.write_json(folder / "job.json", {"output": str(target.film), **job})
        origin = Origin(
            number=record_number(key),
            source=film,
            source_sha256=found.sha256,
            model_sha256=job["model"].get("weights_sha256"),
            consents=seen.consents,
            label=settings.label,
            reason=planned.reason,
            strength=trust.strength,
        )
        work = Work(
            folder=folder,
            film=film,
            info=info,
            found=found,
            cast=cast_of(planned.drawers, seen.matches, seen.found),
            start=start,
            end=end,
            target=target,
            origin=origin,
            settings=settings,
            encode=encode,
            trust=trust,
        )
        rendering = time.monotonic()
        lock = hashlib.sha256(os.fsencode(target.film.absolute())).hexdigest()[:32]
        with files.only_writer(folder.with_name(f"{lock}.lock"), str(target.film)):
            for path in (*target.outputs.values(), target.record):
                clear_leftovers(path)
            finished = finish(work, {**job, "key": key}, [*seen.notes, *notes], progress)
        elapsed = time.monotonic() - rendering
        shutil.rmtree(folder)
    return ConvertReport(
        output=target.film,
        side_by_side=target.outputs.get(SIDE),
        matte=target.outputs.get(MATTE),
        record=target.record,
        frames=finished.frames,
        swapped=finished.swapped,
        seconds=time.monotonic() - began,
        frames_per_second=finished.rendered / elapsed if finished.rendered else 0.0,
        matches=seen.matches,
        notes=finished.notes,
    )
