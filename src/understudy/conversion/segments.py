"""A long film as finished segments on disk, so that stopped work can continue.

    WORK/job.json                 what these segments belong to
    WORK/segment-000000.film.nut  one file per output
    WORK/segment-000000.json      written last: the segment is finished

A segment without its JSON file does not count and is made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from understudy.errors import ProjectError
from understudy.runtime import files

SUFFIX = ".nut"


@dataclass(frozen=True)
class Finished:
    """Facts about a finished segment.

    Attributes:
        frames: in it.
        swapped: of these, how many were changed.
        next: time of the frame after it in seconds, where the next segment begins; None when
            it is the last.
    """

    frames: int
    swapped: int
    next: Fraction | None


class Segments:
    """The segments in one work folder.

    Args:
        folder: created if missing.
        outputs: names of the files that make up a segment.
    """

    def __init__(self, folder: Path, outputs: Sequence[str]) -> None:
        self.folder = folder
        self.outputs = tuple(outputs)
        with files.storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self.finished: list[Finished] = []
        while (found := self._read(len(self.finished))) is not None:
            self.finished.append(found)
            if found.next is None:
                break

    @property
    def complete(self) -> bool:
        """Whether the last segment exists."""
        return bool(self.finished) and self.finished[-1].next is None

    @property
    def next(self) -> Fraction | None:
        """Start time of the next segment; None when no segment or all are finished."""
        return self.finished[-1].next if self.finished else None

    @property
    def frames(self) -> int:
        return sum(segment.frames for segment in self.finished)

    @property
    def swapped(self) -> int:
        return sum(segment.swapped for segment in self.finished)

    def files(self, output: str) -> list[Path]:
        """The finished files of one output, in order."""
        return [self._path(number, output) for number in range(len(self.finished))]

    def new_files(self) -> dict[str, Path]:
        """Paths of the files of the next segment, by output."""
        return {output: self._path(len(self.finished), output) for output in self.outputs}

    def finish(self, segment: Finished) -> None:
        """Mark the next segment as finished; its files are written."""
        number = len(self.finished)
        sizes = {name: path.stat().st_size for name, path in self.new_files().items()}
        value = {
            "schema_version": 1,
            "frames": segment.frames,
            "swapped": segment.swapped,
            "next": None if segment.next is None else str(segment.next),
            "bytes": sizes,
        }
        files.write_json(self._note(number), value)
        self.finished.append(segment)

    def clear_leftovers(self) -> None:
        """Delete temporary files of a killed process; the caller must be the only writer."""
        with files.storage_errors(self.folder):
            for path in self.folder.glob(".segment-*"):
                path.unlink()

    def _note(self, number: int) -> Path:
        return self.folder / f"segment-{number:06d}.json"

    def _path(self, number: int, output: str) -> Path:
        return self.folder / f"segment-{number:06d}.{output}{SUFFIX}"

    def _read(self, number: int) -> Finished | None:
        note = self._note(number)
        if not note.exists():
            return None
        value: Any = files.read_json(note)
        try:
            for output in self.outputs:
                if self._path(number, output).stat().st_size != value["bytes"][output]:
                    return None
            after = value["next"]
            return Finished(
                int(value["frames"]),
                int(value["swapped"]),
                None if after is None else Fraction(after),
            )
        except FileNotFoundError:
            return None
        except (KeyError, TypeError, ValueError) as error:
            raise ProjectError(
                f"{note} is damaged ({error!r}).",
                f"Delete {self.folder} and run the same command again.",
            ) from error
