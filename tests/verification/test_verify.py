"""What is said of films and pictures that were changed in every way, and of anybody else's."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from benchmarks.altered import Frames, decoded, marked, remuxed
from PIL.PngImagePlugin import PngInfo

from tests.support.signed_media import NUMBER, STRENGTH, Made, film, scene, sealed, studio
from understudy.errors import MediaError, TrustError
from understudy.media.images import encode_image, read_image
from understudy.provenance import aigc, model_records
from understudy.provenance.credentials.credentials import sidecar_of
from understudy.provenance.credentials.manifest import Mark
from understudy.provenance.inspect import look
from understudy.provenance.records import RenderRecord
from understudy.provenance.trusted_signers import write_record, write_trust
from understudy.provenance.watermark.frames import ALGORITHM
from understudy.runtime import files
from understudy.runtime.installation import Home
from understudy.types import Image
from understudy.verification.result import Verification
from understudy.verification.verdict import EXIT_CODES
from understudy.verification.verify import verify


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return studio(tmp_path_factory.mktemp("studio"))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Home:
    return Home(tmp_path / "elsewhere")


def said(found: Verification) -> str:
    return " ".join([found.summary, *(one.text for one in found.findings)])


def test_a_film_as_it_was_made_is_intact(made: Made, tmp_path: Path) -> None:
    copy = tmp_path / "another name.mp4"
    shutil.copy(made.path, copy)
    found = verify(copy, made.home)
    assert (found.outcome, found.exit_code) == ("intact", 0)
    assert found.summary.startswith("A face in it was replaced with this program, and nothing")
    assert found.mark == "c0ffee42"
    assert found.facts == made.record.facts
    assert not found.told("broken")
    assert "ledger on this machine has an entry for this file" in said(found)
    value = json.loads(json.dumps(found.as_json()))
    assert (value["outcome"], value["record"]["record"]) == ("intact", "c0ffee42")


def test_nothing_is_said_twice(made: Made) -> None:
    for home in (made.home, Home(made.home.folder / "nowhere")):
        texts = [one.text for one in verify(made.path, home).findings]
        assert len(texts) == len(set(texts))


def cropped(frames: Frames) -> list[Image]:
    return [one[12:-12, 16:-16] for one in frames]


def resized(image: Image, width: int, height: int) -> Image:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def smaller(frames: Frames) -> list[Image]:
    return [resized(one, 240, 180) for one in frames]


def brighter(frames: Frames) -> list[Image]:
    return [np.clip(one * 1.1 + 8, 0, 255).astype(np.uint8) for one in frames]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frames: frames, "encoded again."),
        (cropped, "cropped to about 90 x 90 %"),
        (smaller, "scaled to 75 %"),
        (brighter, "encoded again"),
        (lambda frames: [one[:, ::-1] for one in frames], "mirrored"),
        (lambda frames: frames[10:30], "cut to 0.9 of its"),
        (lambda frames: [*scene(5), *frames], "inserted into a longer film, 2.0 s after"),
    ],
)
def test_a_changed_copy_is_found_again_and_never_intact(
    made: Made, tmp_path: Path, change: Callable[[Frames], Frames], words: str
) -> None:
    copy = film(tmp_path / "copy.mp4", change(decoded(made.path)), crf=16)
    found = verify(copy, made.home)
    assert (found.outcome, found.exit_code) == ("altered", EXIT_CODES["altered"])
    assert words in found.summary
    assert found.facts == made.record.facts
    assert found.distance is not None
    assert found.distance < 0.1


def test_a_pure_copy_into_another_container_is_not_called_encoded(
    made: Made, tmp_path: Path
) -> None:
    for name in ("copy.mp4", "copy.mkv"):
        found = verify(remuxed(made.path, tmp_path / name), made.home)
        assert found.outcome == "altered"
        assert found.distance == 0
        assert "stored in another container" in found.summary


def test_a_frame_that_the_record_does_not_hold_is_no_forgery(made: Made, tmp_path: Path) -> None:
    picture = tmp_path / "frame.png"
    picture.write_bytes(encode_image(decoded(made.path)[39][:, ::-1], ".png"))
    assert verify(picture, made.home).outcome in ("altered", "unknown")


def test_a_single_frame_is_found_again(made: Made, tmp_path: Path) -> None:
    picture = tmp_path / "frame.png"
    picture.write_bytes(encode_image(decoded(made.path)[20], ".png"))
    found = verify(picture, made.home)
    assert found.outcome == "altered"
    assert "a single picture (at about 1.0 s)" in found.summary


@pytest.mark.parametrize("place", [0.02, 0.5, 0.97])
def test_a_flipped_bit_is_a_change(made: Made, tmp_path: Path, place: float) -> None:
    data = bytearray(made.path.read_bytes())
    data[int(place * len(data))] ^= 1
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(data)
    found = verify(copy, made.home)
    assert found.outcome == "broken"
    assert found.summary.startswith("Do not rely on it")
    assert found.told("broken")


@pytest.mark.parametrize("tail", [b"\0\0\0\x08free", b"more"])
def test_something_appended_is_a_change(made: Made, tmp_path: Path, tail: bytes) -> None:
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(made.path.read_bytes() + tail)
    assert verify(copy, made.home).outcome == "broken"


def test_a_mark_on_another_film_is_refused(made: Made, tmp_path: Path) -> None:
    other = film(tmp_path / "other.mp4", marked(scene(9), NUMBER, STRENGTH), crf=16)
    found = verify(other, made.home)
    assert (found.outcome, found.mark, found.facts) == ("broken", "c0ffee42", None)
    assert "its invisible watermark belongs to a film that shows something else" in found.summary


def test_a_mark_on_the_original_footage_proves_no_swap(made: Made, tmp_path: Path) -> None:
    forged = film(tmp_path / "forged.mp4", marked(decoded(made.source), NUMBER, STRENGTH), crf=16)
    found = verify(forged, made.home)
    assert (found.outcome, found.facts) == ("unknown", None)
    assert "or the mark was added to the original" in found.summary


def test_the_original_footage_is_not_called_genuine(made: Made) -> None:
    found = verify(made.source, made.home)
    assert (found.outcome, found.facts, found.mark) == ("unknown", None, None)
    assert found.summary.endswith("This does not make it genuine.")


def test_a_film_that_lost_its_mark_is_unknown_but_leads_to_its_record(
    made: Made, tmp_path: Path
) -> None:
    frames = decoded(made.path)
    blurred = [np.asarray(cv2.GaussianBlur(one, (0, 0), 4), np.uint8) for one in frames]
    found = verify(film(tmp_path / "copy.mp4", blurred, crf=30), made.home)
    assert (found.outcome, found.mark, found.record) == ("unknown", None, None)
    assert "It is that film without its watermark, or the footage" in found.summary


def test_an_unmarked_film_is_unknown(made: Made, tmp_path: Path) -> None:
    found = verify(film(tmp_path / "other.mp4", scene(9)), made.home)
    assert (found.outcome, found.exit_code) == ("unknown", EXIT_CODES["unknown"])
    assert found.summary == "Nothing is known about it. This does not make it genuine."
    assert not found.told("proved")


def test_a_tag_that_anybody_can_write_proves_nothing(elsewhere: Home, tmp_path: Path) -> None:
    tag = {aigc.KEY: aigc.text("00000001", producer="A \x1b[31mservice")}
    found = verify(film(tmp_path / "tagged.mp4", scene(9, 4), metadata=tag), elsewhere)
    assert found.outcome == "unknown"
    assert "Its metadata says that A" in found.summary
    assert "\x1b" not in said(found)


def test_a_tag_in_a_picture(elsewhere: Home, tmp_path: Path) -> None:
    text = PngInfo()
    text.add_text(aigc.KEY, aigc.text("00000001", producer="A service"))
    path = tmp_path / "tagged.png"
    PIL.Image.fromarray(scene(9, 1)[0]).save(path, pnginfo=text)
    found = verify(path, elsewhere)
    assert found.outcome == "unknown"
    assert "generated or changed by AI, by A service, number 00000001. Anyone" in said(found)


def test_files_of_models_are_known_by_their_hash(elsewhere: Home, tmp_path: Path) -> None:
    path = tmp_path / "ema-encoder.safetensors"
    path.write_bytes(b"weights")
    found = verify(path, elsewhere)
    assert (found.outcome, found.findings) == ("unknown", ())
    assert found.summary.startswith("It is a model, or a part of one, and unknown")
    model_records.enter("training", "duo", [files.sha256(path)], {}, home=elsewhere)
    assert "part of the model duo" in verify(path, elsewhere).summary
    assert verify(path, elsewhere).outcome == "intact"
    renamed = tmp_path / "model.bin"
    shutil.copy(path, renamed)
    assert verify(renamed, elsewhere).outcome == "intact"
    model_records.enter("tombstone", "duo", [files.sha256(path)], {}, home=elsewhere)
    gone = verify(path, elsewhere)
    assert gone.outcome == "broken"
    assert "was removed" in gone.summary


def test_a_record_of_a_model_that_cannot_be_opened_is_noted(made: Made, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    shutil.copytree(made.home.folder, home.folder)
    odd = home.records / "models" / "odd.json"
    odd.mkdir(parents=True)
    before, film = verify(made.path, made.home), verify(made.path, home)
    assert (film.outcome, film.summary) == ("intact", before.summary)
    weights = tmp_path / "ema-encoder.safetensors"
    weights.write_bytes(b"weights")
    unknown = verify(weights, home)
    assert unknown.outcome == "unknown"
    assert "not all records" in unknown.summary
    model_records.enter("training", "duo", [files.sha256(weights)], {}, home=home)
    known = verify(weights, home)
    assert known.outcome == "intact"
    for found in (film, unknown, known):
        assert any(str(odd) in text for text in found.told("unknown"))


def test_a_picture_that_never_carried_a_mark_says_why(made: Made, tmp_path: Path) -> None:
    home, path = Home(tmp_path / "home"), tmp_path / "small.png"
    unsigned = tmp_path / "unsigned.png"
    unsigned.write_bytes(encode_image(scene(3, 1)[0], ".png"))
    reason = "it is too small"
    sealed(home, unsigned, path, None, Mark(algorithm=ALGORITHM, state="none", reason=reason))
    found = verify(path, home)
    assert found.outcome == "intact"
    assert f"it never had a watermark: {reason}." in " ".join(found.told("proved"))


def still(made: Made, folder: Path, suffix: str) -> Path:
    image = marked([resized(scene(3, 1)[0], 640, 480)], NUMBER, 38.0)[0]
    unsigned, path = folder / f"unsigned{suffix}", folder / f"still{suffix}"
    unsigned.write_bytes(encode_image(image, suffix))
    home = Home(folder / "home")
    sealed(home, unsigned, path, None)
    return path


def test_pictures_too(made: Made, tmp_path: Path) -> None:
    path = still(made, tmp_path, ".png")
    home = Home(tmp_path / "home")
    found = verify(path, home)
    assert found.outcome == "intact"
    assert found.summary.startswith("It was made by a network of this program, and nothing")
    jpeg = tmp_path / "again.jpg"
    jpeg.write_bytes(encode_image(read_image(path), ".jpg", quality=90))
    assert verify(jpeg, home).outcome == "altered"
    stripped = verify(tmp_path / "unsigned.png", home)
    assert stripped.outcome == "altered"
    assert "Its credentials were removed; the rest is unchanged, byte for byte." in stripped.summary


def test_credentials_beside_a_film(made: Made, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    unsigned = remuxed(
        film(tmp_path / "a.mp4", marked(scene(4), NUMBER, STRENGTH)), tmp_path / "a.mkv"
    )
    path = tmp_path / "film.mkv"
    sealed(home, unsigned, path, None)
    aside = sidecar_of(path)
    assert verify(path, home).credentials.sidecar
    assert verify(path, home).outcome == "intact"
    assert "credentials of another file" in verify(aside, home).summary
    other = remuxed(film(tmp_path / "b.mp4", scene(9)), tmp_path / "other.mkv")
    shutil.copy(aside, sidecar_of(other))
    found = verify(other, home)
    assert found.outcome == "broken"
    assert "not the file that the credentials next to it were made for" in found.summary
    aside.unlink()
    assert verify(path, home).outcome == "intact"
    assert verify(path, Home(tmp_path / "nobody")).outcome == "unknown"


def test_somebody_elses_signature_is_unknown_until_trusted(
    made: Made, elsewhere: Home, tmp_path: Path
) -> None:
    found = verify(made.path, elsewhere)
    assert (found.outcome, found.exit_code) == ("unknown signer", EXIT_CODES["unknown signer"])
    assert found.facts == made.record.facts
    assert all("made with understudy" not in text for text in found.told("proved"))
    pem = tmp_path / "ours.pem"
    write_trust(made.home, pem)
    assert b"PRIVATE" not in pem.read_bytes()
    assert verify(made.path, elsewhere, [pem]).outcome == "intact"


def test_a_record_that_is_handed_over(made: Made, elsewhere: Home, tmp_path: Path) -> None:
    copy = film(tmp_path / "copy.mp4", decoded(made.path), crf=16)
    assert verify(copy, elsewhere).outcome == "unknown"
    record, pem = tmp_path / "record.json", tmp_path / "ours.pem"
    named = made.record.model_copy(update={"file": "ada-for-chen.mp4"})
    write_record(made.home, named, record)
    assert RenderRecord.model_validate_json(record.read_bytes()).file == "film.mp4"
    found = verify(copy, elsewhere, handed=[record])
    assert found.outcome == "unknown signer"
    assert "says a record of a signer who is not on the trusted list" in found.summary
    write_trust(made.home, pem)
    found = verify(copy, elsewhere, [pem], [record])
    assert (found.outcome, found.facts) == ("altered", made.record.facts)


def forged(made: Made, **changes: object) -> RenderRecord:
    return made.record.model_copy(update=changes)


def test_an_edited_record_is_found_out(made: Made, elsewhere: Home, tmp_path: Path) -> None:
    other = film(tmp_path / "other.mp4", marked(scene(9), NUMBER, STRENGTH), crf=16)
    pem, path = tmp_path / "ours.pem", tmp_path / "record.json"
    write_trust(made.home, pem)
    facts = made.record.facts
    for record in (
        forged(made, fingerprint=look(other).fingerprint),
        forged(made, facts=facts.model_copy(update={"label": "none"})),
        forged(made, facts=facts.model_copy(update={"unsigned_sha256": files.sha256(other)})),
        forged(made, facts=facts.model_copy(update={"guard": "passed (nudenet)"})),
        forged(made, number=NUMBER + 1),
        forged(made, facts=facts.model_copy(update={"ledger": None})),
        forged(made, proof={}),
    ):
        files.write_json(path, record.model_dump(mode="json"))
        found = verify(other, elsewhere, [pem], [path])
        assert found.outcome == "unknown"
        assert found.facts is None
        if record.number == NUMBER:
            assert "cannot be relied on" in " ".join(found.told("broken"))


def test_a_ledger_that_was_edited_vouches_for_nothing(made: Made, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    shutil.copytree(made.home.folder, home.folder)
    other = film(tmp_path / "other.mp4", scene(9))
    with closing(sqlite3.connect(home.ledger)) as database:
        database.execute(
            "UPDATE entries SET entry = json_set(entry, '$.sha256', ?) WHERE leaf = 1",
            (files.sha256(other),),
        )
        database.commit()
    found = verify(other, home)
    assert found.outcome == "unknown"
    assert "cannot be relied on" in found.told("broken")[0]
    assert verify(made.path, home).outcome == "intact"


def test_a_damaged_home_is_told_and_the_rest_still_counts(made: Made, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    shutil.copytree(made.home.folder, home.folder)
    for path in home.records.iterdir():
        path.write_text("{")
    found = verify(made.path, home)
    assert found.outcome == "intact"
    assert "cannot be read" in found.told("broken")[0]
    home.ledger.write_bytes(b"nonsense")
    (home.keys / "claim-signer.pem").write_bytes(b"nonsense")
    found = verify(made.path, home)
    assert found.outcome == "unknown signer"
    assert len(found.told("broken")) == 3


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("text.txt", b"hello"),
        ("text.mp4", b"hello"),
        ("text.png", b"hello"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n"),
        (f"{'x' * 246}.mp4", b"\0\0\0\x08free"),
    ],
)
def test_files_that_cannot_be_opened(
    elsewhere: Home, tmp_path: Path, name: str, data: bytes
) -> None:
    """They are not called unknown, as whole films are of which nothing is known."""
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(MediaError, match="could not be opened") as caught:
        verify(path, elsewhere)
    assert name in caught.value.problem


@pytest.mark.parametrize("name", ["empty.mp4", "empty"])
def test_empty_files(elsewhere: Home, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    found = verify(path, elsewhere)
    assert found.outcome == "unknown"
    assert "is empty" in found.summary


def test_what_is_no_file(elsewhere: Home, tmp_path: Path) -> None:
    link = tmp_path / "link.mp4"
    link.symlink_to(link)
    with pytest.raises(MediaError, match="is a folder"):
        verify(tmp_path, elsewhere)
    for path in (link, tmp_path / "nowhere.mp4", tmp_path / ("x" * 300)):
        with pytest.raises(MediaError):
            verify(path, elsewhere)


def test_what_is_given_has_to_be_readable(made: Made, elsewhere: Home, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text("nonsense")
    for given in (bad, tmp_path / "nowhere"):
        with pytest.raises(TrustError):
            verify(made.path, elsewhere, trusted=[given])
        with pytest.raises(TrustError):
            verify(made.path, elsewhere, handed=[given])
    with pytest.raises(TrustError, match="not signed anything"):
        write_trust(elsewhere, tmp_path / "ours.pem")
