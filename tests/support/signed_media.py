"""Marked and signed films and pictures without a model, for tests of what is said of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from benchmarks.altered import Frames, encoded, marked

from understudy.provenance import aigc, records
from understudy.provenance.credentials import signing
from understudy.provenance.credentials.certificates import local_signer
from understudy.provenance.credentials.manifest import Facts, LedgerLeaf, Mark
from understudy.provenance.inspect import look
from understudy.provenance.ledger.ledger import Ledger
from understudy.provenance.records import RenderRecord
from understudy.provenance.trusted_signers import appearance
from understudy.provenance.watermark.frames import ALGORITHM
from understudy.runtime import files
from understudy.runtime.installation import Home
from understudy.types import Image

WIDTH, HEIGHT = 320, 240
NUMBER = 0xC0FFEE42
STRENGTH = 42.0
"""dB, of the marks in such small films."""


def scene(seed: int, count: int = 40) -> list[Image]:
    """A blurred patchwork that is panned over, with grain."""
    source = np.random.default_rng(seed)
    small = source.integers(30, 225, (20, 28, 3), np.uint8)
    wide = cv2.resize(small, (WIDTH + 2 * count, HEIGHT), interpolation=cv2.INTER_CUBIC)
    wide = wide.astype(np.float32)
    frames = []
    for at in range(count):
        picture = wide[:, 2 * at : 2 * at + WIDTH] + source.normal(0, 2, (HEIGHT, WIDTH, 3))
        frames.append(np.clip(np.rint(picture), 0, 255).astype(np.uint8))
    return frames


def film(path: Path, frames: Frames, crf: int = 14, metadata: dict[str, str] | None = None) -> Path:
    return encoded(path, frames, crf, rate=20, preset="veryfast", metadata=metadata)


@dataclass(frozen=True)
class Made:
    """An installation, the film that it made, and of what."""

    home: Home
    path: Path
    source: Path
    record: RenderRecord


FOUND = Mark(algorithm=ALGORITHM, state="found")


def sealed(
    home: Home, unsigned: Path, target: Path, source: Path | None, mark: Mark = FOUND
) -> RenderRecord:
    """Enter, sign and keep the record of a film or picture, which is marked unless `mark` says
    that it is not."""
    seen = look(unsigned)
    assert seen.reading.record_id == (NUMBER if mark == FOUND else None)
    digest = files.sha256(unsigned)
    origin = files.sha256(source) if source else None
    with Ledger.open(home) as ledger:
        entry = ledger.append(
            "render",
            {
                "record": NUMBER,
                "unsigned": digest,
                "source": origin,
                "model": None,
                "consents": [],
                "guard": "unscanned",
                "label": "corner",
                "mark": mark.state,
                "form": seen.kind,
                "fingerprint": appearance(seen.fingerprint),
            },
        )
        facts = Facts(
            record=records.number_text(NUMBER),
            made_at=datetime.now(UTC).replace(microsecond=0),
            unsigned_sha256=digest,
            source_sha256=origin,
            mark=mark,
            ledger=LedgerLeaf(index=entry.leaf, hash=entry.hash.hex()),
            label="corner",
        )
        signing.sign(unsigned, target, facts, local_signer(home), source=source)
        sha256 = files.sha256(target)
        ledger.append("finished", {"record": NUMBER, "sha256": sha256, "leaf": entry.leaf})
        record = RenderRecord(
            number=NUMBER,
            kind="film" if seen.kind == "film" else "still",
            file=target.name,
            sha256=sha256,
            seconds=seen.seconds,
            width=seen.width,
            height=seen.height,
            facts=facts,
            fingerprint=seen.fingerprint,
            proof=ledger.prove(entry.leaf),
        )
    records.write(home, record)
    return record


def swapped(frames: Frames) -> list[Image]:
    """Frames with an ellipse of another film in the middle: as little of a swap as it takes."""
    other = scene(77, len(frames))
    mask = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    cv2.ellipse(mask, (WIDTH // 2, HEIGHT // 2), (40, 50), 0, 0, 360, (1,), -1)
    return [np.where(mask > 0, new, old) for old, new in zip(frames, other, strict=True)]


def studio(folder: Path) -> Made:
    """An installation of its own, and its film."""
    home = Home(folder / "home")
    frames = scene(1)
    source = film(folder / "source.mp4", frames)
    tag = {aigc.KEY: aigc.text(records.number_text(NUMBER))}
    unsigned = film(
        folder / "unsigned.mp4", marked(swapped(frames), NUMBER, STRENGTH), metadata=tag
    )
    path = folder / "film.mp4"
    return Made(home, path, source, sealed(home, unsigned, path, source))
