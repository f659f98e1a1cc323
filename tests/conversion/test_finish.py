"""The end of every conversion: what a finished film and what goes with it say of themselves, and
that nothing gets its name before they do."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import av
import numpy as np
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import understudy.tracks.scan
from tests.support.conversion_project import UNLABELLED, convert, studio
from tests.support.painted_people import SIZE, Act, ColourTracker, film, paint
from understudy.conversion import finish
from understudy.conversion import plan as stage
from understudy.conversion.convert import ConvertReport
from understudy.conversion.finish import source_notes
from understudy.errors import ContentError, SettingsError, StorageError
from understudy.media.video import VideoReader
from understudy.progress import Event, Progress
from understudy.project import Project
from understudy.provenance import aigc, fingerprint, records, seal
from understudy.provenance.credentials import credentials, signing
from understudy.provenance.credentials.certificates import anchors, make_chain
from understudy.provenance.inspect import Look, look
from understudy.provenance.label.label import SHARE
from understudy.provenance.ledger.ledger import Ledger
from understudy.provenance.ledger.proofs import verify_proof
from understudy.provenance.watermark.frames import Marker
from understudy.provenance.watermark.limits import STRONGER, TRIES
from understudy.runtime import files
from understudy.runtime.installation import VARIABLE, Home
from understudy.runtime.keys import write_private
from understudy.safeguards.content_guard.guard import Verdict
from understudy.types import Image
from understudy.verification.verify import verify

FRAMES = 24
ACTS = [Act("red", 0, FRAMES, 60), Act("blue", 4, FRAMES, 130)]


class Made(NamedTuple):
    """A film with everything beside it, and the home that it was made in."""

    project: Project
    clip: Path
    home: Home
    report: ConvertReport
    told: dict[str, Any]

    @property
    def outputs(self) -> dict[str, Path]:
        return {
            name: self.report.output.with_name(one["file"])
            for name, one in self.told["outputs"].items()
        }

    @property
    def number(self) -> int:
        return int(self.told["number"], 16)

    def credentials(self, name: str) -> credentials.Credentials:
        return credentials.read(self.outputs[name], trusted=anchors(self.home))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(VARIABLE, str(folder / "home"))
        project = studio(folder / "project")
        clip = film(folder / "clip.mp4", FRAMES, ACTS)
        report = convert(project, clip, plain=False, side_by_side=True, matte=True)
        home = Home.from_environment()
    return Made(project, clip, home, report, json.loads(report.record.read_text()))


class Here(NamedTuple):
    project: Project
    clip: Path

    @property
    def finished(self) -> list[str]:
        """Everything in the renders folder but work to go on with."""
        return sorted(
            path.name for path in self.project.renders_folder.iterdir() if path.name != ".work"
        )

    @property
    def work(self) -> list[Path]:
        folder = self.project.renders_folder / ".work"
        return [path for path in folder.glob("*") if path.is_dir()]


@pytest.fixture
def here(made: Made, tmp_path: Path) -> Here:
    """A copy of the project, and a shorter film."""
    shutil.copytree(
        made.project.folder, tmp_path / "project", ignore=shutil.ignore_patterns("renders")
    )
    (tmp_path / "project" / "renders").mkdir()
    clip = film(tmp_path / "short.mp4", 12, [Act("red", 0, 12, 90)])
    return Here(Project.open(tmp_path / "project"), clip)


def notes_into(notes: list[str]) -> Progress:
    def listen(event: Event) -> None:
        if event.kind == "note":
            notes.append(event.text)

    return Progress(listen)


# A film that came through


@pytest.mark.parametrize("name", ["film", "side", "matte"])
def test_credentials_hold_and_say_what_was_done(made: Made, name: str) -> None:
    found = made.credentials(name)
    assert (found.state, found.reasons) == ("trusted", ())
    assert found.sidecar == (name == "matte")
    facts = found.facts
    assert facts is not None
    assert facts.record == made.told["number"]
    assert facts.source_sha256 == files.sha256(made.clip) == made.told["film"]["sha256"]
    assert facts.model_sha256 == made.told["model"]["weights_sha256"]
    seen = ("corner", None) if name != "matte" else ("none", "a matte, which shows no face")
    assert (facts.label, facts.reason, facts.guard) == (*seen, "unscanned")
    expected = None if name == "matte" else "found"
    assert (facts.mark.state if facts.mark else None) == expected
    assert made.told["outputs"][name]["mark"] == (expected or "none")
    assert made.told["outputs"][name]["sha256"] == files.sha256(made.outputs[name])


def test_credentials_refer_to_the_consents(made: Made) -> None:
    facts = made.credentials("film").facts
    assert facts is not None
    people = [made.project.person(name).consent for name in ("green", "red")]
    with Ledger.open(made.home, write=False) as ledger:
        for reference, consent in zip(facts.consents, people, strict=True):
            assert consent is not None
            assert reference.id == consent.id
            assert ledger.matches(consent.id, consent.sha256, reference.digest)
            assert not ledger.matches(consent.id, "0" * 64, reference.digest)


@pytest.mark.parametrize("name", ["film", "side"])
def test_the_mark_is_in_the_finished_film(made: Made, name: str) -> None:
    assert look(made.outputs[name]).reading.record_id == made.number


def test_the_matte_carries_no_mark(made: Made) -> None:
    assert look(made.outputs["matte"]).reading.record_id is None


def test_the_ledger_holds_every_output_and_nothing_personal(made: Made) -> None:
    with Ledger.open(made.home, write=False) as ledger:
        entries = ledger.by_record(made.number)
        assert ledger.audit().intact
        everything = "\n".join(entry.text for entry in ledger.latest(len(ledger)))
        seals = [entry for entry in entries if entry.values["kind"] == "render"]
        ends = [entry for entry in entries if entry.values["kind"] == "finished"]
        assert len(entries) == 6
        for name, rendered, ended in zip(("side", "matte", "film"), seals, ends, strict=True):
            facts = made.credentials(name).facts
            assert facts is not None
            assert facts.ledger is not None
            assert (facts.ledger.index, facts.ledger.hash) == (rendered.leaf, rendered.hash.hex())
            values = rendered.values
            assert values["unsigned"] == facts.unsigned_sha256
            assert values["source"] == facts.source_sha256
            assert values["model"] == facts.model_sha256
            assert values["consents"] == [one.digest for one in facts.consents]
            assert ended.values["sha256"] == files.sha256(made.outputs[name])
            assert ended.values["leaf"] == rendered.leaf
            assert ledger.by_sha256(files.sha256(made.outputs[name])) == [ended]
    for word in ("green", "red", "blue", "clip", "duo", "/", ".mp4"):
        assert word not in everything.replace("rendered", "")


def test_records_are_kept_and_prove_what_they_say(made: Made) -> None:
    kept = {record.file: record for record in records.find(made.home, made.number)}
    assert set(kept) == {path.name for path in made.outputs.values()}
    for name, path in made.outputs.items():
        record = kept[path.name]
        assert record.facts == made.credentials(name).facts
        assert record.sha256 == files.sha256(path)
        assert record.kind == ("matte" if name == "matte" else "film")
        assert (record.width, record.height) == (SIZE * (2 if name == "side" else 1), SIZE)
        proved = verify_proof(record.proof)
        assert proved.entry.values["unsigned"] == record.facts.unsigned_sha256
        if name == "matte":
            assert record.fingerprint is None
        else:
            assert record.fingerprint is not None
            assert fingerprint.compare(record.fingerprint, look(path).fingerprint).same


@pytest.mark.parametrize("name", ["film", "side", "matte"])
def test_the_files_metadata_say_it_too(made: Made, name: str) -> None:
    with av.open(str(made.outputs[name])) as container:
        tags = {key.upper(): value for key, value in container.metadata.items()}
    assert "ai-generated" in tags["COMMENT"]
    tag = aigc.parse(tags[aigc.KEY])
    assert tag is not None
    assert tag.label == "1"
    assert (tag.produce_id, tag.reserved_code1) == (made.told["number"], files.sha256(made.clip))


def test_a_changed_byte_is_noticed(made: Made, tmp_path: Path) -> None:
    data = bytearray(made.report.output.read_bytes())
    data[len(data) // 2] ^= 1
    changed = tmp_path / "changed.mp4"
    changed.write_bytes(data)
    assert credentials.read(changed, trusted=anchors(made.home)).state == "tampered"


def test_a_changed_source_is_told(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(made.home.folder))
    assert source_notes(made.clip) == []
    assert source_notes(made.report.output) == []
    data = bytearray(made.report.output.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "changed.mp4").write_bytes(data)
    (told,) = source_notes(tmp_path / "changed.mp4")
    assert told.startswith("changed.mp4 was changed after it was signed")


def pictures(path: Path) -> list[Image]:
    with VideoReader(path) as reader:
        return [frame.image for frame in reader]


def test_everybody_sees_the_label(here: Here) -> None:
    lossless: dict[str, Any] = {"codec": "ffv1"}
    label = convert(here.project, here.clip, **lossless, label="corner", label_reason=None)
    plain = convert(here.project, here.clip, **lossless)
    facts = credentials.read(plain.output).facts
    assert facts is not None
    assert (facts.label, facts.reason) == ("none", UNLABELLED["label_reason"])
    for with_label, without in zip(pictures(label.output), pictures(plain.output), strict=True):
        touched = np.abs(with_label.astype(int) - without).max(2) > 40
        rows, columns = np.nonzero(touched)
        assert np.ptp(rows) >= SHARE * SIZE
        assert rows.max() < SIZE / 4, "the label stays in its corner"
        assert columns.min() > SIZE / 4


@pytest.mark.parametrize(
    ("replaced", "comes", "below"), [("red", "blue", False), ("blue", "red", True)]
)
def test_the_label_leaves_the_replaced_face_free(
    here: Here, replaced: str, comes: str, below: bool
) -> None:
    """Faces at every corner: the one that was replaced is spared, whichever it is."""
    acts = [Act("red", 0, 4, 96, 150), Act("blue", 0, 4, 48, 36), Act("green", 0, 4, 144, 36)]
    clip = film(here.clip.with_name("three.mp4"), 4, acts)
    lossless: dict[str, Any] = {"codec": "ffv1", "replace": replaced, "with_": comes}
    label = convert(here.project, clip, **lossless, label="corner", label_reason=None)
    plain = convert(here.project, clip, **lossless)
    for with_label, without in zip(pictures(label.output), pictures(plain.output), strict=True):
        rows, _ = np.nonzero(np.abs(with_label.astype(int) - without).max(2) > 40)
        assert (rows > SIZE / 2).all() == below
        assert (rows < SIZE / 2).all() != below


def test_the_opening_is_that_of_the_part(here: Here) -> None:
    """The tracks of a whole film serve a part of it, whose first second is another one."""
    clip = film(here.clip.with_name("long.mp4"), 150, [Act("red", 0, 150, 90)])
    lossless: dict[str, Any] = {"codec": "ffv1", "start": Fraction(4), "end": Fraction("4.4")}
    with mock.patch.object(understudy.tracks.scan, "trackers", return_value=ColourTracker):
        listed = here.project.tracks(clip)
    plain = convert(here.project, clip, **lossless)
    card = convert(
        here.project,
        clip,
        **lossless,
        tracks=listed.file,
        label="opening",
        label_reason=None,
    )
    for with_card, without in zip(pictures(card.output), pictures(plain.output), strict=True):
        touched = (np.abs(with_card.astype(int) - without).max(2) > 40).any(1)
        assert touched.sum() > 0.1 * SIZE


def test_a_film_of_this_program_can_be_changed_again(here: Here) -> None:
    """Two marks in one film: the newer one is read, and the older record is told of."""
    home = Home.from_environment()
    first = convert(here.project, here.clip, plain=False)
    again = convert(here.project, first.output, {"any": "green"}, None, plain=False)
    older, newer = (json.loads(one.record.read_text())["number"] for one in (first, again))
    found = verify(again.output, home)
    assert older != newer
    assert (found.outcome, found.mark) == ("intact", newer)
    (told,) = [text for text in found.told("proved") if "was made from" in text]
    assert told.endswith(f"had not been changed. It was the film of the record {older}.")


def test_who_signs_makes_no_other_film(here: Here, tmp_path: Path) -> None:
    first = convert(here.project, here.clip, plain=False)
    told = json.loads(first.record.read_text())
    chain, key = make_chain(datetime.now(UTC))
    pem = b"".join(one.public_bytes(Encoding.PEM) for one in chain)
    (tmp_path / "chain.pem").write_bytes(pem)
    write_private(
        tmp_path / "private" / "key.pem",
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
    (here.project.folder / "project.toml").write_text(
        f'[trust]\ncertificate = "{tmp_path}/chain.pem"\nkey = "{tmp_path}/private/key.pem"\n'
    )
    project = Project.open(here.project.folder)
    again = convert(project, here.clip, plain=False)
    assert again.output == first.output
    assert "private" not in again.record.read_text()
    assert json.loads(again.record.read_text())["number"] == told["number"]
    assert credentials.read(again.output, trusted=pem.decode()).state == "trusted"
    own = anchors(Home.from_environment())
    assert credentials.read(again.output, trusted=own).state == "unknown signer"


# What cannot be as usual


def test_a_file_that_cannot_hold_them_gets_its_credentials_beside(
    here: Here, tmp_path: Path
) -> None:
    report = convert(here.project, here.clip, plain=False, output=tmp_path / "out" / "swap.mkv")
    assert sorted(path.name for path in report.output.parent.iterdir()) == [
        "swap.json",
        "swap.mkv",
        "swap.mkv.c2pa",
    ]
    found = credentials.read(report.output, trusted=anchors(Home.from_environment()))
    assert (found.state, found.sidecar) == ("trusted", True)
    assert any("swap.mkv.c2pa has" in note for note in report.notes)
    told = json.loads(report.record.read_text())
    assert told["outputs"]["film"]["credentials"] == "sidecar"
    assert told["notes"] == list(report.notes)


def test_a_film_too_small_for_the_mark_is_sealed_without(here: Here, tmp_path: Path) -> None:
    small = tmp_path / "small.mp4"
    with av.open(str(small), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "8"})
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = 62
        stream.pix_fmt = "yuv420p"
        for index in range(6):
            image = np.ascontiguousarray(paint([Act("red", 0, 6, 31, 31)], index)[:62, :62])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    report = convert(here.project, small, plain=False)
    why = "pictures under 64 pixels on the shorter side are too small for it"
    name = report.output.name
    assert f"{name} has no invisible watermark: {why}. Its record says so." in report.notes
    found = credentials.read(report.output, trusted=anchors(Home.from_environment()))
    assert found.state == "trusted"
    assert found.facts is not None
    assert found.facts.mark is not None
    assert (found.facts.mark.state, found.facts.mark.reason) == ("none", why)
    assert json.loads(report.record.read_text())["outputs"]["film"]["mark"] == "none"


@pytest.mark.parametrize("reason", [None, "", "aaaaaaaaaaaaaaa"])
def test_no_label_without_a_reason(here: Here, reason: str | None) -> None:
    scans = sorted((here.project.cache_folder / "scan").iterdir())
    with pytest.raises(SettingsError, match="without a visible label needs a reason") as caught:
        convert(here.project, here.clip, label="none", label_reason=reason)
    assert caught.value.remedy
    assert here.finished == []
    assert not here.work
    assert sorted((here.project.cache_folder / "scan").iterdir()) == scans, "nobody looked at it"


def test_a_reason_beside_a_label_is_refused(here: Here) -> None:
    with pytest.raises(SettingsError, match="the label is `corner`"):
        convert(here.project, here.clip, label="corner", label_reason="It is put on later.")
    assert not here.work


@pytest.fixture
def strengths(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How strongly films were marked, one after another."""
    used: list[float] = []

    def marker(width: int, height: int, record: int, strength: float) -> Marker:
        used.append(strength)
        return Marker(width, height, record, strength)

    monkeypatch.setattr(finish, "Marker", marker)
    return used


def blind_to(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Let the mark not be found so many times."""
    left = times

    def blind(path: Path, **_: object) -> Look:
        nonlocal left
        left -= 1
        seen = look(path)
        if left < 0:
            return seen
        return replace(seen, reading=replace(seen.reading, record_id=None))

    monkeypatch.setattr(finish, "look", blind)


def test_a_mark_that_is_not_found_is_made_again_more_strongly(
    here: Here, monkeypatch: pytest.MonkeyPatch, strengths: list[float]
) -> None:
    blind_to(monkeypatch, 1)
    notes: list[str] = []
    report = convert(here.project, here.clip, plain=False, progress=notes_into(notes))
    assert strengths == [46.0, 46.0 - STRONGER]
    assert [note for note in notes if "could not be read back" in note]
    facts = credentials.read(report.output).facts
    assert facts is not None
    assert facts.mark is not None
    assert facts.mark.state == "found"
    assert not any("mark" in note for note in report.notes)
    assert report.frames == 12
    assert not here.work


def test_one_that_is_not_found_in_the_side_by_side_is_too(
    here: Here, monkeypatch: pytest.MonkeyPatch, strengths: list[float]
) -> None:
    seen: list[str] = []

    def blind(path: Path, **_: object) -> Look:
        seen.append(path.stem)
        found = look(path)
        if path.stem != "joined-side" or seen.count("joined-side") > 1:
            return found
        return replace(found, reading=replace(found.reading, record_id=None))

    monkeypatch.setattr(finish, "look", blind)
    report = convert(here.project, here.clip, plain=False, side_by_side=True)
    assert seen == ["joined-film", "joined-side"] * 2
    assert strengths == [46.0, 46.0, 46.0 - STRONGER, 46.0 - STRONGER]
    told = json.loads(report.record.read_text())["outputs"]
    assert {name: one["mark"] for name, one in told.items()} == {"film": "found", "side": "found"}


def test_a_mark_that_is_never_found_is_called_weak(
    here: Here, monkeypatch: pytest.MonkeyPatch, strengths: list[float]
) -> None:
    blind_to(monkeypatch, TRIES)
    report = convert(here.project, here.clip, plain=False)
    assert strengths == [46.0 - STRONGER * attempt for attempt in range(TRIES)]
    assert any("could not be read back" in note for note in report.notes)
    facts = credentials.read(report.output).facts
    assert facts is not None
    assert facts.mark is not None
    assert facts.mark.state == "weak"
    assert json.loads(report.record.read_text())["outputs"]["film"]["mark"] == "weak"
    assert [one.facts for one in records.find(Home.from_environment(), int(facts.record, 16))] == [
        facts
    ]
    assert len(pictures(report.output)) == 12


# What is stopped


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    ("place", "name"),
    [(signing, "sign"), (records, "write"), (files, "write_json")],
    ids=["signing", "recording", "telling"],
)
@pytest.mark.slow
def test_a_sealing_that_is_stopped_leaves_nothing_and_goes_on(
    here: Here, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, suffix: str, tmp_path: Path
) -> None:
    output = tmp_path / "out" / f"swap{suffix}"
    output.parent.mkdir()
    honest = getattr(place, name)

    def stops(*words: Any, **given: Any) -> Any:
        if name == "write_json" and words[0] != output.with_suffix(".json"):
            return honest(*words, **given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(place, name, stops)
        with pytest.raises(KeyboardInterrupt):
            convert(here.project, here.clip, plain=False, output=output)
    assert list(output.parent.iterdir()) == []
    (work,) = here.work
    assert list(work.glob("segment-*.json"))
    report = convert(here.project, here.clip, plain=False, output=output)
    assert report.frames_per_second == 0, "nothing was rendered again"
    found = credentials.read(output, trusted=anchors(Home.from_environment()))
    assert found.state == "trusted"
    assert not here.work
    with Ledger.open(Home.from_environment(), write=False) as ledger:
        assert ledger.audit().intact
        assert {one.values["kind"] for one in ledger.by_sha256(files.sha256(output))} == {
            "finished"
        }


REFUSED = ("exposed genitalia, score 0.90, at 0.00 s",)


def test_what_the_guard_refuses_gets_no_name(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(path: Path, what: Any) -> Verdict:
        assert what == "output"
        return Verdict("output", "refused", "nudenet 3.4.2", 1, REFUSED)

    monkeypatch.setattr(seal, "guarded", refuses)
    with pytest.raises(ContentError, match=r"short-green-for-red\.mp4") as caught:
        convert(here.project, here.clip, plain=False)
    assert caught.value.remedy
    assert here.finished == []
    assert not list(Home.from_environment().records.glob("*"))
    with Ledger.open(Home.from_environment(), write=False) as ledger:
        assert len(ledger) == 0


def test_a_film_that_the_guard_refuses_is_not_begun(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        stage,
        "guarded",
        lambda *_: Verdict("film", "refused", "nudenet 3.4.2", 1, REFUSED),
    )
    with pytest.raises(ContentError, match=r"short\.mp4"):
        convert(here.project, here.clip, plain=False)
    assert here.finished == []
    assert not here.work


def test_a_scanned_film_says_so(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "guarded", lambda *_: Verdict("output", "clean", "nudenet 3.4.2", 2))
    report = convert(here.project, here.clip, plain=False)
    facts = credentials.read(report.output).facts
    assert facts is not None
    assert facts.guard == "clean (nudenet 3.4.2)"
    with Ledger.open(Home.from_environment(), write=False) as ledger:
        (entry, _) = ledger.by_record(int(facts.record, 16))
    assert entry.values["guard"] == "passed"


def test_a_home_that_cannot_be_written_is_told_before_any_work(
    here: Here, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "taken" / "home"))
    with pytest.raises(StorageError, match="taken") as caught:
        convert(here.project, here.clip, plain=False)
    assert caught.value.remedy
    assert here.finished == []
    assert not here.work
