"""A consent record says what it says, and nobody edits it unseen."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from understudy.errors import ConsentError, StorageError, TrustError
from understudy.runtime.installation import Home
from understudy.runtime.keys import key_id, operator_key, verified
from understudy.safeguards import consent_gate as consents
from understudy.safeguards.consent_gate import Consent, draft, require, settle, state
from understudy.safeguards.consent_record import NOTICE, PURPOSES, USUAL, canonical, read, write
from understudy.safeguards.consent_terms import in_a_line, in_words, standing
from understudy.safeguards.subject_key import subject_key

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=400)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
FIRST_WORDING = (
    '{"schema_version":2,"person":"ada","footing":"granted","stated_at":"2026-01-30T04:02:52Z",'
    '"id":"e36e1ac0-98d8-4d69-8a57-b20a63acee7f","stated_by":"subject","adult":true,'
    '"purposes":["train","convert","publish"],"roles":["shown","replaced"],'
    '"notice":"understudy-consent-1","signature":'
    '{"key":"A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",'
    '"value":"N0X+IMSiojYT4xTANQ1NvfVZG8Apz88mRu4yQygzzzH80OrEANbKs0LIrL6aLBaJs/Xs+s9qCd+keetb9/SSCA=="}}'
)
"""As the version before galleries wrote and signed it, with `KEY`."""
FILMS = {"a" * 64: "a.mp4", "b" * 64: "b.mp4"}


@dataclass(frozen=True)
class Somebody:
    name: str
    consent: Consent | None


def holder(record: Consent) -> Somebody:
    return Somebody(record.person, record)


def edited(record: Consent, **changes: Any) -> Consent:
    values = json.loads(record.model_dump_json(exclude_none=True)) | changes
    return Consent.model_validate_json(json.dumps(values))


def by_subject(**terms: Any) -> Consent:
    return draft("ada", "granted", None, stated_by="subject", **terms).signed(KEY)


def test_what_is_stated_is_signed_by_the_installation(home: Path) -> None:
    record = state("ada", "self")
    assert record.whole
    assert (record.stated_by, record.adult, record.purposes) == ("operator", True, USUAL)
    assert record.signature is not None
    own = operator_key(Home(home)).public_key()
    assert record.signature.key_id == key_id(own)
    assert verified(own, record.payload, record.signature.value)
    assert state("ada", "self").id != record.id


def test_nobody_has_no_age_and_may_be_used_for_everything() -> None:
    record = state("ada", "synthetic")
    assert record.adult is None
    assert record.purposes == PURPOSES
    assert require(holder(record), "detector-training") == record


def test_it_comes_back_from_disk(tmp_path: Path) -> None:
    record = state("ada", "self", territory="Österreich", expires_at=LATER)
    write(tmp_path / "consent.json", record)
    assert read(tmp_path / "consent.json") == record
    # Laid out otherwise it says the same, and the signature holds.
    text = json.dumps(json.loads((tmp_path / "consent.json").read_text()), sort_keys=True)
    (tmp_path / "consent.json").write_text(text)
    again = read(tmp_path / "consent.json")
    assert again == record
    assert again is not None
    assert again.whole


def test_canonical_json_is_that_of_rfc_8785() -> None:
    value = {"b": [True, None, 3], "a": '\u20ac$\u000f\nA\'B"\\\\"/'}
    expected = '{"a":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/","b":[true,null,3]}'
    assert canonical(value) == expected.encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"purposes": ["train", "convert", "publish", "detector-training"]},
        {"purposes": ["train", "publish", "convert"]},
        {"roles": ["shown"]},
        {"footing": "self"},
        {"stated_at": "2020-01-01T00:00:00Z"},
        {"stated_by": "operator", "statement": {"file": "statement", "sha256": "0" * 64}},
        {"expires_at": "2999-01-01T00:00:00Z"},
        {"valid_from": "2021-01-01T00:00:00Z"},
        {"footage": ["c" * 64]},
        {"territory": "the moon"},
        {"recipient": "somebody else"},
        {"contact": "nobody"},
        {"id": "00000000-0000-0000-0000-000000000000"},
        {"signature": {"key": "", "value": ""}},
        {"signature": {"key": "AAAA", "value": "%%%"}},
    ],
    ids=lambda changes: " ".join(changes),
)
def test_every_edit_is_found(changes: dict[str, Any]) -> None:
    record = by_subject(footage=("a" * 64,), territory="Austria", expires_at=LATER)
    assert require(holder(record), "train", footage={"a" * 64: "a.mp4"})
    with pytest.raises(ConsentError, match="was changed after it was signed"):
        require(holder(edited(record, **changes)), "train", NOW)


def test_another_key_does_not_sign_for_the_first() -> None:
    record, other = by_subject(), Ed25519PrivateKey.generate()
    assert record.signature is not None
    theirs = record.signed(other).signature
    assert theirs is not None
    for mixed in (
        theirs.model_copy(update={"key": record.signature.key}),
        theirs.model_copy(update={"value": record.signature.value}),
    ):
        with pytest.raises(ConsentError, match="was changed after"):
            require(holder(record.model_copy(update={"signature": mixed})), "train")


def test_without_a_signature_it_is_no_consent() -> None:
    with pytest.raises(ConsentError, match="is not signed"):
        require(holder(draft("ada", "self", None)), "train")


def test_who_is_not_declared_an_adult_is_left_out() -> None:
    for adult in (None, False):
        with pytest.raises(ConsentError, match="does not declare that ada is an adult"):
            require(holder(by_subject(adult=adult)), "train")


class TestScope:
    def test_purposes(self) -> None:
        record = by_subject(purposes=("train",))
        assert require(holder(record), "train") == record
        with pytest.raises(ConsentError, match="not cover conversion, only training") as caught:
            require(holder(record), "convert")
        assert "--purpose convert" in caught.value.remedy
        with pytest.raises(ConsentError, match="training of detectors"):
            require(holder(by_subject()), "detector-training")

    def test_roles(self) -> None:
        record = by_subject(roles=("replaced",))
        assert require(holder(record), "convert", roles=["replaced"])
        assert require(holder(record), "train")
        with pytest.raises(ConsentError, match="not cover being shown"):
            require(holder(record), "convert", roles=["replaced", "shown"])

    def test_footage(self) -> None:
        record = by_subject(footage=("a" * 64,))
        assert require(holder(record), "train", footage={"a" * 64: "a.mp4"})
        with pytest.raises(ConsentError, match=r"does not cover b\.mp4; it lists"):
            require(holder(record), "train", footage=FILMS)
        assert require(holder(by_subject()), "train", footage=FILMS)

    def test_much_footage_is_told_in_short(self) -> None:
        many = {f"{number:064x}": f"{number}.mp4" for number in range(9)}
        with pytest.raises(ConsentError, match=r"cover 0\.mp4, 1\.mp4, 2\.mp4 and 6 more"):
            require(holder(by_subject(footage=("a" * 64,))), "train", footage=many)

    def test_somebody_elses_record(self) -> None:
        with pytest.raises(ConsentError, match="on file for ben belongs to ada"):
            require(Somebody("ben", by_subject()), "train")


class TestTime:
    def test_it_ends_to_the_second(self) -> None:
        record = by_subject(expires_at=LATER)
        assert require(holder(record), "train", LATER - timedelta(microseconds=1))
        with pytest.raises(ConsentError, match="ended on"):
            require(holder(record), "train", LATER)

    def test_it_begins_to_the_second(self) -> None:
        record = by_subject(valid_from=LATER)
        with pytest.raises(ConsentError, match="begins on"):
            require(holder(record), "train", LATER - timedelta(microseconds=1))
        assert require(holder(record), "train", LATER)

    def test_a_wrong_clock(self) -> None:
        with pytest.raises(ConsentError, match="clock of this machine says 2001-01-01") as caught:
            require(holder(by_subject()), "train", datetime(2001, 1, 1, tzinfo=UTC))
        assert "Correct the clock" in caught.value.remedy

    def test_it_cannot_end_before_it_begins(self) -> None:
        with pytest.raises(ConsentError, match="ends before it starts"):
            draft("ada", "self", None, valid_from=LATER, expires_at=LATER)


class TestRevocation:
    def test_it_is_signed_and_obeyed(self) -> None:
        record = by_subject()
        taken = record.revoked(KEY, "operator", NOW, "asked by mail")
        assert taken.whole, "the terms are as they were signed"
        assert taken.revocation_whole
        assert not record.revocation_whole
        with pytest.raises(ConsentError, match="withdrew the consent"):
            require(holder(taken), "train")
        assert edited(taken, revoked_at="2020-01-01T00:00:00Z").revocation_whole is False
        assert edited(taken, id=by_subject().id).revocation_whole is False

    def test_also_when_nobody_signed_it(self) -> None:
        with pytest.raises(ConsentError, match="withdrew the consent on 2020-01-01"):
            require(holder(edited(by_subject(), revoked_at="2020-01-01T00:00:00Z")), "train")

    def test_one_with_a_later_time_waits(self) -> None:
        record = by_subject().revoked(KEY, "subject", LATER)
        assert require(holder(record), "train") == record

    def test_it_survives_the_disk(self, tmp_path: Path) -> None:
        zone = datetime.fromisoformat("2026-03-01T10:00:00+05:30")
        for record in (by_subject(), OLD):
            taken = record.revoked(KEY, "operator", zone)
            write(tmp_path / "consent.json", taken)
            again = read(tmp_path / "consent.json")
            assert again == taken
            assert again is not None
            assert again.revocation_whole


OLD_TEXT = {
    "schema_version": 1,
    "person": "ada",
    "footing": "self",
    "stated_at": "2026-01-01T00:00:00Z",
}
OLD = Consent.model_validate_json(json.dumps(OLD_TEXT))


class TestOld:
    """Records that earlier versions wrote."""

    def test_they_hold_for_what_those_versions_did(self) -> None:
        for purpose in USUAL:
            assert require(holder(OLD), purpose, roles=["shown", "replaced"], footage=FILMS)
        with pytest.raises(ConsentError, match="training of detectors"):
            require(holder(OLD), "detector-training")

    def test_they_are_written_as_they_were(self) -> None:
        assert json.loads(OLD.model_dump_json(exclude_none=True)) == OLD_TEXT
        assert Consent.model_validate(OLD.model_dump()) == OLD
        assert OLD.id == Consent.model_validate_json(json.dumps(OLD_TEXT)).id != ""

    def test_a_new_record_does_not_pass_for_an_old_one(self) -> None:
        values = json.loads(by_subject().model_dump_json(exclude_none=True))
        with pytest.raises(ValidationError, match="schema 1 has no adult"):
            Consent.model_validate_json(json.dumps(values | {"schema_version": 1}))


def test_the_evidence_is_a_hash(tmp_path: Path) -> None:
    form = tmp_path / "signed.PDF"
    form.write_bytes(b"I agree")
    record = state("ada", "granted", form)
    assert record.statement is not None
    assert record.statement.file == "statement.pdf"
    with pytest.raises(ConsentError, match="cannot be read"):
        state("ada", "granted", tmp_path)
    with pytest.raises(ConsentError, match="there is no evidence"):
        draft("ada", "granted", None)
    # What the person signs needs no other evidence, and another statement is not it.
    with pytest.raises(ConsentError, match="Another statement"):
        settle("ada", by_subject(), "granted", form)
    assert settle("ada", record, "granted", form) == record


def test_a_record_cannot_name_a_file_elsewhere() -> None:
    for name in ("../consent.json", "statement/../x", "/etc/passwd", "consent.json", ""):
        with pytest.raises(ValidationError):
            consents.Statement(file=name, sha256="0" * 64)


@pytest.mark.parametrize(
    "terms",
    [
        {"purposes": ()},
        {"roles": ()},
        {"footage": ()},
        {"footage": ("A" * 64,)},
        {"territory": "x" * 401},
        {"territory": "\udcff"},
        {"nonsense": 1},
    ],
)
def test_terms_that_cannot_be(terms: dict[str, Any]) -> None:
    with pytest.raises(ConsentError, match="consent of ada is not valid"):
        draft("ada", "self", None, **terms)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_record_or_an_error(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "consent.json"
        path.write_bytes(data)
        with pytest.raises(ConsentError, match=r"consent\.json"):
            read(path)


@given(st.data())
def test_no_value_can_be_changed_unseen(data: st.DataObject) -> None:
    """A character of the file is another one: no record, another layout, or not as signed."""
    text = SIGNED.model_dump_json(exclude_none=True)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(min_codepoint=32, max_codepoint=126))
    changed = f"{text[:place]}{other}{text[place + 1 :]}"
    try:
        record = Consent.model_validate_json(changed)
    except ValidationError:
        return
    # The same bytes have several spellings in base64; what was agreed has one.
    assert record.payload == SIGNED.payload or not record.whole


SIGNED = by_subject(footage=("a" * 64,), territory="Austria", expires_at=LATER)


def test_a_file_that_is_too_long(tmp_path: Path) -> None:
    (tmp_path / "consent.json").write_bytes(b" " * (2 << 20))
    with pytest.raises(ConsentError, match="too long"):
        read(tmp_path / "consent.json")


class TestSubjectKey:
    def test_it_is_made_once_and_only_its_owner_may_read_it(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.pem"
        before = tmp_path.stat().st_mode
        first = subject_key(path)
        assert path.stat().st_mode & 0o777 == 0o600
        assert tmp_path.stat().st_mode == before
        assert key_id(subject_key(path).public_key()) == key_id(first.public_key())
        path.chmod(0o644)
        with pytest.raises(TrustError) as caught:
            subject_key(path)
        assert "chmod 600" in caught.value.remedy

    def test_where_none_can_be(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError) as caught:
            subject_key(Path("/proc/nowhere/mine.pem"))
        assert "--key" in caught.value.remedy
        with pytest.raises(ConsentError, match="There is no key"):
            subject_key(tmp_path / "mine.pem", make=False)

    def test_a_damaged_one_is_not_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.pem"
        path.write_bytes(b"no key")
        path.chmod(0o600)
        with pytest.raises(TrustError) as caught:
            subject_key(path)
        assert "--key" in caught.value.remedy
        assert path.read_bytes() == b"no key"


class TestWords:
    def test_the_signer_is_told(self, home: Path) -> None:
        own = key_id(operator_key(Home(home)).public_key())
        weak = "\n".join(in_words(state("ada", "self"), NOW, own))
        assert "this installation. That is weaker" in weak
        strong = "\n".join(in_words(by_subject(recipient="Films", contact="me"), NOW, own))
        assert f"the person, key {key_id(KEY.public_key())}" in strong
        assert "given to    Films" in strong
        assert "tell me" in strong
        assert "weaker" not in strong
        assert "an earlier version" in "\n".join(in_words(OLD, NOW))

    def test_what_is_not_covered_is_told(self) -> None:
        lines = in_words(by_subject(purposes=("train",), roles=("shown",)), NOW)
        told = "\n".join(lines)
        assert told.index("(train)") < told.index("not for") < told.index("(publish)")
        assert "(replaced)" not in told

    def test_pictures_that_are_kept_are_told(self) -> None:
        told = "\n".join(in_words(by_subject(), NOW))
        assert (
            "  pictures    up to 200 of the person's own pictures are kept inside the trained "
            "model and inside files exported from it,\n"
            "              so that films get their fine detail; training and exporting with "
            "--no-gallery keep none\n"
        ) in told
        alone = "\n".join(in_words(by_subject(purposes=("train", "convert")), NOW))
        assert "kept inside the trained model,\n" in alone
        assert "training with --no-gallery keeps none" in alone
        assert "exported" not in alone
        assert "pictures  " not in "\n".join(in_words(by_subject(purposes=("convert",)), NOW))
        assert "pictures  " not in "\n".join(in_words(state("ada", "synthetic"), NOW))

    def test_a_record_with_the_earlier_wording_holds_and_is_told_as_it_was(self) -> None:
        record = Consent.model_validate_json(FIRST_WORDING)
        assert record.whole
        assert record.sha256 == "2ad8b64557ab612b308e98e91f7349714a5ef78e61da19a394efbb3c64557704"
        assert require(holder(record), "train", roles=["shown"]) == record
        told = "\n".join(in_words(record, NOW + timedelta(days=36500)))
        assert "the wording that was read says nothing of pictures that are kept" in told
        assert "up to 200" not in told
        assert not edited(record, notice=NOTICE).whole

    def test_whether_it_holds(self) -> None:
        assert standing(by_subject(), NOW) == "yes"
        assert "ended on" in standing(by_subject(expires_at=LATER), LATER)
        taken = by_subject().revoked(KEY, "operator", NOW, "she asked")
        assert "withdrew the consent" in in_a_line(taken, NOW + timedelta(seconds=1))
        assert "she asked" in in_words(taken, NOW)[-1]
        assert "signature is not right" in in_words(edited(taken, id=OLD.id), NOW)[-1]
        own = by_subject().revoked(KEY, "subject", NOW)
        assert in_words(own, NOW)[-1].endswith(f"by the person, key {key_id(KEY.public_key())}")
        other = by_subject().revoked(Ed25519PrivateKey.generate(), "subject", NOW)
        assert "not the key of the consent" in in_words(other, NOW)[-1]
