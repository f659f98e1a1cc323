"""Paths of a conversion's outputs, and checks that they can be written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Self

from understudy.conversion.render import FILM, MATTE, SIDE
from understudy.errors import MediaError, ProjectError, SettingsError, StorageError
from understudy.media.video import MediaInfo, check_destination
from understudy.provenance.credentials.credentials import embeds, sidecar_of
from understudy.runtime import files
from understudy.runtime.filenames import safe_stem
from understudy.settings import ConvertSettings, EncodeSettings

LONGEST = 120
"""Longest list of people in a film's name, in characters; a longer list becomes a number."""

_LONGEST_ENDING = "-side-by-side.webm"

CONTAINERS = (".mp4", ".mov", ".mkv", ".webm", ".m4v")

BYTES_PER_PIXEL = 0.025
"""Size of an encoded film: 10 Mbit/s at 1080p and 25 frames/s are 0.024."""


@dataclass(frozen=True)
class Target:
    """The files to write.

    Attributes:
        outputs: path by name of the output (see `render`); the film is always there.
    """

    outputs: dict[str, Path]

    @classmethod
    def of(cls, film: Path, settings: ConvertSettings) -> Self:
        """The film and its other outputs."""
        outputs = {FILM: film}
        if settings.side_by_side:
            outputs[SIDE] = film.with_name(f"{film.stem}-side-by-side{film.suffix}")
        if settings.matte:
            outputs[MATTE] = film.with_name(f"{film.stem}-matte.mkv")
        return cls(outputs)

    @classmethod
    def named(
        cls,
        folder: Path,
        film: Path,
        swaps: Mapping[str, str],
        output: Path | None,
        settings: ConvertSettings,
        encode: EncodeSettings,
    ) -> Self:
        """The path given, or one in `folder` named after film and people.

        Args:
            swaps: target: source.

        The container is the source's where it can hold the codec, else .mp4, else .mkv.

        Raises:
            MediaError: no container can store the encoder's output, or there is no such encoder.
        """
        if output is not None:
            check_destination(output, encode)
            return cls.of(output.absolute(), settings)
        stem = stem_of(folder, film, swaps)
        own = film.suffix.lower()
        for suffix in dict.fromkeys(([own] if own in CONTAINERS else []) + [".mp4"]):
            try:
                check_destination(Path(stem + suffix), encode)
            except MediaError:
                continue
            return cls.of(folder / (stem + suffix), settings)
        check_destination(Path(stem + ".mkv"), encode)
        return cls.of(folder / (stem + ".mkv"), settings)

    @property
    def film(self) -> Path:
        return self.outputs[FILM]

    @property
    def record(self) -> Path:
        """JSON file with the film's inputs and settings."""
        return self.film.with_suffix(".json")

    def key(self) -> str | None:
        """The inputs named by the record next to the film; None without a record."""
        try:
            record = files.read_json(self.record)
        except ProjectError:
            return None
        key = record.get("key") if isinstance(record, dict) else None
        return key if isinstance(key, str) else None

    def numbered(self, number: int) -> Target:
        """The same files with a number in their names."""
        film = self.film.with_name(f"{self.film.stem}-{number}{self.film.suffix}")
        swap = {
            path: path.name.replace(self.film.stem, film.stem, 1) for path in self.outputs.values()
        }
        return Target({n: path.with_name(swap[path]) for n, path in self.outputs.items()})


def stem_of(folder: Path, film: Path, swaps: Mapping[str, str]) -> str:
    """File name, without suffix, of an output in `folder` made from a film; `swaps` is target:
    source."""
    people = "-and-".join(f"{comes}-for-{goes}" for goes, comes in swaps.items())
    return named_after(folder, film, people if len(people) <= LONGEST else f"{len(swaps)}-people")


def named_after(folder: Path, source: Path, what: str) -> str:
    """The stem of a new file in `folder` made of `source`: text that can be printed and stored,
    and short enough for the files next to it."""
    return f"{files.fitting(safe_stem(source), f'-{what}{_LONGEST_ENDING}', folder)}-{what}"


def choose(target: Target, key: str, given: bool) -> Target:
    """The target to write: numbered when another film has its name, unless the user gave it.

    Args:
        key: of the film to make; a film with the same key is the same and is written again.
    """
    if given:
        return target
    candidate, number = target, 1
    while candidate.film.exists() and candidate.key() != key:
        number += 1
        candidate = target.numbered(number)
    return candidate


def check(target: Target, film: Path) -> None:
    """Check before any work that the files can be written.

    Raises:
        MediaError: one of them is the input film.
        StorageError: the folder cannot be written, or the record's name is taken.
    """
    _check_lengths(target)
    for path in target.outputs.values():
        if path.exists() and film.exists() and path.samefile(film):
            raise MediaError(f"{path} is the film to convert.", "Choose another --output.")
        if path.is_dir():
            raise MediaError(f"{path} is a folder.", "Add a file name to --output.")
    if target.record.exists() and target.key() is None:
        raise StorageError(
            f"{target.record} is not a record of a conversion and would be overwritten.",
            "Choose another --output.",
        )
    folder = target.film.parent
    with files.storage_errors(target.film):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


def _check_lengths(target: Target) -> None:
    """Raises StorageError when a name is longer than the disk allows."""
    folder = target.film.parent
    for path in (*target.outputs.values(), target.record):
        beside = () if path == target.record or embeds(path) else (sidecar_of(path),)
        for one in (path, *beside):
            size, most = len(os.fsencode(one.name)), files.longest_name(folder)
            if size > most:
                raise StorageError(
                    f"The name {one.name} has {size} bytes; this disk allows {most}.",
                    "Choose a shorter --output.",
                )


def check_part(start: Fraction | None, end: Fraction | None) -> None:
    """Raises SettingsError when the part from `start` to `end` (seconds) is empty."""
    if start is not None and start < 0:
        raise SettingsError(f"--start {float(start):g} s is negative.", "Start at 0 or later.")
    if end is not None and end <= (start or 0):
        raise SettingsError(
            f"--end {float(end):g} s is not after the start.", "Choose a later --end."
        )


def space(target: Target, info: MediaInfo, start: Fraction | None, end: Fraction | None) -> int:
    """Largest likely size of the conversion in bytes: segments, the film joined from them, and
    that once more, signed."""
    share = Fraction(1)
    if info.duration:
        last = min(end, info.duration) if end is not None else info.duration
        share = max(Fraction(0), last - (start or 0)) / info.duration
    pixels = (info.frames or 0) * share * info.width * info.height
    sizes = {FILM: 1.0, SIDE: 2.0, MATTE: 1.0}
    return int(3 * BYTES_PER_PIXEL * float(pixels) * sum(sizes[name] for name in target.outputs))


def check_space(
    target: Target, work: Path, info: MediaInfo, start: Fraction | None, end: Fraction | None
) -> None:
    """Raises StorageError when the disks of the target or of `work` are likely too small."""
    need = space(target, info, start, end)
    for folder in (work, target.film.parent):
        free = shutil.disk_usage(folder).free
        if free < need:
            raise StorageError(
                f"The conversion may need {need / 1e9:.1f} GB, but {folder} has "
                f"{free / 1e9:.1f} GB free.",
                "Free some disk space, or convert the film in parts with --start and --end.",
            )
