"""Is any change of a signed film or picture ever taken for nothing?

    python -m benchmarks.tamper

Single bits of a signed film and of a signed picture are flipped at random, the same number in
each kind of box or chunk; then boxes are added, the end is cut off, the credentials are cut out,
and the film is muxed again. Beside what `read` says stands what the C2PA library alone says,
which leaves out some boxes by the standard. What signing costs is measured as well.
"""

from __future__ import annotations

import argparse
import random
import shutil
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import av
import c2pa
import numpy as np
from av.video.stream import VideoStream

from benchmarks.altered import Parts, boxes, chunks, remuxed
from benchmarks.common import Line, Result, clip, footage, main, markdown
from understudy.media.images import encode_image, read_image
from understudy.provenance.credentials import signing
from understudy.provenance.credentials.certificates import ClaimSigner, local_signer
from understudy.provenance.credentials.credentials import media_type, native_context, read
from understudy.provenance.credentials.manifest import Facts, Mark
from understudy.provenance.credentials.report import State
from understudy.runtime import files
from understudy.runtime.installation import Home

STATES: tuple[State, ...] = ("tampered", "damaged", "none", "unknown signer", "trusted")
OPEN = ("ftyp", "free", "skip", "mfra")
MB = 1e6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--flips", type=int, default=2400, help="in the film; half in the picture")
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--side", type=int, default=192, help="pixels")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--large", type=int, default=120, help="MB of the film for the times")


def sign(path: Path, signer: ClaimSigner, source: Path | None = None) -> Path:
    """The signed copy."""
    facts = Facts(
        record="0000002a",
        made_at=datetime.now(UTC),
        unsigned_sha256=files.sha256(path),
        mark=Mark(algorithm="tiled spread spectrum 1", state="strong"),
    )
    target = path.with_name(f"signed-{path.name}")
    return signing.sign(path, target, facts, signer, source=source).path


def library_calls_intact(path: Path, trusted: str) -> bool:
    """Whether the C2PA library alone finds nothing."""
    try:
        with (
            open(path, "rb") as file,
            c2pa.Reader(media_type(path), file, context=native_context(trusted)) as reader,
        ):
            return str(reader.get_validation_state()) != "Invalid"
    except c2pa.C2paError:
        return False


def flips(
    path: Path, parts: Parts, count: int, trusted: str, chance: random.Random
) -> Iterator[tuple[str, State, bool]]:
    """One bit after the other: its part, what is read then, and whether the library is content."""
    data = path.read_bytes()
    copy = path.with_name(f"flipped-{path.name}")
    copy.write_bytes(data)
    with open(copy, "r+b", buffering=0) as file:
        for kind, places in parts.items():
            spots = [spot for place in places for spot in place]
            for _ in range(-(-count // len(parts))):
                spot = chance.choice(spots)
                file.seek(spot)
                file.write(bytes([data[spot] ^ 1 << chance.randrange(8)]))
                yield kind, read(copy, trusted=trusted).state, library_calls_intact(copy, trusted)
                file.seek(spot)
                file.write(data[spot : spot + 1])
    copy.unlink()


def flip_rows(
    name: str, path: Path, parts: Parts, count: int, trusted: str, chance: random.Random
) -> list[list[str]]:
    states: dict[str, Counter[str]] = {kind: Counter() for kind in parts}
    content: Counter[str] = Counter()
    for kind, state, intact in flips(path, parts, count, trusted, chance):
        states[kind][state] += 1
        content[kind] += intact
    rows = []
    for kind, places in parts.items():
        length = sum(len(place) for place in places)
        named = f"{name} `{kind}`" + (" (left out by the standard)" if kind in OPEN else "")
        counted = [states[kind][state] for state in STATES]
        figures = [length, sum(counted), *counted, content[kind]]
        rows.append([named, *(str(figure) for figure in figures)])
    return rows


def film_changes(path: Path) -> dict[str, bytes]:
    """Changes of a film other than of single bits."""
    data = path.read_bytes()
    own = boxes(data)["uuid"][0]
    again = remuxed(path, path.with_name("again.mp4"))
    return {
        "`free` box added": data + b"\0\0\0\x08free",
        "`skip` box with 1 kB added": data + (1032).to_bytes(4, "big") + b"skip" + bytes(1024),
        "`mdat` box added": data + b"\0\0\0\x08mdat",
        "credentials there twice": data + data[own.start : own.stop],
        "last byte cut off": data[:-1],
        "half cut off": data[: len(data) // 2],
        "credentials cut out": data[: own.start] + data[own.stop :],
        "muxed again": again.read_bytes(),
    }


def picture_changes(path: Path) -> dict[str, bytes]:
    """Changes of a PNG picture other than of single bits."""
    data = path.read_bytes()
    parts = chunks(data)
    own, end = parts["caBX"][0], parts["IEND"][0].start
    text = b"tEXt" + b"Comment\0true"
    added = (len(text) - 4).to_bytes(4, "big") + text + zlib.crc32(text).to_bytes(4, "big")
    return {
        "`tEXt` chunk added": data[:end] + added + data[end:],
        "a byte added after the end": data + b"\0",
        "credentials there twice": data[: own.stop] + data[own.start :],
        "last byte cut off": data[:-1],
        "half cut off": data[: len(data) // 2],
        "credentials cut out": data[: own.start] + data[own.stop :],
        "saved again": encode_image(read_image(path), ".png"),
    }


def change_rows(
    name: str, path: Path, changed: Mapping[str, bytes], trusted: str
) -> list[list[str]]:
    copy, rows = path.with_name(f"changed{path.suffix}"), []
    for what, content in changed.items():
        copy.write_bytes(content)
        rows.append([f"{name}: {what}", read(copy, trusted=trusted).state, _alone(copy, trusted)])
    copy.unlink()
    return rows


def _alone(path: Path, trusted: str) -> str:
    return "intact" if library_calls_intact(path, trusted) else "broken or none"


def large_film(path: Path, megabytes: int) -> Path:
    noise = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8)
    with av.open(str(path), "w") as writing:
        stream = writing.add_stream("mjpeg", rate=25, options={"qscale": "1"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuvj420p"
        written = 0
        while written < megabytes * MB:
            for packet in stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")):
                written += packet.size
                writing.mux(packet)
        writing.mux(stream.encode(None))
    return path


def cost_lines(films: dict[str, Path], signer: ClaimSigner, source: Path) -> list[Line]:
    """Processor time, and what signing adds."""
    lines = []
    for name, film in films.items():
        began = time.process_time()
        signed = sign(film, signer, source)
        after_signing = time.process_time()
        read(signed, trusted=signer.anchor_pem)
        after_reading = time.process_time()
        files.sha256(film)
        after_hashing = time.process_time()
        size = film.stat().st_size
        about = f"{name}, {size / MB:.2f} MB"
        lines += [
            Line(f"sign and read back, {about}", f"{after_signing - began:.3f} s"),
            Line(f"read, {about}", f"{after_reading - after_signing:.3f} s"),
            Line(f"SHA-256 alone, {about}", f"{after_hashing - after_reading:.3f} s"),
            Line(f"bytes added, {about}", f"{signed.stat().st_size - size}"),
        ]
    return lines


def measure(options: argparse.Namespace, folder: Path) -> Result:
    work = folder / "work" / "tamper"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    signer = local_signer(Home(work / "home"))
    trusted = signer.anchor_pem
    source = footage("ada")
    film = clip(source, work / "film.mp4", options.frames, options.side)
    with av.open(str(film)) as reading:
        picture = np.asarray(next(reading.decode(video=0)).to_ndarray(format="rgb24"), np.uint8)
    (work / "picture.png").write_bytes(encode_image(picture, ".png"))
    chance = random.Random(options.seed)
    signed = {"film": sign(film, signer), "picture": sign(work / "picture.png", signer)}
    rows = flip_rows(
        "mp4",
        signed["film"],
        boxes(signed["film"].read_bytes()),
        options.flips,
        trusted,
        chance,
    )
    rows += flip_rows(
        "png",
        signed["picture"],
        chunks(signed["picture"].read_bytes()),
        options.flips // 2,
        trusted,
        chance,
    )
    headings = ("bits flipped in", "bytes", "flips", *STATES, "library alone: intact")
    changes = change_rows("mp4", whole := signed["film"], film_changes(whole), trusted)
    changes += change_rows("png", whole := signed["picture"], picture_changes(whole), trusted)
    print(markdown(headings, rows), "\n")
    print(markdown(("change", "state", "library alone"), changes), "\n")
    intact = sum(int(row[-2]) + int(row[-3]) for row in rows)
    intact += sum(row[1] in ("trusted", "unknown signer") for row in changes)
    library = sum(int(row[-1]) for row in rows) + sum(row[2] == "intact" for row in changes)
    total = sum(int(row[2]) for row in rows) + len(changes)
    films = {"film": film, "large film": large_film(work / "large.mov", options.large)}
    costs = cost_lines(films, signer, source)
    shutil.rmtree(work)
    return Result(
        [
            Line(f"changes reported as intact, of {total}", str(intact), "0"),
            Line(f"the library alone, of {total}", str(library)),
            *costs,
        ],
        {"flips": [headings, *rows], "changes": changes},
    )


if __name__ == "__main__":
    main("tamper", __doc__, add_arguments, measure)
