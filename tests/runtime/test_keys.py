"""The operator's key."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from understudy.errors import StorageError, TrustError
from understudy.runtime import keys as signing
from understudy.runtime.installation import Home


def test_a_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    key = signing.operator_key(home)
    path = home.keys / signing.OPERATOR
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.keys.stat().st_mode) == 0o700
    again = signing.operator_key(home)
    assert signing.public_bytes(again.public_key()) == signing.public_bytes(key.public_key())
    assert os.listdir(home.keys) == [signing.OPERATOR]


def test_many_at_once_get_the_same_key(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: signing.operator_key(home), range(16)))
    assert len({signing.key_id(key.public_key()) for key in keys}) == 1


def test_a_signature_holds_for_its_message_and_key_alone(tmp_path: Path) -> None:
    key = signing.operator_key(Home(tmp_path / "a"))
    other = signing.operator_key(Home(tmp_path / "b"))
    signature = signing.sign(key, b"message")
    assert signing.verified(key.public_key(), b"message", signature)
    assert not signing.verified(key.public_key(), b"massage", signature)
    assert not signing.verified(other.public_key(), b"message", signature)
    assert not signing.verified(key.public_key(), b"message", "no base64!")
    public = signing.public_key(signing.public_text(key.public_key()))
    assert signing.verified(public, b"message", signature)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    signing.operator_key(home)
    path = home.keys / signing.OPERATOR
    path.chmod(0o644)
    with pytest.raises(TrustError, match=f"chmod 600 {path}"):
        signing.operator_key(home)


@pytest.mark.parametrize("damage", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_a_damaged_key_is_refused_and_stays(tmp_path: Path, damage: bytes) -> None:
    home = Home(tmp_path)
    signing.write_private(home.keys / signing.OPERATOR, damage)
    with pytest.raises(TrustError, match="cannot be read"):
        signing.operator_key(home)
    assert (home.keys / signing.OPERATOR).read_bytes() == damage


def test_a_public_key_that_is_none_is_refused() -> None:
    with pytest.raises(TrustError, match="not an Ed25519 public key"):
        signing.public_key("AAAA")


def test_no_folder_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="name of a needed folder"):
        signing.operator_key(Home(tmp_path / "file" / "home"))


def test_a_home_that_cannot_be_made_is_told_by_its_name() -> None:
    for folder in ("/proc/nowhere/home", f"/tmp/{'long' * 99}", "~nobody-of-that-name/home"):
        with pytest.raises(StorageError, match=f"cannot be stored in {folder}: ") as caught:
            signing.operator_key(Home.from_environment({"UNDERSTUDY_HOME": folder}))
        assert "UNDERSTUDY_HOME" in caught.value.remedy


def test_the_home_is_where_the_environment_says() -> None:
    assert Home.from_environment({"UNDERSTUDY_HOME": "/a"}).folder == Path("/a")
    assert Home.from_environment({"XDG_DATA_HOME": "/d"}).folder == Path("/d/understudy")
    home = Home.from_environment({"HOME": "/h"})
    assert home.folder == Path("/h/.local/share/understudy")
    assert home.keys.parent == home.records.parent == home.ledger.parent == home.folder
