"""`understudy consent`: stated, signed by the person, carried, taken back."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.three_people import newest, studio, trained
from understudy.cli.entry import main
from understudy.errors import (
    ConsentError,
    ProjectError,
    ProjectLocked,
    SettingsError,
    UnknownPerson,
)
from understudy.people.consent import installation, revoke
from understudy.people.revocation import import_revocation
from understudy.progress import silent
from understudy.project import Project
from understudy.provenance.ledger.ledger import Ledger
from understudy.runtime.files import only_writer, write_json
from understudy.runtime.installation import Home
from understudy.safeguards import consent_gate
from understudy.safeguards.consent_record import Consent, read

pytestmark = pytest.mark.usefixtures("tiny")


Run = Callable[..., str]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    project = studio(Project.create(tmp_path / "film"))
    monkeypatch.chdir(project.folder)
    return project


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `understudy consent ...`; gives what it says."""

    def call(*words: str | Path, code: int = 0) -> str:
        result = main(["consent", *map(str, words)])
        said = capsys.readouterr()
        told = said.out + said.err
        assert result == code, told
        return told

    return call


REFUSED = ConsentError.exit_code
YEARS_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def on_file(project: Project, name: str) -> Consent:
    record = project.person(name).consent
    assert record is not None
    return record


@pytest.fixture
def signed(
    project: Project, run: Run, monkeypatch: pytest.MonkeyPatch, home: Path, tmp_path: Path
) -> Path:
    """A form of zoe's, who signed it on a machine of hers."""
    run("request", "zoe", "--until", "2999-12-31", "--purpose", "train", "--purpose", "convert")
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path / "hers"))
    run("sign", "zoe-consent-request.json", "--agree")
    monkeypatch.setenv("UNDERSTUDY_HOME", str(home))
    return project.folder / "zoe-consent-signed.json"


class TestGrant:
    def test_all_terms_arrive(self, project: Project, run: Run, tmp_path: Path) -> None:
        form, film = tmp_path / "form.txt", tmp_path / "film.mp4"
        form.write_text("I agree")
        film.write_bytes(b"film")
        words = ["zoe", "--footing", "granted", "--statement", form, "--purpose", "train"]
        words += ["--role", "shown", "--footage", film, "--from", "2026-01-01", "--until"]
        words += ["2999-12-31", "--territory", "Austria", "--recipient", "Films", "--contact", "me"]
        told = run("grant", *words)
        assert "That is weaker" in told
        record = on_file(project, "zoe")
        assert record.whole
        assert (record.purposes, record.roles) == (("train",), ("shown",))
        assert record.footage is not None
        assert len(record.footage) == 1
        assert (record.territory, record.recipient, record.contact) == ("Austria", "Films", "me")
        assert str(record.expires_at) == "2999-12-31 23:59:59+00:00"
        assert (project.person("zoe").folder / "statement.txt").read_text() == "I agree"

    def test_what_is_on_file_stays_or_is_kept(
        self, project: Project, run: Run, tmp_path: Path
    ) -> None:
        old, new = tmp_path / "old.txt", tmp_path / "new.txt"
        old.write_text("old")
        new.write_text("new")
        run("grant", "zoe", "--footing", "granted", "--statement", old)
        first = on_file(project, "zoe")
        again = ("grant", "zoe", "--footing", "granted", "--statement", new)
        assert "--replace" in run(*again, code=REFUSED)
        assert on_file(project, "zoe") == first
        told = run(*again, "--replace")
        place = project.person("zoe")
        (earlier,) = place.earlier_folder.iterdir()
        assert str(earlier) in told.replace("\n", "")
        assert read(earlier / "consent.json") == first
        assert (earlier / "statement.txt").read_text() == "old"
        assert (place.folder / "statement.txt").read_text() == "new"
        assert on_file(project, "zoe") != first

    def test_a_damaged_record_is_kept_too(self, project: Project, run: Run) -> None:
        place = project.person("ada")
        place.consent_file.write_text("{")
        assert "cannot be read" not in run("grant", "ada", "--footing", "self", "--replace")
        (earlier,) = place.earlier_folder.iterdir()
        assert (earlier / "consent.json").read_text() == "{"
        assert on_file(project, "ada").footing == "self"

    def test_one_that_was_taken_back_is_not_replaced(self, project: Project, run: Run) -> None:
        place = project.person("ada")
        values = json.loads(place.consent_file.read_text())
        write_json(place.consent_file, values | {"revoked_at": "2020-01-01T00:00:00Z"})
        told = run("grant", "ada", "--footing", "self", "--replace", code=REFUSED)
        assert "consent revoke ada --yes" in told

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (("zoe", "--footing", "granted"), "there is no statement"),
            (("zoe", "--footing", "self", "--footage", "gone.mp4"), "gone.mp4 cannot be read"),
            (("zoe", "--footing", "self", "--until", "2020-01-01"), "ends before it starts"),
        ],
    )
    def test_what_cannot_be(
        self, project: Project, run: Run, words: tuple[str, ...], told: str
    ) -> None:
        assert told in run("grant", *words, code=REFUSED)
        assert "zoe" not in project.people

    def test_words_that_mean_nothing(self, project: Project, run: Run) -> None:
        assert "not a valid date" in run(
            "grant", "zoe", "--basis", "self", "--until", "soon", code=2
        )
        assert "sell" in run("grant", "zoe", "--footing", "self", "--purpose", "sell", code=2)
        bad = ProjectError.exit_code
        assert "cannot name" in run("grant", "../zoe", "--footing", "self", code=bad)


class TestSigning:
    def test_the_person_signs_and_the_project_takes_it(
        self, project: Project, run: Run, signed: Path
    ) -> None:
        told = run("import", signed)
        record = on_file(project, "zoe")
        assert "signed by   the person" in told
        assert record.stated_by == "subject"
        assert record.whole
        assert consent_gate.require(project.person("zoe"), "convert") == record
        assert "already on file" in run("import", signed)
        assert main(["add", "zoe", "--consent", "granted"]) == 0, "footage may follow"
        assert on_file(project, "zoe") == record

    def test_nothing_is_signed_unasked(self, project: Project, run: Run, home: Path) -> None:
        run("request", "zoe")
        told = run("sign", "zoe-consent-request.json", code=REFUSED)
        assert "Nothing was signed" in told
        assert "(publish)" in told
        assert not (project.folder / "zoe-consent-signed.json").exists()
        assert not (home / "keys" / "subject.pem").exists()

    def test_the_key_is_the_one_that_was_told(
        self, project: Project, run: Run, signed: Path
    ) -> None:
        told = run("import", signed, "--key", "0123456789abcdef", code=REFUSED)
        assert "is signed with the key" in told
        assert "zoe" not in project.people
        record = read(signed)
        assert record is not None
        assert record.signature is not None
        run("import", signed, "--key", record.signature.key_id.upper())

    def test_an_edited_form_is_refused(self, project: Project, run: Run, signed: Path) -> None:
        signed.write_text(signed.read_text().replace('"convert"', '"publish"'))
        assert "was changed after it was signed" in run("import", signed, code=REFUSED)
        assert "zoe" not in project.people

    def test_the_user_does_not_sign_for_the_person(
        self, project: Project, run: Run, home: Path
    ) -> None:
        run("request", "zoe")
        key = home / "keys" / "operator.pem"
        run("sign", "zoe-consent-request.json", "--agree", "--key", key)
        told = run("import", "zoe-consent-signed.json", code=REFUSED)
        assert "but this installation's key did" in told

    def test_a_form_is_signed_once_and_overwrites_nothing(
        self, project: Project, run: Run, signed: Path
    ) -> None:
        data = signed.read_bytes()
        assert "is already signed" in run("sign", signed, "--agree", code=REFUSED)
        told = run("sign", "zoe-consent-request.json", "--agree", code=REFUSED)
        assert "already exists" in told
        assert signed.read_bytes() == data
        assert "already exists" in run("request", "zoe", code=REFUSED)

    def test_what_is_no_form(self, project: Project, run: Run) -> None:
        own = project.person("ada").consent_file
        assert "not a consent form" in run("sign", own, "--agree", code=REFUSED)
        assert "does not exist" in run("sign", "gone.json", "--agree", code=REFUSED)
        run("request", "zoe")
        told = run("import", "zoe-consent-request.json", code=REFUSED)
        assert "is not signed" in told

    def test_a_record_of_an_earlier_version_shows_nobody(self, project: Project, run: Run) -> None:
        old = {"person": "zoe", "footing": "self", "stated_at": "2026-01-01T00:00:00Z"}
        write_json(project.folder / "old.json", old)
        assert "earlier version" in run("import", "old.json", code=REFUSED)

    def test_the_persons_record_takes_the_place_of_the_users(
        self, project: Project, run: Run, signed: Path
    ) -> None:
        run("grant", "zoe", "--footing", "self")
        weak = on_file(project, "zoe")
        assert "--replace" in run("import", signed, code=REFUSED)
        assert on_file(project, "zoe") == weak
        run("import", signed, "--replace")
        assert on_file(project, "zoe").stated_by == "subject"
        (earlier,) = project.person("zoe").earlier_folder.iterdir()
        assert read(earlier / "consent.json") == weak


class TestCarrying:
    def test_a_record_goes_to_another_project_with_its_evidence(
        self, project: Project, run: Run, tmp_path: Path
    ) -> None:
        form = tmp_path / "form.txt"
        form.write_text("I agree")
        run("grant", "zoe", "--footing", "granted", "--statement", form)
        run("export", "zoe")
        assert (project.folder / "zoe.consent.statement.txt").read_text() == "I agree"
        there = Project.create(tmp_path / "there")
        file = project.folder / "zoe.consent.json"
        assert main(["--project", str(there.folder), "consent", "import", str(file)]) == 0
        assert on_file(there, "zoe") == on_file(project, "zoe")
        assert (there.person("zoe").folder / "statement.txt").read_text() == "I agree"

    def test_evidence_that_is_missing_or_another(
        self, project: Project, run: Run, tmp_path: Path
    ) -> None:
        form = tmp_path / "form.txt"
        form.write_text("I agree")
        run("grant", "zoe", "--footing", "granted", "--statement", form)
        run("export", "zoe", "--output", tmp_path / "z.json")
        there = Project.create(tmp_path / "there")
        beside = tmp_path / "z.statement.txt"
        into = ("--project", str(there.folder), "consent", "import", str(tmp_path / "z.json"))
        beside.write_text("I do not agree")
        assert main(into) == REFUSED
        beside.unlink()
        assert main(into) == REFUSED
        assert there.people == []
        assert main([*into, "--statement", str(form)]) == 0

    def test_nothing_is_overwritten_and_nothing_edited_leaves(
        self, project: Project, run: Run
    ) -> None:
        other = project.folder / "ada.consent.json"
        other.write_text("mine")
        assert "already exists" in run("export", "ada", code=REFUSED)
        assert other.read_text() == "mine"
        record = project.person("ada").consent_file
        record.write_text(record.read_text().replace('"train",', ""))
        told = run("export", "ada", "--output", "x.json", code=REFUSED)
        assert "was changed after" in told
        assert not Path("x.json").exists()


class TestShow:
    def test_words_and_json(self, project: Project, run: Run, signed: Path) -> None:
        assert "ada: synthetic, signed by the user of the program; holds." in run("show")
        assert "not for" in run("show", signed)
        told = json.loads(run("show", "ada", "--json"))
        assert told["holds"] is True
        assert Consent.model_validate(told["record"]) == on_file(project, "ada")
        assert len(json.loads(run("show", "--json"))) == 3

    def test_nobody(self, project: Project, run: Run) -> None:
        project.person("ada").consent_file.unlink()
        assert "ada: no consent on file." in run("show", "ada")
        assert json.loads(run("show", "ada", "--json"))["holds"] is False
        assert "no person `noone`" in run("show", "noone", code=UnknownPerson.exit_code)


class TestRevoke:
    def test_only_proof_is_left(self, project: Project, run: Run) -> None:
        trained(project)
        film = project.renders_folder / "scene-eva-for-chen.mp4"
        film.write_bytes(b"film")
        write_json(film.with_suffix(".json"), {"swaps": {"chen": "eva"}, "consents": {"eva": {}}})
        before = on_file(project, "eva")
        assert "--yes" in run("revoke", "eva", code=REFUSED)
        assert on_file(project, "eva") == before
        told = run("revoke", "eva", "--yes", "--reason", "she asked")
        assert film.name in told
        assert film.exists()
        assert "eva" not in project.people
        assert project.removed["eva"].finished
        assert newest(project).model.people == ("ada", "chen")
        (proof,) = project.revoked_folder.glob("eva-*/consent.json")
        record = read(proof)
        assert record is not None
        assert record.id == before.id
        assert record.whole
        assert record.revocation_whole
        assert record.revocation is not None
        assert record.revocation.reason == "she asked"
        assert "withdrew the consent" in run("show", "eva")
        assert "removed" in run("revoke", "eva", "--yes", code=UnknownPerson.exit_code)

    def test_evidence_and_earlier_records_are_proof_too(
        self, project: Project, run: Run, tmp_path: Path
    ) -> None:
        form = tmp_path / "form.txt"
        form.write_text("I agree")
        run("grant", "eva", "--footing", "granted", "--statement", form, "--replace")
        run("revoke", "eva", "--yes")
        (proof,) = project.revoked_folder.iterdir()
        assert (proof / "statement.txt").read_text() == "I agree"
        assert list(proof.glob("earlier-consents/*/consent.json"))

    def test_it_holds_at_once_and_goes_on_where_it_was_cut_short(self, project: Project) -> None:
        trained(project)
        training = only_writer(project.model_folder("trio") / ".lock", "the model")
        with training, pytest.raises(ProjectLocked):
            revoke(project, "eva", None, silent())
        taken = project.place_of("eva").consent
        with pytest.raises(ConsentError, match="withdrew the consent"):
            consent_gate.require(project.place_of("eva"), "train")
        done = revoke(project, "eva", None, silent())
        assert done.record == taken
        assert done.removal.models == ("trio",)
        assert len(list(project.revoked_folder.iterdir())) == 1

    def test_the_old_record_does_not_come_back(
        self, project: Project, run: Run, signed: Path
    ) -> None:
        run("import", signed)
        run("revoke", "zoe", "--yes")
        assert "was withdrawn earlier" in run("import", signed, code=REFUSED)
        assert "zoe" not in project.people
        other = consent_gate.state("zoe", "self").model_copy(update={"stated_at": YEARS_AGO})
        consent_gate.write(Path("other.json"), other.signed(installation()))
        told = run("import", "other.json", code=UnknownPerson.exit_code)
        assert "after this consent was stated" in told
        run("grant", "zoe", "--footing", "self")
        assert project.person("zoe").consent is not None

    def test_what_cannot_be_taken_back(self, project: Project, run: Run) -> None:
        place = project.person("eva")
        place.consent_file.write_text("{")
        assert "person remove eva" in run("revoke", "eva", "--yes", code=REFUSED)
        place.consent_file.unlink()
        assert "person remove eva" in run("revoke", "eva", "--yes", code=REFUSED)
        assert place.footage_folder.is_dir()
        assert "no person" in run("revoke", "noone", code=UnknownPerson.exit_code)


class TestTakingBackOnesOwn:
    """Zoe signs that she takes her consent back, and the project obeys."""

    @pytest.fixture
    def revoked(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, signed: Path
    ) -> Path:
        run("import", signed)
        with monkeypatch.context() as hers:
            hers.setenv("UNDERSTUDY_HOME", str(tmp_path / "hers"))
            asked = run("revoke", signed, code=REFUSED)
            assert "If you are this person" in asked
            assert not signed.with_name("zoe-consent-revoked.json").exists()
            told = run("revoke", signed, "--yes", "--reason", "I changed my mind")
        assert "understudy consent import zoe-consent-revoked.json --yes" in told
        return signed.with_name("zoe-consent-revoked.json")

    def test_it_is_obeyed(self, project: Project, run: Run, revoked: Path, home: Path) -> None:
        assert "holds       no: zoe withdrew the consent" in run("show", revoked)
        assert "--yes" in run("import", revoked, code=REFUSED)
        assert "zoe" in project.people, "it was only said"
        told = run("import", revoked, "--yes")
        assert "The consent of zoe is withdrawn" in told
        assert "zoe" not in project.people
        (proof,) = project.revoked_folder.glob("zoe-*/consent.json")
        record = read(proof)
        assert record == read(revoked)
        assert record is not None
        assert record.revocation_whole
        assert record.revocation is not None
        assert record.revocation.by == "subject"
        assert record.revocation.reason == "I changed my mind"
        assert "by the person" in run("show", "zoe")
        with Ledger.open(Home(home), write=False) as ledger:
            (entry,) = ledger.latest(1)
        assert (entry.values["kind"], entry.values["by"]) == ("revocation", "subject")
        assert "removed" in run("import", revoked, "--yes", code=UnknownPerson.exit_code)

    @pytest.mark.parametrize(
        ("old", "new"),
        [("I changed my mind", "I was paid"), ('"convert"', '"publish"'), ('"subject",', '"x",')],
    )
    def test_an_edited_one_is_refused(
        self, project: Project, run: Run, revoked: Path, old: str, new: str
    ) -> None:
        revoked.write_text(revoked.read_text().replace(old, new))
        run("import", revoked, "--yes", code=REFUSED)
        assert "zoe" in project.people

    def test_one_of_a_day_that_was_changed(self, project: Project, run: Run, revoked: Path) -> None:
        value = json.loads(revoked.read_text())
        write_json(revoked, value | {"revoked_at": "2026-01-01T00:00:00Z"})
        assert "was changed, or not signed" in run("import", revoked, "--yes", code=REFUSED)

    def test_nobody_else_signs_for_her(self, project: Project, run: Run, signed: Path) -> None:
        run("import", signed)
        assert "There is no key" in run("revoke", signed, "--yes", code=REFUSED)
        run("request", "eva", "--output", "other.json")
        run("sign", "other.json", "--agree")
        assert "was signed with the key" in run("revoke", signed, "--yes", code=REFUSED)
        record = read(signed)
        assert record is not None
        forged = record.revoked(installation(), "subject", datetime.now(UTC))
        consent_gate.write(Path("forged.json"), forged)
        assert "not signed with the key" in run("import", "forged.json", "--yes", code=REFUSED)
        assert "zoe" in project.people

    def test_a_consent_that_was_read_and_signed_anew_takes_nothing_back(
        self, project: Project, run: Run, signed: Path
    ) -> None:
        run("import", signed)
        theirs = Ed25519PrivateKey.generate()
        stripped = on_file(project, "zoe").model_copy(update={"signature": None})
        forged = stripped.signed(theirs).revoked(theirs, "subject", datetime.now(UTC))
        assert forged.whole
        assert forged.revocation_whole
        assert forged.payload == on_file(project, "zoe").payload
        consent_gate.write(Path("forged.json"), forged)
        for words in (("--yes",), ()):
            told = run("import", "forged.json", *words, code=REFUSED)
            assert "has another signature than the one on file" in told
        with pytest.raises(ConsentError, match="has another signature"):
            import_revocation(project, Path("forged.json"), silent())
        assert "zoe" in project.people
        assert on_file(project, "zoe").revocation is None

    def test_the_key_is_the_one_that_she_told(
        self, project: Project, run: Run, revoked: Path
    ) -> None:
        told = run("import", revoked, "--key", "0123456789abcdef", "--yes", code=REFUSED)
        assert "is signed with the key" in told
        assert "zoe" in project.people
        signature = on_file(project, "zoe").signature
        assert signature is not None
        asked = run("import", revoked, "--key", signature.key_id.upper(), code=REFUSED)
        assert f"--key {signature.key_id.upper()} --yes" in asked
        run("import", revoked, "--key", signature.key_id.upper(), "--yes")
        assert "zoe" not in project.people

    def test_another_consent_is_on_file(self, project: Project, run: Run, revoked: Path) -> None:
        run("grant", "zoe", "--footing", "self", "--replace")
        told = run("import", revoked, "--yes", code=REFUSED)
        assert "another consent of zoe" in told
        assert "understudy consent revoke zoe" in told

    def test_what_she_did_not_sign(self, project: Project, run: Run, revoked: Path) -> None:
        run("export", "ada", "--output", "ada.json")
        assert "was not signed by the person" in run("revoke", "ada.json", "--yes", code=REFUSED)
        assert "was already withdrawn on" in run("revoke", revoked, "--yes", code=REFUSED)
        wrong = run("revoke", "gone.json", "--key", "x", "--yes", code=SettingsError.exit_code)
        assert "there is no file gone.json" in wrong
