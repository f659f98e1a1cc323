"""Finish a changed picture: label, watermark, seal; see `finish` for films."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from understudy.conversion.convert import ConvertReport
from understudy.conversion.finish import marking, source_notes
from understudy.conversion.outputs import Target, choose
from understudy.conversion.plan import SCHEMA_VERSION
from understudy.conversion.render import FILM, MATTE, SIDE
from understudy.media import side_by_side, xmp
from understudy.media.images import encode_image
from understudy.media.overlay import lay
from understudy.provenance import aigc, records
from understudy.provenance.inspect import guarded, look
from understudy.provenance.label.label import Ground, Label, Seen, check_label
from understudy.provenance.seal import (
    Origin,
    Sealed,
    check_ready,
    clear_leftovers,
    facts_of,
    pictured,
    record_number,
    seal,
    sealed_file,
    together,
)
from understudy.provenance.watermark.frames import Marker
from understudy.provenance.watermark.limits import STRONGER, TRIES, unmarkable
from understudy.runtime import files
from understudy.safeguards.consent_gate import Consent
from understudy.safeguards.content_guard.guard import require
from understudy.settings import ConvertSettings, ScanSettings
from understudy.tracks.matching import Match
from understudy.types import Face, Frame, Image, Patch
from understudy.workspace import Workspace

PICTURES = (".png", ".webp", ".jpg", ".jpeg")
"""Formats of the result; a picture of another format becomes a PNG."""

HEADROOM = 0.18
"""Height of the strip for the label above a sheet, as a share of the sheet's short
side: letters of 5 %, their plate and the margins around it."""


@dataclass(frozen=True)
class Changed:
    """The changes in a picture.

    Attributes:
        patches: what is laid over it.
        faces: in it, all of them; replaced: those that the patches are laid over.
        consents: of everyone who is shown or replaced, by name.
        model_sha256: hash of the weights, if a network drew.
    """

    patches: tuple[Patch, ...]
    faces: tuple[Face, ...]
    replaced: tuple[Face, ...]
    consents: Mapping[str, Consent]
    model_sha256: str | None

    @property
    def seen(self) -> list[Seen]:
        """The faces, for a label."""
        changed = {id(face) for face in self.replaced}
        return [Seen(Fraction(0), face.box, id(face) in changed) for face in self.faces]


def publish_still(
    project: Workspace,
    target: Target,
    picture: Path,
    frame: Frame,
    changed: Changed,
    job: Mapping[str, Any],
    settings: ConvertSettings,
    scan_settings: ScanSettings,
    *,
    given: bool,
    began: float,
    matches: Sequence[Match],
) -> ConvertReport:
    """Write a picture, its other outputs, and their records.

    Raises: as `provenance.seal.seal`.
    """
    trust = project.settings.trust
    reason = check_label(settings.label, settings.label_reason)
    check_ready(trust)
    told = source_notes(picture)
    verdict = guarded(picture, "film")
    require(verdict, picture.name)
    told += verdict.doubts()
    record: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "understudy": version("understudy"),
        "film": {"name": picture.name, "sha256": files.sha256(picture)},
        **job,
        "settings": {
            "scan": scan_settings.model_dump(mode="json"),
            "convert": settings.model_dump(mode="json"),
            "trust": pictured(trust),
        },
    }
    key = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:32]
    target = choose(target, key, given=given)
    origin = Origin(
        number=record_number(key),
        source=picture,
        source_sha256=record["film"]["sha256"],
        model_sha256=changed.model_sha256,
        consents=changed.consents,
        label=settings.label,
        reason=reason,
        strength=trust.strength,
    )
    plain, said = labelled(frame, changed.patches, changed.seen, settings)
    images = {
        FILM: plain,
        SIDE: np.hstack([frame.image, plain]),
        MATTE: side_by_side.matte(frame, changed.patches),
    }
    record |= {"key": key, "frames": 1, "swapped": int(bool(changed.patches))}
    told = publish(project, target, images, origin, record=record, notes=[*told, *said])
    return ConvertReport(
        output=target.film,
        side_by_side=target.outputs.get(SIDE),
        matte=target.outputs.get(MATTE),
        record=target.record,
        frames=1,
        swapped=int(bool(changed.patches)),
        seconds=time.monotonic() - began,
        frames_per_second=0.0,
        matches=tuple(matches),
        notes=tuple(told),
    )


def with_headroom(page: Image) -> Image:
    """A sheet, RGB uint8 (h, w, 3), with room for the label above it, in the colour of its upper
    right corner: that is paper on every sheet."""
    height, width = page.shape[:2]
    room = math.ceil(HEADROOM * min(height, width))
    return np.concatenate([np.broadcast_to(page[0, -1], (room, width, 3)), page])


def labelled(
    frame: Frame, patches: Sequence[Patch], faces: Sequence[Seen], settings: ConvertSettings
) -> tuple[Image, list[str]]:
    """A picture with patches and the visible label laid over it, RGB, and what is to be said.

    Args:
        faces: which the label avoids if possible.
    """
    laid, told = list(patches), []
    if settings.label != "none":
        height, width = frame.image.shape[:2]
        label = Label(settings.label, Ground(width, height, end=Fraction(0), faces=faces))
        laid += label.patches(Fraction(0))
        if not label.large_enough:
            told.append("The picture is too small for a label of the size that some laws require.")
    return np.asarray(lay(frame.picture, laid).to_ndarray(format="rgb24"), np.uint8), told


def publish(
    project: Workspace,
    target: Target,
    images: Mapping[str, Image],
    origin: Origin,
    record: Mapping[str, Any],
    notes: Sequence[str],
) -> list[str]:
    """Watermark and seal pictures, write them and the record next to them.

    Args:
        target: which of `images` to write, and their paths.
        record: contents of the record, except what is measured here; it contains `key`.
        notes: earlier notes.

    Returns:
        All notes.

    Raises: as `provenance.seal.seal`.
    """
    told = list(notes)
    folder = project.work_folder / record["key"]
    for path in (*target.outputs.values(), target.record):
        clear_leftovers(path)
    with files.only_writer(folder.with_suffix(".lock"), f"the picture {target.film.name}"):
        files.write_json(folder / "job.json", {"output": str(target.film), **record})
        sealed: dict[str, Sealed] = {}
        outputs = target.outputs
        for name in (*(one for one in outputs if one != FILM), FILM):
            path = outputs[name]
            unsigned = folder / f"{name}{path.suffix}"
            height, width = images[name].shape[:2]
            why = None if name == MATTE else unmarkable(path, width, height)
            marked = name != MATTE and why is None
            write_marked(images[name], unsigned, origin, marking()["comment"], marked=marked)
            with sealed_file(path) as temporary:
                sealed[name] = seal(
                    unsigned,
                    temporary,
                    path.name,
                    origin,
                    settings=project.settings.trust,
                    marked=marked,
                    unmarked=why,
                    matte=name == MATTE,
                )
                if name == FILM:
                    told += together({outputs[one].name: sealed[one] for one in outputs})
                    finished = {
                        "number": records.number_text(origin.number),
                        "outputs": {
                            one: {"file": outputs[one].name, **facts_of(sealed[one])}
                            for one in outputs
                        },
                        "notes": told,
                    }
                    files.write_json(target.record, {**record, **finished})
        shutil.rmtree(folder)
    return told


def write_marked(
    image: Image,
    path: Path,
    origin: Origin,
    words: str,
    *,
    marked: bool = True,
    quality: int = 95,
) -> None:
    """Write an unsealed picture, with the watermark strong enough to be read
    back, and with what its metadata say.

    Args:
        image: RGB uint8 (h, w, 3).
        words: its description.
        marked: whether to add the watermark.
        quality: of WebP and JPEG, 1..100.

    Raises:
        MediaError, StorageError
    """
    tag = aigc.text(records.number_text(origin.number), origin.source_sha256)
    packet = xmp.packet(words, (aigc.PROPERTY, tag))
    height, width = image.shape[:2]
    for attempt in range(TRIES):
        shown = image
        if marked:
            strength = origin.strength - attempt * STRONGER
            shown = Marker(width, height, origin.number, strength).rgb(image)
        files.write_bytes(path, encode_image(shown, path.suffix, quality, packet))
        if not marked or look(path).carries(origin.number):
            return
