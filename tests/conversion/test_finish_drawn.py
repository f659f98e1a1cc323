"""What commands draw is labelled, marked, sealed and found again, in every form that there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.support.painted_people import Act, film, paint
from understudy.conversion import finish_drawn, finish_still
from understudy.conversion.finish_drawn import Finisher
from understudy.media.images import read_image
from understudy.provenance import aigc, records, seal
from understudy.provenance.inspect import Look, look
from understudy.provenance.watermark.frames import Marker
from understudy.provenance.watermark.limits import STRONGER, TRIES, unmarkable
from understudy.runtime import files
from understudy.runtime.installation import Home
from understudy.safeguards.consent_gate import Consent, settle
from understudy.settings import TrustSettings
from understudy.types import Image
from understudy.verification.verify import verify

MODEL = "ab" * 32


@pytest.fixture
def consents() -> dict[str, Consent]:
    return {name: settle(name, None, "synthetic", None) for name in ("red", "blue")}


def finisher(consents: dict[str, Consent], **given: Any) -> Finisher:
    job = {"model": MODEL, "seed": 0}
    return Finisher(TrustSettings(), job, "Faces redrawn", consents, MODEL, **given)


def picture(index: int = 0) -> Image:
    return paint([Act("red", 0, 50, 60), Act("blue", 0, 50, 130)], index)


def moving() -> Iterator[Image]:
    return (picture(index) for index in range(12))


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_a_picture_is_finished(consents: dict[str, Consent], tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new" / f"sheet{suffix}"
    run = finisher(consents)
    run.still(path, picture(), ["red"])
    (told,) = run.told()["outputs"].values()
    assert told["sha256"] == files.sha256(path)
    assert (told["people"], told["mark"], told["credentials"]) == (["red"], "found", "embedded")
    assert run.notes == []
    assert [one.name for one in path.parent.iterdir()] == [path.name], "no work is left"
    shown, plain = read_image(path), picture()
    head = len(shown) - len(plain)
    assert head > 20
    assert np.ptp(shown[:head].astype(int)) > 150, "there is a label in the room above"
    difference = np.abs(shown[head:].astype(int) - plain).mean()
    assert 0 < difference < 4
    found = verify(path)
    assert (found.outcome, found.mark) == ("intact", told["number"])
    assert found.facts is not None
    assert (found.facts.model_sha256, found.facts.source_sha256) == (MODEL, None)
    assert [one.id for one in found.facts.consents] == [consents["red"].id]
    tag = aigc.in_picture(path)
    assert tag is not None
    assert (tag.label, tag.produce_id) == ("1", told["number"])


def test_a_film_is_finished(consents: dict[str, Consent], tmp_path: Path) -> None:
    path = tmp_path / "faces.mp4"
    run = finisher(consents)
    run.film(path, moving)
    told = run.told()
    assert told["outputs"]["faces.mp4"]["people"] == ["blue", "red"]
    assert set(told["consents"]) == {"red", "blue"}
    with av.open(str(path)) as container:
        tags = dict(container.metadata)
        sizes = {(one.width, one.height) for one in container.decode(video=0)}
    assert "Faces redrawn" in tags["comment"]
    tag = aigc.parse(tags[aigc.KEY])
    assert tag is not None
    assert tag.produce_id == told["outputs"]["faces.mp4"]["number"]
    ((width, height),) = sizes
    assert width % 2 == height % 2 == 0
    found = verify(path)
    assert (found.outcome, found.mark) == ("intact", tag.produce_id)


def test_the_same_run_gives_the_same_number_and_another_another(
    consents: dict[str, Consent], tmp_path: Path
) -> None:
    numbers = []
    for job, name in ((0, "a.png"), (0, "a.png"), (0, "b.png"), (1, "a.png")):
        run = Finisher(TrustSettings(), {"job": job}, "Faces redrawn", consents)
        run.still(tmp_path / name, picture())
        numbers.append(run.told()["outputs"][name]["number"])
    assert numbers[0] == numbers[1]
    assert len(set(numbers)) == 3


def test_footage_stays_what_it_was_made_from(consents: dict[str, Consent], tmp_path: Path) -> None:
    source = film(tmp_path / "clip.mp4", 6, [Act("red", 0, 6, 90)])
    finisher(consents, source=source).still(tmp_path / "sheet.png", picture())
    found = verify(tmp_path / "sheet.png")
    assert found.facts is not None
    assert found.facts.source_sha256 == files.sha256(source)
    assert found.summary.startswith("A face in it was replaced")


def test_what_is_too_small_says_so_and_is_sealed_without(
    consents: dict[str, Consent], home: Path, tmp_path: Path
) -> None:
    path = tmp_path / "small.png"
    run = finisher(consents)
    run.still(path, np.ascontiguousarray(picture()[:40, :40]))
    (told,) = run.told()["outputs"].values()
    assert (told["mark"], told["credentials"]) == ("none", "embedded")
    why = "pictures under 64 pixels on the shorter side are too small for it"
    assert f"small.png has no invisible watermark: {why}. Its record says so." in run.notes
    (record,) = records.find(Home(home), int(told["number"], 16))
    assert record.facts.mark is not None
    assert (record.facts.mark.state, record.facts.mark.reason) == ("none", why)
    found = verify(path)
    assert (found.outcome, found.mark) == ("intact", None)


@pytest.mark.parametrize(
    ("name", "side", "why"),
    [
        ("x.gif", 500, "too few colours"),
        ("x.JSON", 500, "contains no picture"),
        ("x.png", 63, "under 64 pixels"),
        ("x.png", 64, None),
        ("x.mp4", 64, None),
    ],
)
def test_what_cannot_hold_a_mark_is_known(name: str, side: int, why: str | None) -> None:
    said = unmarkable(Path(name), 500, side)
    assert said is None if why is None else (said and why in said)


@pytest.mark.parametrize(
    ("module", "name"), [(finish_still, "sheet.png"), (finish_drawn, "faces.mp4")]
)
@pytest.mark.parametrize("times", [1, TRIES])
def test_a_mark_that_is_not_found_is_made_stronger(
    consents: dict[str, Consent],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    times: int,
) -> None:
    strengths: list[float] = []
    left = times

    def marker(width: int, height: int, number: int, strength: float) -> Marker:
        strengths.append(strength)
        return Marker(width, height, number, strength)

    def blind(path: Path, **given: Any) -> Look:
        nonlocal left
        left -= 1
        seen = look(path, **given)
        return seen if left < 0 else replace(seen, reading=replace(seen.reading, record_id=None))

    monkeypatch.setattr(module, "Marker", marker)
    monkeypatch.setattr(module, "look", blind)
    run = finisher(consents)
    if name.endswith(".png"):
        if times == TRIES:
            # What is sealed is looked at once more.
            left += 1
            monkeypatch.setattr(seal, "look", blind)
        run.still(tmp_path / name, picture())
    else:
        run.film(tmp_path / name, moving)
    tries = min(times + 1, TRIES)
    assert strengths == [46.0 - STRONGER * attempt for attempt in range(tries)]
    (told,) = run.told()["outputs"].values()
    assert told["mark"] == ("weak" if times == TRIES else "found")
    assert any("could not be read back" in note for note in run.notes) == (times == TRIES)


def test_what_a_killed_run_left_goes_and_folders_of_the_user_stay(
    consents: dict[str, Consent], tmp_path: Path
) -> None:
    for name in (".sheet.ab12cd34", ".other.ab12cd34", ".sheet.mine", "sheet.ab12cd34"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "unsigned.png").write_bytes(b"unsigned")
    finisher(consents).still(tmp_path / "sheet.png", picture())
    left = sorted(one.name for one in tmp_path.iterdir())
    assert left == [".other.ab12cd34", ".sheet.mine", "sheet.ab12cd34", "sheet.png"]
