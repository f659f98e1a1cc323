"""The page that verifications are shown on: for each file the answer, its reasons and frames."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from understudy.errors import UnderstudyError
from understudy.media.html_report import Item, Section, Strip, Table, Tone, Words, page
from understudy.media.images import read_image
from understudy.media.probe import is_still
from understudy.media.still import still
from understudy.media.video import probe
from understudy.runtime.filenames import plain
from understudy.types import Image
from understudy.verification.result import Verification, hexadecimal
from understudy.verification.verdict import Outcome

FRAMES = 4
"""Evenly spaced frames of a film that are shown."""

LARGEST = 288
"""Longer side of a shown picture, pixels; the page stays small."""

NOTE = (
    "Proved: shown by signatures and hashes, as stated by the signer. Unknown: "
    "nothing in the file or on this machine shows it; it may be true or not. A file with nothing "
    "known about it is not proved to be genuine. The network was not used."
)

_TONES: dict[Outcome, Tone] = {
    "intact": "good",
    "unknown signer": "note",
    "unknown": "note",
    "altered": "note",
    "broken": "bad",
}
_ANSWERS: dict[Tone, str] = {"bad": "Beware", "good": "Checked", "note": "Note"}
_NAMES: dict[Tone, str] = {"bad": "Broken", "good": "Proved", "note": "Unknown"}
_WORDS: dict[str, Tone] = {"broken": "bad", "proved": "good", "unknown": "note"}


def build(found: Sequence[Verification]) -> str:
    """The page as HTML. Reads a few frames of each file again; unreadable ones are not shown."""
    title = plain(found[0].file.name) if len(found) == 1 else f"{len(found)} files"
    sections = []
    if len(found) > 1:
        answers = [
            (_TONES[one.outcome], f"{plain(one.file.name)}: {_answer(one)}") for one in found
        ]
        sections.append(Section("In short", "", [Words(answers, _ANSWERS)]))
    for one in found:
        sections += _file(one, alone=len(found) == 1)
    return page(f"Verified: {title}", NOTE, sections)


def _answer(one: Verification) -> str:
    return f"{one.outcome.capitalize()}. {one.summary}"


def _file(one: Verification, alone: bool) -> list[Section]:
    name = plain(one.file.name)
    items: list[Item] = [Words([(_TONES[one.outcome], _answer(one))], _ANSWERS)]
    if pictures := frames(one):
        items.append(Strip(pictures, "" if len(pictures) == 1 else "Evenly spaced over the film."))
    sections = [Section(name, "", items)]
    for title, tone, told in (
        ("Broken", "broken", one.told("broken")),
        ("Proved", "proved", one.told("proved")),
        ("Unknown", "unknown", one.told("unknown")),
    ):
        if told:
            words = Words([(_WORDS[tone], text) for text in told], _NAMES)
            sections.append(Section(title if alone else f"{title}: {name}", "", [words]))
    details = Table(["Outcome", one.outcome], _rows(one))
    return [*sections, Section("Details" if alone else f"Details: {name}", "", [details])]


def frames(one: Verification) -> list[tuple[str, Image]]:
    """A few frames with their times; none where nothing can be shown."""
    try:
        if is_still(one.file):
            return [("picture", _small(read_image(one.file)))]
        length = float(probe(one.file).duration or 0)
        times = [length * (place + 0.5) / FRAMES for place in range(FRAMES)] if length else [0.0]
        shown = [(seconds, still(one.file, seconds)) for seconds in times]
    except UnderstudyError:
        return []
    return [(f"{seconds:.1f} s", _small(image)) for seconds, image in shown if image is not None]


def _small(image: Image) -> Image:
    height, width = image.shape[:2]
    scale = min(1.0, LARGEST / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _rows(one: Verification) -> list[list[str]]:
    found = one.credentials
    rows = [
        ["File", str(one.file)],
        ["SHA-256", one.sha256],
        ["Content Credentials", found.state + (" (in a file next to it)" if found.sidecar else "")],
        ["Signer", found.signer or ""],
        ["Certificate's number", hexadecimal(found.serial) if found.serial else ""],
        ["Program that signed", found.generator or ""],
        ["Watermark", one.mark or "none found"],
        ["Fingerprint distance", "" if one.distance is None else f"{one.distance:.3f}"],
    ]
    if one.facts is not None:
        facts = one.facts
        rows += [
            ["Record", facts.record],
            ["Made", f"{facts.made_at:%Y-%m-%d %H:%M} UTC, {facts.tool}"],
            ["SHA-256 of the input film", facts.source_sha256 or ""],
            ["SHA-256 of the model", facts.model_sha256 or ""],
            ["Consent records", ", ".join(each.id for each in facts.consents)],
            ["Content guard", facts.guard],
            ["Visible label", facts.label + (f" ({facts.reason})" if facts.reason else "")],
        ]
    return [[name, plain(value)] for name, value in rows if value]
