"""The content guard: what it says of what it is told, and that a broken one never means clean.

Its process is stood in for by small real programs that speak its protocol.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import ContentError, TrustError, UnderstudyError
from understudy.safeguards.content_guard import line
from understudy.safeguards.content_guard.guard import Verdict, check, require, samples
from understudy.safeguards.content_guard.line import EXPLICIT, INTERPRETER, available
from understudy.types import Image

StandIn = Callable[[str], Path]

BEFORE = """\
#!{python}
import json, os, struct, sys, time
if sys.argv[-1] == "--version":
    print("3.4.2")
    sys.exit()
def say(value):
    print(json.dumps(value), flush=True)
def pictures():
    while header := sys.stdin.buffer.read(8):
        height, width = struct.unpack(">II", header)
        yield height, width, sys.stdin.buffer.read(height * width * 3)
"""
HELLO = 'say({"guard": "nudenet", "version": "3.4.2"})\n'


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Makes a program out of lines and names it as the guard's interpreter."""

    def make(body: str) -> Path:
        path = tmp_path / "guard-python"
        path.write_text(BEFORE.format(python=sys.executable) + textwrap.dedent(body))
        path.chmod(0o755)
        monkeypatch.setenv(INTERPRETER, str(path))
        return path

    return make


@pytest.fixture
def scores(stand_in: StandIn) -> Callable[..., None]:
    """Makes a guard that finds, in frame after frame, what it is given here."""

    def make(*found: dict[str, float]) -> None:
        answers = [
            {"found": [{"class": name, "score": score} for name, score in one.items()]}
            for one in found
        ]
        stand_in(
            HELLO + f"answers = json.loads({json.dumps(answers)!r})\n"
            "for answer, _ in zip(answers, pictures()):\n    say(answer)\n"
        )

    return make


def frames(count: int, level: int = 90) -> Iterator[tuple[Fraction, Image]]:
    for number in range(count):
        yield Fraction(number), np.full((6, 8, 3), level, np.uint8)


def test_nothing_explicit_is_clean(scores: Callable[..., None]) -> None:
    scores({}, {"FACE_FEMALE": 0.9, "FEMALE_BREAST_COVERED": 0.8}, {"BUTTOCKS_EXPOSED": 0.24})
    verdict = check(frames(3), "footage")
    assert verdict == Verdict("footage", "clean", "nudenet 3.4.2", 3)
    require(verdict, "film.mp4")


@pytest.mark.parametrize("name", sorted(EXPLICIT))
def test_one_explicit_frame_refuses_and_ends_the_looking(
    scores: Callable[..., None], name: str
) -> None:
    scores({}, {name: 0.5, "FACE_FEMALE": 0.9}, {})
    source = frames(3)
    verdict = check(source, "film")
    assert (verdict.state, verdict.frames) == ("refused", 2)
    assert "score 0.50, at 1.00 s" in verdict.reasons[0]
    assert len(list(source)) == 1
    with pytest.raises(ContentError, match=r"party\.mp4") as error:
        require(verdict, "party.mp4")
    assert isinstance(error.value, UnderstudyError)
    assert error.value.exit_code not in {kind.exit_code for kind in (TrustError, UnderstudyError)}


def test_doubt_in_two_frames_asks_for_a_look(scores: Callable[..., None]) -> None:
    scores({"BUTTOCKS_EXPOSED": 0.25}, {}, {"ANUS_EXPOSED": 0.49, "FEET_EXPOSED": 1.0})
    verdict = check(frames(3), "output")
    assert (verdict.state, len(verdict.reasons)) == ("review", 2)
    assert "exposed anus" in verdict.told()
    require(verdict, "film.mp4")


def test_doubt_in_one_frame_is_clean_and_told(scores: Callable[..., None]) -> None:
    scores({}, {"BUTTOCKS_EXPOSED": 0.49}, {})
    verdict = check(frames(3), "film")
    assert verdict.state == "clean"
    assert verdict.facts()["reasons"] == ["exposed buttocks, score 0.49, at 1.00 s"]


def test_pictures_arrive_as_they_are(stand_in: StandIn) -> None:
    # The score says what arrived: only the right bytes of a picture of 5 x 3 are clean.
    image = np.arange(45, dtype=np.uint8).reshape(3, 5, 3)
    turned = np.ascontiguousarray(image.transpose(1, 0, 2)).transpose(1, 0, 2)
    stand_in(
        HELLO
        + """\
        for height, width, data in pictures():
            right = (height, width, data) == (3, 5, bytes(range(45)))
            say({"found": [] if right else [{"class": "ANUS_EXPOSED", "score": 1}]})
        """.replace("        for", "for").replace("\n        ", "\n")
    )
    verdict = check([(Fraction(0), image), (Fraction(1), turned)], "film")
    assert (verdict.state, verdict.frames) == ("clean", 2)


def test_what_libraries_print_on_the_error_stream_does_no_harm(stand_in: StandIn) -> None:
    stand_in(
        HELLO + "for _ in pictures():\n    sys.stderr.write('x' * 200000)\n    say({'found': []})\n"
    )
    assert check(frames(3), "film").state == "clean"


def test_without_a_frame_nothing_is_clean(scores: Callable[..., None]) -> None:
    scores()
    verdict = check([], "film")
    assert (verdict.state, verdict.reasons) == ("unscanned", ("no frame was given",))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.exit('no model')", "no model"),
        (HELLO + "sys.exit('out of memory')", "out of memory"),
        (HELLO + "next(pictures())\nos.kill(os.getpid(), 9)", "-9"),
        (HELLO + "next(pictures())\nos.close(1)\ntime.sleep(60)", "closed its output"),
        ("say({})", "its name"),
        ("print('hello', flush=True)", "not JSON"),
        ("print('[' * 100000, flush=True)", "not JSON"),
        ("say([1])", "answered"),
        (HELLO + "say({'found': None})", "no findings"),
        (HELLO + "say({'found': [1]})", "not a class"),
        (HELLO + "say({'found': [{'class': ['ANUS_EXPOSED'], 'score': 1}]})", "not a class"),
        (HELLO + "say({'found': [{'class': 'EXPOSED_ANUS', 'score': 1}]})", "EXPOSED_ANUS"),
        (HELLO + "say({'found': [{'class': 'ANUS_EXPOSED', 'score': 7}]})", "score"),
        (HELLO + "say({'found': [{'class': 'ANUS_EXPOSED', 'score': float('nan')}]})", "score"),
        (HELLO + "say({'found': [{'class': 'ANUS_EXPOSED', 'score': True}]})", "score"),
        (HELLO + "say({'found': [{'class': 'ANUS_EXPOSED'}]})", "score"),
        (HELLO + "print('{\"found\": ', end='', flush=True)\nsys.exit()", "ended with 0"),
        (HELLO + "print('x' * 2000000, flush=True)", "too long"),
    ],
)
def test_a_broken_guard_is_an_error_and_never_clean(
    stand_in: StandIn, body: str, said: str
) -> None:
    stand_in(body + "\nfor _ in pictures():\n    pass\n")
    with pytest.raises(TrustError, match="content guard") as error:
        check(frames(3), "film")
    assert said in error.value.problem


@pytest.mark.parametrize(
    "body",
    ["time.sleep(600)", HELLO + "time.sleep(600)", HELLO + "next(pictures())\ntime.sleep(600)"],
)
@pytest.mark.parametrize("side", [8, 1000])
def test_a_guard_that_hangs_is_ended(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str, side: int
) -> None:
    # A picture of 3 MB does not fit into a pipe: writing it hangs, too.
    noted = tmp_path / "process"
    stand_in(f"open({str(noted)!r}, 'w').write(str(os.getpid()))\n{body}")
    monkeypatch.setattr(line, "FRAME_SECONDS", 0.3)
    monkeypatch.setattr(line, "START_SECONDS", 0.3 if not body.startswith(HELLO) else 60)
    pictures = [(Fraction(0), np.zeros((side, side, 3), np.uint8))] * 2
    monkeypatch.setattr("understudy.safeguards.content_guard.guard.available", lambda: "3.4.2")
    with pytest.raises(TrustError, match=r"within 0\.3 seconds"):
        check(pictures, "film")
    if noted.exists() and noted.read_text():
        assert not Path("/proc", noted.read_text()).exists()


def test_the_guard_goes_when_reading_the_film_fails(stand_in: StandIn, tmp_path: Path) -> None:
    noted = tmp_path / "process"
    stand_in(
        f"open({str(noted)!r}, 'w').write(str(os.getpid()))\n{HELLO}"
        "for _ in pictures():\n    say({'found': []})\n"
    )

    def torn() -> Iterator[tuple[Fraction, Image]]:
        yield from frames(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(torn(), "film")
    assert not Path("/proc", noted.read_text()).exists()


def test_without_the_extra_films_are_unscanned(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = stand_in("").parent / "bare-python"
    bare.write_text("#!/bin/sh\nexit 0\n")
    bare.chmod(0o755)
    monkeypatch.delenv(INTERPRETER)
    monkeypatch.setattr(sys, "executable", str(bare))
    assert available() is None
    verdict = check(frames(2), "film")
    assert (verdict.state, verdict.guard, verdict.frames) == ("unscanned", None, 0)
    assert "optional extra, is not installed" in verdict.told()
    require(verdict, "film.mp4")


def test_an_interpreter_that_was_named_must_have_it(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = stand_in("").parent / "bare-python"
    bare.write_text("#!/bin/sh\nexit 0\n")
    bare.chmod(0o755)
    monkeypatch.setenv(INTERPRETER, str(bare))
    with pytest.raises(TrustError, match="no NudeNet"):
        check(frames(1), "film")
    monkeypatch.setenv(INTERPRETER, str(bare.parent / "nothing"))
    with pytest.raises(TrustError, match="cannot be run"):
        available()


def test_this_package_never_loads_the_guard_itself() -> None:
    assert "nudenet" not in sys.modules
    assert "understudy.safeguards.content_guard.process" not in sys.modules


def test_one_frame_a_second_and_the_first_of_each_shot() -> None:
    times = [Fraction(n, 25) for n in range(100)]
    assert samples(times) == [0, 25, 50, 75]
    assert samples(times, cuts=[30, 50, 99]) == [0, 25, 30, 50, 75, 99]
    assert samples(times, every=Fraction(2)) == [0, 50]
    assert samples([Fraction(5), Fraction(5) + Fraction(1, 2)]) == [0]
    assert samples([]) == []


@given(
    st.lists(st.fractions(0, 20, max_denominator=1000), unique=True).map(sorted),
    st.sets(st.integers(0, 60)),
)
def test_no_second_goes_unseen(times: list[Fraction], cuts: set[int]) -> None:
    taken = samples(times, cuts)
    assert taken == sorted(set(taken))
    assert cuts & set(range(len(times))) <= set(taken)
    seconds = {(time - times[0]) // 1 for time in times}
    assert {(times[index] - times[0]) // 1 for index in taken} == seconds
    assert len(taken) <= len(seconds) + len(cuts)


@pytest.fixture
def real() -> str:
    """The version of the guard that is installed here."""
    version = available()
    if version is None:
        pytest.skip("the extra `guard` is not installed")
    return version


def test_the_real_guard_finds_a_drawn_face_clean(real: str) -> None:
    rows, columns = np.mgrid[:240, :320]
    rng = np.random.default_rng(0)
    pictures = []
    for number in range(3):
        image = rng.integers(0, 255, (240, 320, 3)).astype(np.uint8) // 4
        face = ((rows - 120) / 80) ** 2 + ((columns - 140 - 10 * number) / 60) ** 2 < 1
        image[face] = (214, 170, 140)
        pictures.append((Fraction(number), image))
    verdict = check(pictures, "film")
    assert (verdict.state, verdict.frames) == ("clean", 3)
    assert verdict.guard == f"nudenet {real}"
