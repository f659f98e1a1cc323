"""A long film as finished pieces on disk, so that stopped work can go on.

    WORK/job.json                 what these segments belong to
    WORK/segment-000000.film.nut  one file per output
    WORK/segment-000000.json      written last: the segment is finished

A segment without its JSON file does not count and is made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from understudy import files
from understudy.errors import ProjectError


@dataclass(frozen=True)
class Finished:
    """What is known of a finished segment.

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
        folder: made when missing.
        outputs: name of each output of a segment -> suffix of its files, with the dot.
    """

    def __init__(self, folder: Path, outputs: Mapping[str, str]) -> None:
        self.folder = folder
        self.outputs = dict(outputs)
        with files.storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self.finished: list[Finished] = []
        while (found := self._read(len(self.finished))) is not None:
            self.finished.append(found)
            if found.next is None:
                break

    @property
    def complete(self) -> bool:
        """Whether the last segment is there."""
        return bool(self.finished) and self.finished[-1].next is None

    @property
    def frames(self) -> int:
        return sum(segment.frames for segment in self.finished)

    @property
    def swapped(self) -> int:
        return sum(segment.swapped for segment in self.finished)

    def files(self, output: str) -> list[Path]:
        """The finished files of one output, in order."""
        return [self._path(number, output) for number in range(len(self.finished))]

    def clear_leftovers(self) -> None:
        """Remove temporary files that a killed process left; call as the only writer."""
        with files.storage_errors(self.folder):
            for path in self.folder.glob(".segment-*"):
                path.unlink()

    @contextmanager
    def making(self) -> Iterator[dict[str, Path]]:
        """Yield a temporary path per output for the next segment.

        When the block ends well the files take their names; call `finish` then. Otherwise they
        are removed.
        """
        number = len(self.finished)
        with ExitStack() as stack:
            yield {
                output: stack.enter_context(files.atomic(self._path(number, output)))
                for output in self.outputs
            }

    def finish(self, segment: Finished) -> None:
        """Declare the segment just made finished."""
        number = len(self.finished)
        sizes = {name: self._path(number, name).stat().st_size for name in self.outputs}
        value = {
            "schema_version": 1,
            "frames": segment.frames,
            "swapped": segment.swapped,
            "next": None if segment.next is None else str(segment.next),
            "bytes": sizes,
        }
        files.write_json(self._note(number), value)
        self.finished.append(segment)

    def _note(self, number: int) -> Path:
        return self.folder / f"segment-{number:06d}.json"

    def _path(self, number: int, output: str) -> Path:
        return self.folder / f"segment-{number:06d}.{output}{self.outputs[output]}"

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
                f"Remove {self.folder} and run the same command again.",
            ) from error
