"""What does `understudy verify` say of a film that was changed, and what do its parts withstand?

    python -m benchmarks.trust                  the matrix below, then tamper, watermark and ledger
    python -m benchmarks.trust --only verify

A film is marked, sealed and verified: as it is, changed in every way that films are changed, and
forged. Whether each answer is the right one is counted; nothing altered may ever be called intact.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

from benchmarks import ledger, tamper, watermark
from benchmarks.altered import (
    Frames,
    Parts,
    boxes,
    chunks,
    cropped,
    decoded,
    encoded,
    marked,
    remuxed,
    scaled,
)
from benchmarks.common import Line, Result, clip, footage, markdown, parser_for, run
from understudy.media.images import encode_image, read_image
from understudy.provenance.seal import Origin, seal
from understudy.provenance.trusted_signers import write_record, write_trust
from understudy.runtime import files
from understudy.runtime.installation import VARIABLE, Home
from understudy.settings import TrustSettings
from understudy.verification.verdict import Outcome
from understudy.verification.verify import verify

NUMBER, PICTURE = 0xC0FFEE42, 0x0000CA4D
PARTS = {"tamper": tamper, "watermark": watermark, "ledger": ledger}


@dataclass(frozen=True)
class Case:
    """A file, what was done to it, and which answers are right."""

    what: str
    file: Path
    right: Sequence[Outcome]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", nargs="+", choices=["verify", *PARTS])
    parser.add_argument("--frames", type=int, default=100, help="of the film that is verified")
    parser.add_argument("--side", type=int, default=512, help="pixels")
    parser.add_argument(
        "--unmarked", type=int, default=1000, help="frames; see benchmarks.watermark"
    )


@contextmanager
def at_home(home: Home) -> Iterator[None]:
    """Seal with the keys of `home`."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(home.folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def sealed(
    home: Home, unsigned: Path, target: Path, source: Path | None, number: int = NUMBER
) -> Path:
    """A sealed film or picture, and the path of its record."""
    origin = Origin(
        number, source, files.sha256(source) if source else None, None, {}, "corner", None, 46.0
    )
    with at_home(home):
        return seal(unsigned, target, target.name, origin, TrustSettings(), marked=True).record


def flipped(data: bytes, parts: Parts) -> Iterator[tuple[str, bytes]]:
    """One bit in the middle of each kind of part."""
    for kind, places in parts.items():
        changed = bytearray(data)
        changed[(places[0].start + places[0].stop) // 2] ^= 1
        yield kind, bytes(changed)


def picture_cases(work: Path, picture: Path, other: Path) -> Iterator[Case]:
    """Of a PNG picture; `other` is another picture."""
    image, data = read_image(picture), picture.read_bytes()

    def written(name: str, content: bytes) -> Path:
        path = work / f"picture-{name}"
        path.write_bytes(content)
        return path

    yield Case("PNG copied and renamed", written("copied.png", data), ["intact"])
    for kind, changed in flipped(data, chunks(data)):
        yield Case(f"PNG: one bit in `{kind}`", written(f"bit-{kind}.png", changed), ["broken"])
    for name, changed in tamper.picture_changes(picture).items():
        path = written(f"{name.replace(' ', '-')}.png", changed)
        unsigned = name in ("credentials cut out", "saved again")
        yield Case(f"PNG: {name}", path, ["altered"] if unsigned else ["broken"])
    (smaller,), (inner,) = scaled([image], 0.5), cropped([image], 0.1)
    for name, shown in (
        ("saved as JPEG", image),
        ("half the size, JPEG", smaller),
        ("cropped by 10 %, JPEG", inner),
    ):
        path = written(f"{name}.jpg", encode_image(shown, ".jpg", quality=90))
        yield Case(f"PNG: {name}", path, ["altered"])
    copied = marked([read_image(other)], PICTURE, 46)[0]
    path = written("transplant.png", encode_image(copied, ".png"))
    yield Case("PNG: mark put on another picture", path, ["broken"])


def cases(work: Path, film: Path, source: Path, options: argparse.Namespace) -> Iterator[Case]:
    frames, data = decoded(film), film.read_bytes()
    parts = boxes(data)

    def bytes_of(name: str, content: bytes) -> Path:
        path = work / f"{name.replace(' ', '-')}{film.suffix}"
        path.write_bytes(content)
        return path

    yield Case("copied and renamed", bytes_of("copied", data), ["intact"])
    for kind, changed in flipped(data, parts):
        yield Case(f"one bit in `{kind}`", bytes_of(f"bit-{kind}", changed), ["broken"])
    yield Case("`free` box added", bytes_of("free", data + b"\0\0\0\x08free"), ["broken"])
    yield Case("end cut off", bytes_of("truncated", data[: len(data) * 2 // 3]), ["broken"])
    own = parts["uuid"][0]
    blank = data[: own.start + 4] + b"free" + bytes(len(own) - 8) + data[own.stop :]
    yield Case("credentials blanked", bytes_of("blanked", blank), ["altered"])
    for suffix in (".mp4", ".mov", ".mkv"):
        target = work / f"remuxed{suffix}"
        remuxed(film, target)
        yield Case(f"remuxed to {suffix}", target, ["altered"])
    for crf in (18, 23, 28, 32):
        path = encoded(work / f"crf{crf}.mp4", frames, crf)
        yield Case(f"H.264 crf {crf}", path, ["altered"])
    yield Case("H.265 crf 28", encoded(work / "h265.mp4", frames, 28, "libx265"), ["altered"])
    changes: dict[str, Callable[[Frames], Frames]] = {
        "cut": lambda given: given[len(given) // 4 : -len(given) // 4],
        "cropped by 10 %": lambda given: cropped(given, 0.1),
        "scaled to 50 %": lambda given: scaled(given, 0.5),
        "mirrored": lambda given: [one[:, ::-1] for one in given],
        "more contrast": lambda given: [
            np.clip(one * 1.2 - 10, 0, 255).astype(np.uint8) for one in given
        ],
    }
    for name, change in changes.items():
        path = encoded(work / f"{name.replace(' ', '-')}.mp4", change(frames), 23)
        yield Case(f"{name}, crf 23", path, ["altered"])
    path = encoded(work / "crop40.mp4", cropped(frames, 0.4), 18)
    yield Case("cropped by 40 %", path, ["unknown"])
    (work / "frame.png").write_bytes(encode_image(frames[-1], ".png"))
    yield Case("one frame as PNG", work / "frame.png", ["altered", "unknown"])
    other = clip(footage("chen"), work / "other.mp4", options.frames, options.side)
    (work / "other.png").write_bytes(encode_image(decoded(other)[0], ".png"))
    path = encoded(work / "transplant.mp4", marked(decoded(other), NUMBER, 44), 18)
    yield Case("mark put on another film", path, ["broken"])
    path = encoded(work / "forged.mp4", marked(decoded(source), NUMBER, 44), 18)
    yield Case("mark put on the source, where little was changed", path, ["altered", "unknown"])
    yield Case("another film, unmarked", other, ["unknown"])
    yield Case("its source, unmarked", source, ["unknown"])
    path = work / "foreign.mp4"
    sealed(Home(work / "strangers"), work / "unsigned.mp4", path, source)
    yield Case("signed by another installation", path, ["unknown signer"])


def matrix(options: argparse.Namespace, folder: Path) -> Result:
    work = folder / "work" / "trust"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    source = clip(footage("ada"), work / "source.mp4", options.frames, options.side)
    frames = decoded(source)
    swapped = [np.asarray(cv2.GaussianBlur(one, (0, 0), 1.5), np.uint8) for one in frames]
    unsigned = encoded(work / "unsigned.mp4", marked(swapped, NUMBER, 46), 18)
    home, film = Home(work / "home"), work / "film.mp4"
    record = sealed(home, unsigned, film, source)
    picture = work / "picture.png"
    (work / "unsigned.png").write_bytes(encode_image(marked(swapped[:1], PICTURE, 46)[0], ".png"))
    sealed(home, work / "unsigned.png", picture, None, PICTURE)
    rows, wrong, intact = [], 0, 0
    began = time.process_time()
    films = cases(work, film, source, options)
    for case in chain(films, picture_cases(work, picture, work / "other.png")):
        found = verify(case.file, home)
        good = found.outcome in case.right
        wrong += not good
        intact += found.outcome == "intact" and "intact" not in case.right
        rows.append(
            [case.what, found.outcome, "" if good else f"not {case.right[0]}", found.summary]
        )
    spent = (time.process_time() - began) / len(rows)
    pem = work / "ours.pem"
    write_trust(home, pem)
    again = verify(film, home).record
    assert again is not None
    write_record(home, again, record)
    elsewhere = Home(work / "elsewhere")
    for what, trusted, handed in (
        ("elsewhere, nothing handed over", [], []),
        ("elsewhere, --trust", [pem], []),
        ("elsewhere, --trust and --record", [pem], [record]),
    ):
        for name, path in (("as it is", film), ("crf 28", work / "crf28.mp4")):
            found = verify(path, elsewhere, trusted, handed)
            rows.append([f"{what}: {name}", found.outcome, "", found.summary])
    headings = ("change", "answer", "", "in words")
    print(markdown(headings, rows), "\n")
    shutil.rmtree(work)
    return Result(
        [
            Line(f"altered or forged files called intact, of {len(rows) - 6}", str(intact), "0"),
            Line(f"wrong answers, of {len(rows) - 6}", str(wrong), "0"),
            Line("making and verifying one file", f"{spent:.1f} s processor"),
        ],
        {"matrix": [headings, *rows]},
    )


def main() -> None:
    options = parser_for(__doc__ or "", add_arguments).parse_args()
    chosen = options.only or ["verify", *PARTS]
    if "verify" in chosen:
        run("verify", matrix, options)
    for name, module in PARTS.items():
        if name in chosen:
            words = ["--out", str(options.out)]
            words += ["--unmarked", str(options.unmarked)] if name == "watermark" else []
            parsed = parser_for(module.__doc__ or "", module.add_arguments).parse_args(words)
            run(name, module.measure, parsed)


if __name__ == "__main__":
    main()
