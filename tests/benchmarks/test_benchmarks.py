"""The benchmarks can be started and their sums are right; what they measure is not asserted."""

from __future__ import annotations

import argparse
import importlib
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from benchmarks.__main__ import ALL
from benchmarks.common import Alternated, Line, Missing, Result
from tools.make_sample import PARTS, RATE, tune

from benchmarks import (
    chosen_frames,
    common,
    detection,
    swap,
    untouched,
    whereabouts,
)
from benchmarks import film as film_quality
from understudy.demo import SAMPLE
from understudy.evaluation.gauges.detail import Crispness, Detail
from understudy.evaluation.gauges.jumps import Jumps
from understudy.evaluation.gauges.likeness import Likeness
from understudy.evaluation.gauges.retrieval import Retrieval
from understudy.evaluation.gauges.seen import Seen, Steps
from understudy.faces.pose import reference
from understudy.media.video import probe
from understudy.types import Face, Frame, Pose

POINT = swap.Point(
    "swift", 2, "ada-on-chen", 10, 20.0, 0.70, 17.0, 0.65, 1.0, 0.4, 0.9, None, 0.6, "x.mp4"
)


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_benchmark_has_options_and_a_way_to_run_it(name: str) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    parser = common.parser_for(module.__doc__ or "", module.add_arguments)
    assert parser.parse_args([]).out == common.OUT
    assert f"python -m benchmarks.{name}" in (module.__doc__ or "")
    assert callable(module.measure)


def test_ratios_are_medians_within_a_turn() -> None:
    times = Alternated({"slow": [2.0, 30.0, 4.0], "base": [1.0, 10.0, 1.0]})
    assert times.ratio("slow", "base") == 3
    assert times.median("slow") == 4


def test_work_is_done_in_turns_and_the_first_does_not_count() -> None:
    done: list[str] = []
    found = common.alternate({"a": lambda: done.append("a"), "b": lambda: done.append("b")}, 2)
    assert done == ["a", "b"] * 3
    assert {name: len(times) for name, times in found.times.items()} == {"a": 2, "b": 2}


def test_a_result_is_printed_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = argparse.Namespace(out=tmp_path, turns=3)
    result = Result([Line("speed", "2.0x", "3x")], {"ratio": 2.0})
    assert common.run("fast", lambda *_: result, options) is result
    assert "| speed | 2.0x | 3x |" in capsys.readouterr().out
    written = json.loads((tmp_path / "fast.json").read_text(encoding="utf-8"))
    assert (written["ratio"], written["options"]) == (2.0, {"turns": 3})
    assert written["machine"]["cores"] >= 1

    def without_data(options: argparse.Namespace, folder: Path) -> Result:
        raise Missing("no clips")

    assert common.run("none", without_data, options) is None
    assert "skipped: no clips" in capsys.readouterr().out
    assert not (tmp_path / "none.json").exists()


def test_a_clip_is_scaled_and_looped(tmp_path: Path) -> None:
    info = probe(common.clip(SAMPLE / "scene.mp4", tmp_path / "clip.mp4", 5, 96, loops=3))
    assert (info.frames, info.width, info.height) == (15, 96, 96)


def test_minutes_until_a_swap_beats_the_untouched_film() -> None:
    worse = replace(POINT, minutes=1, psnr_db=16.0)
    nothing_done = replace(POINT, minutes=0.1, psnr_db=17.03, ssim=0.652)
    late = replace(POINT, minutes=5, ssim=0.60)
    assert POINT.beats_untouched
    assert not nothing_done.beats_untouched
    assert swap.first_beating([worse, POINT]) == 2
    assert swap.first_beating([POINT, late]) is None, "it fell behind again"
    assert swap.first_beating([nothing_done, worse]) is None
    texts = [line.value for line in swap.lines([worse, POINT])]
    assert texts[0] == "17.00 dB / 0.650"
    assert texts[-1] == "from 2 min on"


def test_minutes_may_be_counted_in_faces() -> None:
    assert swap.budget("swift", 2.5, {}) == {"minutes": 2.5}
    rates = dict([swap.rate("swift=200"), swap.rate("original=15.2")])
    assert swap.budget("swift", 2, rates) == {"steps": 2 * 60 * 200 / 32}
    assert swap.budget("original", 10, rates) == {"steps": 285}


def test_results_of_swaps_are_shown(tmp_path: Path) -> None:
    scene = swap.Scene("ada", "chen", *[SAMPLE / "scene.mp4"] * 4)
    points = [replace(POINT, film=str(SAMPLE / "scene.mp4"), minutes=m) for m in (2, 5)]
    swap.write(tmp_path, points, {"ada-on-chen": scene})
    assert "swift" in (tmp_path / "swap.html").read_text(encoding="utf-8")
    assert (tmp_path / "swap-ada-on-chen.png").stat().st_size > 1000
    assert "5 min" in (tmp_path / "swap.md").read_text(encoding="utf-8")


def test_clips_are_compared_with_the_other_detector() -> None:
    hard = detection.counted("r09_bikes", [1, 0, 2, 1], [1, 0, 0, 1])
    assert (hard.found, hard.followed, hard.most) == (0.75, 0.5, 2)
    assert hard.good
    assert not detection.counted("r01_man", [1, 0], [1, 0]).good
    assert detection.counted("r13_bottles", [0, 0], [0, 0]).good
    assert not detection.counted("r13_bottles", [0, 1], [0, 0]).good


def test_the_sample_can_be_made_anew() -> None:
    assert {part.name for part in PARTS} == {path.name for path in SAMPLE.glob("*.mp4")}
    sound = tune(probe(SAMPLE / "scene.mp4").duration or Fraction(6))
    assert sound.shape == (1, 6 * RATE)
    assert 0.05 < abs(sound).max() <= 0.2


def film_figures(way: str, psnr: float | None, edge: float) -> film_quality.Film:
    return film_quality.Film("swift", "ada on chen", way, psnr, 0.7, edge, 1.0, 0.9, None, 1.2)


def test_the_film_table_sets_before_beside_after() -> None:
    found = film_quality.table_of(
        [film_figures("plain", 19.0, 0.66), film_figures("default", 21.0, 0.8)]
    )
    rows = {line.what: line.value for line in found}
    assert rows["ada on chen, swift: inside the face"] == "19.00 dB / 0.700 -> 21.00 dB / 0.700"
    assert rows["ada on chen, swift: edge visibility"] == "0.66 -> 0.80"
    assert rows["ada on chen, swift: eyes, correlation"] == "none -> none"
    assert not any("found" in what for what in rows)
    without_truth = film_quality.table_of([film_figures("plain", None, 0.66)])
    assert not any("inside the face" in line.what for line in without_truth)


def test_the_film_table_has_what_a_viewer_sees() -> None:
    three = Crispness((0.49, 0.76, 0.94), (0.28, 0.67, 0.88))
    jumps = Jumps(2, 2, 4, 2.0, 1.0, 99)
    one = Seen(
        detail=Detail(three, three, None),
        untouched=None,
        footage=None,
        likeness=Likeness(0.47, 0.57, 0.1, 0.33, 0.14, 20),
        retrieval=Retrieval(0.64, 20, 75, None),
        true_retrieval=Retrieval(1.0, 20, 75, None),
        perceptual=None,
        blinks=None,
        true_blinks=None,
        steps=Steps(jumps, jumps, None, ()),
        frames=20,
    ).values()
    films = [replace(film_figures(way, 20, 1), seen=one, gaze=0.5) for way in ("plain", "default")]
    rows = {line.what: (line.value, line.goal) for line in film_quality.table_of(films)}
    where = "ada on chen, swift"
    found = "0.28 / 0.67 / 0.88 -> 0.28 / 0.67 / 0.88"
    assert rows[f"{where}: found, eyes (fine / middle / coarse)"] == (found, "1")
    assert f"{where}: found, mouth (fine / middle / coarse)" not in rows
    assert rows[f"{where}: likeness, distance over the true swap's"][0] == "0.140 -> 0.140"
    assert rows[f"{where}: retrieval, share of frames"] == ("0.64 -> 0.64", "1.00")
    assert rows[f"{where}: jumps, largest over median"][1] == "film 2.00, truth none"
    assert rows[f"{where}: gaze aside, correlation"][0] == "0.50 -> 0.50"


def test_films_are_shown_one_after_the_other(tmp_path: Path) -> None:
    films = [SAMPLE / "scene.mp4", SAMPLE / "ada.mp4"]
    info = probe(untouched.one_after_the_other(films, 4, tmp_path / "both.mkv"))
    assert (info.frames, info.width) == (8, probe(films[0]).width)


def test_the_region_of_a_face_is_left_out_of_what_may_not_change() -> None:
    points = np.array(reference().points, np.float64)
    points = points * 40 / np.ptp(points[:, 0])
    points[:, :2] += 64 - points[:, :2].mean(0)
    face = Face((40, 40, 90, 90), points.astype(np.float32), 1.0, Pose(0, 0, 0))
    picture = av.VideoFrame(128, 128, "yuv420p")
    frame = Frame(0, Fraction(0), picture, lambda _: np.zeros((128, 128, 3), np.uint8))
    for shape in ((128, 128), (64, 64)):
        outside = untouched.beyond([face], frame, shape)
        assert outside.shape == shape
        assert not outside[shape[0] // 2, shape[1] // 2]
        assert outside[0, 0]
        assert 0.5 < outside.mean() < 0.95


def test_a_flash_is_a_change_back_and_forth_while_the_face_is_there() -> None:
    there = list(range(40))
    assert chosen_frames.flashes(there, there, 15) == []
    assert chosen_frames.flashes([*range(10), *range(12, 40)], there, 15) == [(10, 11)]
    assert chosen_frames.flashes([*range(5), *range(30, 40)], there, 15) == []
    assert chosen_frames.flashes([7, 8], there, 15) == [(7, 8)]
    hidden = [*range(10), *range(12, 40)]
    assert chosen_frames.flashes(hidden, hidden, 15) == []
    assert chosen_frames.flashes(list(range(35, 40)), there, 15) == []


def test_whose_face_it_is_was_written_down() -> None:
    people = {
        "left": (whereabouts.Place(0, 9, 0, 0.5),),
        "right": (whereabouts.Place(0, 9, 0.5, 1),),
    }
    assert [whereabouts.owner(people, 4, x) for x in (-0.1, 0.4, 0.5, 1.2)] == [
        *("left", "left", "right", "right")
    ]
    assert whereabouts.owner(people, 10, 0.4) is None
    for places in whereabouts.CLIPS.values():
        assert all(
            one.first <= one.last and one.left < one.right for p in places.values() for one in p
        )


def test_faults_are_told_by_their_frames() -> None:
    bad = chosen_frames.Fault(found=[3, 4, 5, 9], others=[7])
    rows = [
        (line.what, line.value)
        for line in chosen_frames.Kept("r00", "left", 10, 9, 5, 0, 0, bad).lines()
    ]
    assert rows[0][1].startswith("5 of 9 changed; others 1 frames")
    assert rows[1:] == [
        ("... found, not changed, frames", "3-5, 9"),
        ("... others changed, frames", "7"),
    ]


def test_a_mesh_beside_its_face_is_told() -> None:
    points = np.array(reference().points, np.float32)
    points = points * 40 / np.ptp(points[:, 0])

    def at(x: float) -> Face:
        moved = points + np.array([x, 60, 0], np.float32)
        return Face((x - 20, 35, x + 20, 85), moved, 1.0, Pose(0, 0, 0))

    assert not chosen_frames.beside(at(60), [at(64), at(140)])
    assert chosen_frames.beside(at(60), [at(74), at(140)])
    assert not chosen_frames.beside(at(60), [at(140)])
    assert not chosen_frames.beside(at(60), [])
