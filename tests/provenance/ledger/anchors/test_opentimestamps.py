"""OpenTimestamps, against a calendar on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.support.stamping_servers import (
    DIGEST,
    HEIGHT,
    NOBODY,
    OTHER,
    Calendar,
    mined,
    served,
    serving,
)
from understudy.errors import TrustError
from understudy.provenance.ledger.anchors.opentimestamps import OpenTimestamps


@pytest.fixture
def calendar() -> Iterator[Calendar]:
    with serving(Calendar()) as calendar:
        yield calendar


def test_a_digest_waits_for_its_block_and_is_then_proved(calendar: Calendar) -> None:
    anchor = OpenTimestamps((calendar.url,))
    pending = anchor.stamp(DIGEST)
    assert anchor.verify(pending, DIGEST).state == "pending"
    assert anchor.upgrade(pending) == pending
    calendar.confirmed = True
    proof = anchor.upgrade(pending)
    root = calendar.root()
    verdict = anchor.verify(proof, DIGEST)
    assert (verdict.state, verdict.time) == ("unknown", None)
    assert f"block {HEIGHT} if its Merkle root is {root[::-1].hex()}" in verdict.words
    asked = len(calendar.asked)
    assert anchor.upgrade(proof) == proof
    assert len(calendar.asked) == asked

    when = datetime(2023, 7, 24, 3, 17, 9, tzinfo=UTC)
    header = mined(root, int(when.timestamp()))
    checked = OpenTimestamps(headers={HEIGHT: header}).verify(proof, DIGEST)
    assert (checked.state, checked.time) == ("proved", when)
    for wrong in (mined(OTHER, 0), header[:-4] + b"\xff\xff\xff\xff", header[:70], b""):
        lazy = OpenTimestamps(headers={HEIGHT: wrong}).verify(proof, DIGEST)
        if wrong[:-4] != header[:-4]:
            assert lazy.state == "broken"
    hard = header[:72] + bytes.fromhex("ffff001d") + header[76:]
    assert OpenTimestamps(headers={HEIGHT: hard}).verify(proof, DIGEST).state == "broken"


def test_the_digest_itself_does_not_leave(calendar: Calendar) -> None:
    seen = []
    with served(lambda path, body: seen.append(body) or calendar(path, body)) as url:  # type: ignore[func-returns-value]
        one = OpenTimestamps((url,)).stamp(DIGEST)
        two = OpenTimestamps((url,)).stamp(DIGEST)
    assert one != two
    assert len({DIGEST, *seen}) == 3


def test_one_calendar_is_enough(calendar: Calendar) -> None:
    anchor = OpenTimestamps((NOBODY, calendar.url))
    proof = anchor.stamp(DIGEST)
    assert anchor.verify(proof, DIGEST).state == "pending"
    calendar.confirmed = True
    two = Calendar(confirmed=True, salt=b"SALT")
    with served(two) as url:
        two.url = url
        both = OpenTimestamps((calendar.url, url))
        upgraded = both.upgrade(both.stamp(DIGEST))
    assert both.verify(upgraded, DIGEST).state == "unknown"
    first = {HEIGHT: mined(calendar.root(), 0)}
    assert OpenTimestamps(headers=first).verify(upgraded, DIGEST).state == "proved"
    assert both.upgrade(upgraded) == upgraded


def test_no_calendar_can_be_reached() -> None:
    with pytest.raises(TrustError, match=r"No calendar accepted the digest.*cannot be reached"):
        OpenTimestamps((NOBODY,)).stamp(DIGEST)
    with pytest.raises(TrustError, match="No calendar was named"):
        OpenTimestamps().stamp(DIGEST)


@pytest.mark.parametrize("answer", [b"", b"\x77", b"\xf0\xff", b"\x00" + bytes(8), 500, 404])
def test_a_calendar_that_answers_nonsense(answer: bytes | int) -> None:
    with served(lambda *_: answer) as url, pytest.raises(TrustError, match="No calendar accepted"):
        OpenTimestamps((url,)).stamp(DIGEST)


def test_only_addresses_that_were_named_are_asked(calendar: Calendar) -> None:
    real = calendar.url
    calendar.url = "http://127.0.0.2:1/evil"
    anchor = OpenTimestamps((real,))
    proof = anchor.stamp(DIGEST)
    with pytest.raises(TrustError, match="is not on your list"):
        anchor.upgrade(proof)
    for scheme in ("file:///etc/passwd", "ftp://127.0.0.1", "nonsense"):
        with pytest.raises(TrustError, match="not a valid URL"):
            OpenTimestamps((scheme,)).stamp(DIGEST)


def test_public_calendars_may_name_one_another() -> None:
    pool = OpenTimestamps(("https://a.pool.opentimestamps.org",))
    assert pool._may_ask("https://alice.btc.calendar.opentimestamps.org")
    assert not pool._may_ask("http://alice.btc.calendar.opentimestamps.org")
    assert not pool._may_ask("https://evilopentimestamps.org")
    assert not OpenTimestamps((NOBODY,))._may_ask("https://alice.btc.calendar.opentimestamps.org")


def test_a_proof_of_something_else_or_damaged_is_broken(calendar: Calendar) -> None:
    calendar.confirmed = True
    anchor = OpenTimestamps((calendar.url,))
    proof = anchor.upgrade(anchor.stamp(DIGEST))
    trusted = OpenTimestamps(headers={HEIGHT: mined(calendar.root(), 0)})
    assert trusted.verify(proof, DIGEST).state == "proved"
    assert anchor.verify(proof, OTHER).state == "broken"
    for end in range(len(proof)):
        assert anchor.verify(proof[:end], DIGEST).state == "broken"
    for place in range(len(proof)):
        bent = bytearray(proof)
        bent[place] ^= 0x01
        verdict = trusted.verify(bytes(bent), DIGEST)
        if verdict.state == "proved":
            assert b"http" in proof[place - 40 : place + 40]
    with pytest.raises(TrustError, match="damaged"):
        anchor.upgrade(proof[:-1])
