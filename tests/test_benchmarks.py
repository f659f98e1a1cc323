"""The benchmarks can be started and their sums are right; what they measure is not asserted."""

from __future__ import annotations

import argparse
import importlib
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from benchmarks import common, detection, swap
from benchmarks.__main__ import ALL
from benchmarks.common import Alternated, Line, Missing, Result
from benchmarks.make_sample import PARTS, RATE, tune

from understudy.demo import SAMPLE
from understudy.media.video import probe

POINT = swap.Point(
    "swift", 2, "ada-on-chen", 10, 20.0, 0.70, 17.0, 0.65, 1.0, 0.4, 0.9, None, "x.mp4"
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
