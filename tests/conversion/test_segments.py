"""Finished pieces: only what is whole counts."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from understudy.conversion.segments import Finished, Segments
from understudy.errors import ProjectError

OUTPUTS = ("film", "matte")


def make(segments: Segments, content: bytes, after: Fraction | None) -> None:
    for name, path in segments.new_files().items():
        path.write_bytes(content + name.encode())
    segments.finish(Finished(10, 4, after))


def test_finished_segments_are_found_again(tmp_path: Path) -> None:
    segments = Segments(tmp_path / "work", OUTPUTS)
    make(segments, b"0", Fraction(1001, 3000))
    make(segments, b"1", None)
    again = Segments(tmp_path / "work", OUTPUTS)
    assert again.finished == [Finished(10, 4, Fraction(1001, 3000)), Finished(10, 4, None)]
    assert again.complete
    assert again.next is None
    assert (again.frames, again.swapped) == (20, 8)
    assert [path.read_bytes() for path in again.files("matte")] == [b"0matte", b"1matte"]


@pytest.mark.parametrize("damage", ["missing", "short", "no note"])
def test_an_unwhole_segment_and_what_follows_does_not_count(tmp_path: Path, damage: str) -> None:
    segments = Segments(tmp_path, OUTPUTS)
    for number in range(3):
        make(segments, b"%d" % number, Fraction(number + 1))
    victim = segments.files("film")[1]
    if damage == "missing":
        victim.unlink()
    elif damage == "short":
        victim.write_bytes(b"")
    else:
        (tmp_path / "segment-000001.json").unlink()
    again = Segments(tmp_path, OUTPUTS)
    assert len(again.finished) == 1
    assert not again.complete


def test_leftovers_of_a_killed_process_go(tmp_path: Path) -> None:
    segments = Segments(tmp_path, OUTPUTS)
    make(segments, b"0", Fraction(1))
    (tmp_path / ".segment-000001.film.abc.nut").write_bytes(b"half")
    Segments(tmp_path, OUTPUTS).clear_leftovers()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "segment-000000.film.nut",
        "segment-000000.json",
        "segment-000000.matte.nut",
    ]


def test_a_damaged_note_is_named(tmp_path: Path) -> None:
    segments = Segments(tmp_path, OUTPUTS)
    make(segments, b"0", None)
    (tmp_path / "segment-000000.json").write_text('{"frames": 3}')
    with pytest.raises(ProjectError, match=r"segment-000000\.json"):
        Segments(tmp_path, OUTPUTS)
