"""Write a faceset: pictures and index, safely.

Pictures are written first, the index last and at once; whatever happens in between, the earlier
index with its pictures stays valid, and doing it again gives the same files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.errors import FacesError
from understudy.facesets.crops import SUFFIXES
from understudy.facesets.faceset import IMAGES_NAME, INDEX, INDEX_NAME, SCHEMA_VERSION, Faceset
from understudy.facesets.select_person import Chosen, Film
from understudy.runtime import files, parquet

LEAST = 4
"""Fewer faces than this are refused."""

_PICTURE = re.compile(
    rf"[0-9a-f]{{8}}-\d{{6,}}-\d{{3,}}({'|'.join(map(re.escape, SUFFIXES.values()))})"
)


@dataclass(frozen=True)
class Imported:
    """Faces that were cut out elsewhere and are one film's, or one folder's.

    Attributes:
        notes: what the index says of them, as of a film; with `imported`, the name and hash of
            the file that every face is from, in the order of the rows.
        table: their rows, with the columns of `INDEX`.
        pictures: the aligned pictures, encoded, row by row.
    """

    notes: dict[str, Any]
    table: Any
    pictures: tuple[bytes, ...]


@dataclass(frozen=True)
class _Plan:
    """The entries of one film in the new index."""

    notes: dict[str, Any]
    film: Film | None = None
    imported: Imported | None = None

    @cached_property
    def order(self) -> tuple[str, str]:
        return self.notes["name"], self.notes["sha256"]


def store(
    folder: Path,
    person: str,
    settings_key: str,
    old: Faceset | None,
    kept: Sequence[dict[str, Any]],
    films: Sequence[Film],
    chosen: Chosen,
    imported: Sequence[Imported] = (),
) -> None:
    """Write the pictures of the chosen tracks, then the index.

    Args:
        kept: notes on sources whose rows are taken over from `old`.
        films, imported: everything that is new.

    Raises:
        FacesError: there would be fewer than `LEAST` faces; nothing was written.
        StorageError: the disk said no; the earlier index stays.
    """
    plans = [_Plan(dict(source)) for source in kept]
    plans += [_Plan(group.notes, imported=group) for group in imported]
    for film in films:
        counts = film.counts(chosen[film.sha256])
        plans.append(
            _Plan(
                {
                    "sha256": film.sha256,
                    "name": film.name,
                    "batch": film.batch,
                    "frames": film.scan.frames,
                    "faces": sum(counts),
                    "parts": sum(count > 0 for count in counts),
                },
                film,
            )
        )
    plans.sort(key=lambda plan: plan.order)
    total = sum(plan.notes["faces"] for plan in plans)
    if total < LEAST:
        raise too_few(person, total)
    images = folder / IMAGES_NAME
    with files.storage_errors(images):
        images.mkdir(parents=True, exist_ok=True)
    notes = {
        "schema_version": SCHEMA_VERSION,
        "settings_key": settings_key,
        "sources": [plan.notes for plan in plans],
    }
    unwanted = _deleted(folder, old)
    parquet.write_parts(
        folder / INDEX_NAME, INDEX, _parts(folder, old, plans, chosen, images, unwanted), notes
    )


def too_few(person: str, total: int) -> FacesError:
    """The error for fewer than `LEAST` faces."""
    return FacesError(
        f"There {'is' if total == 1 else 'are'} only {total} "
        f"face{'' if total == 1 else 's'} of {person}, too few to learn from.",
        f"Add more footage: understudy add {person} FILES...",
    )


def _deleted(folder: Path, old: Faceset | None) -> frozenset[tuple[str, int]]:
    """Source and frame of every face whose picture the user deleted."""
    if old is None or not old.missing:
        return frozenset()
    gone = set(old.missing)
    table = parquet.read(folder / INDEX_NAME, ["image", "source", "frame"])
    rows = zip(*(table[name].to_pylist() for name in ("image", "source", "frame")), strict=True)
    return frozenset((source, frame) for image, source, frame in rows if image in gone)


def _parts(
    folder: Path,
    old: Faceset | None,
    plans: Sequence[_Plan],
    chosen: Chosen,
    images: Path,
    unwanted: frozenset[tuple[str, int]],
) -> Iterator[Any]:
    """The index's row groups in order; a group's pictures are on disk when it is given."""
    earlier: dict[str, list[int]] = {}
    if old is not None:
        part = 0
        for source in old.notes["sources"]:
            earlier[source["sha256"]] = list(range(part, part + source["parts"]))
            part += source["parts"]
    there = {entry.name: entry.stat().st_size for entry in os.scandir(images)}
    with ThreadPoolExecutor(4) as pool:
        for plan in plans:
            film, group = plan.film, plan.imported
            if group is not None:
                names = group.table["image"].to_pylist()
                _write_all(pool, images, zip(names, group.pictures, strict=True))
                yield group.table
                continue
            if film is None:
                yield from parquet.read_parts(folder / INDEX_NAME, earlier[plan.notes["sha256"]])
                continue
            for chunk in range(film.scan.chunks):
                faces, crops = film.rows(chunk, chosen[film.sha256])
                if not faces.num_rows:
                    continue
                table = _index_rows(film, faces, crops)
                files_due = [
                    (name, data)
                    for name, frame, data in zip(
                        table["image"].to_pylist(),
                        table["frame"].to_pylist(),
                        crops["image"].to_pylist(),
                        strict=True,
                    )
                    if (film.sha256, frame) not in unwanted and there.get(name) != len(data)
                ]
                _write_all(pool, images, files_due)
                yield table
    with files.storage_errors(images):
        handle = os.open(images, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _write_all(
    pool: ThreadPoolExecutor, images: Path, pictures: Iterable[tuple[str, bytes]]
) -> None:
    """Write pictures by name. Raises StorageError."""
    with files.storage_errors(images):
        for _ in pool.map(_write, ((images / name, data) for name, data in pictures)):
            pass


def _write(item: tuple[Path, bytes]) -> None:
    item[0].write_bytes(item[1])


def _index_rows(film: Film, faces: Any, crops: Any) -> Any:
    """Rows of `INDEX` for faces and their crops."""
    frames, tracks = faces["frame"].to_pylist(), faces["track"].to_pylist()
    suffix = SUFFIXES[film.settings.format]
    places = [film.scan.place(frame) for frame in frames]
    times = [film.scan.times[place] for place in places if place is not None]
    box = np.stack([faces[side].to_numpy() for side in ("x0", "y0", "x1", "y1")], 1)
    images = crops["image"].to_pylist()
    columns: dict[str, Any] = {
        "image": [
            f"{film.batch}-{frame:06d}-{track:03d}{suffix}"
            for frame, track in zip(frames, tracks, strict=True)
        ],
        "bytes": [len(image) for image in images],
        "source": [film.sha256] * len(frames),
        "source_name": [film.name] * len(frames),
        "time_numerator": [time.numerator for time in times],
        "time_denominator": [time.denominator for time in times],
        "box": parquet.vectors(box.astype(np.float32)),
    }
    for name in INDEX.names:
        if name not in columns:
            columns[name] = (faces if name in faces.column_names else crops)[name]
    arrays = [
        column if hasattr(column, "type") else pa.array(column, kind.type)
        for column, kind in ((columns[kind.name], kind) for kind in INDEX)
    ]
    return pa.Table.from_arrays(arrays, names=INDEX.names).cast(INDEX)


def tidy(folder: Path) -> None:
    """Remove pictures of ours that the index does not know: left by a run that was killed, or of
    footage that went. Files of other names stay."""
    known = set(parquet.read(folder / INDEX_NAME, ["image"])["image"].to_pylist())
    with files.storage_errors(folder), os.scandir(folder / IMAGES_NAME) as entries:
        for entry in entries:
            if entry.name not in known and _PICTURE.fullmatch(entry.name):
                os.unlink(entry.path)
        for path in folder.glob(f".{Path(INDEX_NAME).stem}.*.parquet"):
            path.unlink()
