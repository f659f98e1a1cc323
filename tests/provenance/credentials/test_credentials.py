"""Content Credentials: made, read back, and every change noticed."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from understudy.errors import StorageError, TrustError
from understudy.provenance import aigc
from understudy.provenance.credentials import certificates, exclusions, signing
from understudy.provenance.credentials.certificates import ClaimSigner, local_signer
from understudy.provenance.credentials.credentials import (
    Credentials,
    check_source,
    read,
    sidecar_of,
)
from understudy.provenance.credentials.manifest import (
    COMPOSITE,
    ConsentReference,
    Facts,
    LedgerLeaf,
    Mark,
    Record,
    check_vocabulary,
    manifest,
)
from understudy.runtime import files
from understudy.runtime.installation import Home

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> ClaimSigner:
    return local_signer(Home(tmp_path_factory.mktemp("keys")))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> ClaimSigner:
    return local_signer(Home(tmp_path_factory.mktemp("other keys")))


def film(path: Path, seed: int = 0, **options: str) -> Path:
    noise = np.random.default_rng(seed)
    with av.open(str(path), "w", options=options) as writing:
        writing.metadata[aigc.KEY] = aigc.text("0000002a")
        stream = writing.add_stream("mpeg4", rate=25)
        assert isinstance(stream, VideoStream)
        stream.width = stream.height = 48
        stream.pix_fmt = "yuv420p"
        for _ in range(4):
            picture = noise.integers(0, 255, (48, 48, 3), np.uint8)
            writing.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        writing.mux(stream.encode(None))
    return path


def picture(path: Path, side: int = 24) -> Path:
    text = PngInfo()
    text.add_text("AIGC", aigc.text("0000002a"))
    pixels = np.random.default_rng(1).integers(0, 255, (side, side, 3), np.uint8)
    if path.suffix == ".png":
        Pillow.fromarray(pixels).save(path, pnginfo=text)
    else:
        Pillow.fromarray(pixels).save(path)
    return path


def facts_of(path: Path) -> Facts:
    return Facts(
        record="0000002a",
        made_at=NOW,
        unsigned_sha256=files.sha256(path),
        source_sha256="5" * 64,
        model_sha256="a" * 64,
        mark=Mark(algorithm="tiled spread spectrum 1", state="strong"),
        consents=(ConsentReference(id="c1", digest="d1"),),
        ledger=LedgerLeaf(index=3, hash="b" * 64),
        guard="unscanned",
        label="corner",
    )


def signed(path: Path, signer: ClaimSigner, source: Path | None = None) -> Path:
    """`path`, signed in its place."""
    signing.sign(path, path, facts_of(path), signer, source=source)
    return path


def patched(path: Path, at: int, data: bytes) -> Path:
    content = bytearray(path.read_bytes())
    content[at : at + len(data)] = data
    copy = path.with_name("changed" + path.suffix)
    copy.write_bytes(content)
    return copy


def boxes(path: Path) -> dict[str, tuple[int, int]]:
    """Where the top-level boxes of an MP4 file begin and end."""
    data, at, found = path.read_bytes(), 0, {}
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found[data[at + 4 : at + 8].decode()] = (at, at + size)
        at += size
    return found


def chunks(path: Path) -> dict[str, tuple[int, int]]:
    data, at, found = path.read_bytes(), 8, {"signature": (0, 8)}
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big") + 12
        found[data[at + 4 : at + 8].decode()] = (at, at + size)
        at += size
    return found


@pytest.mark.parametrize("name", ["a.mp4", "a.m4v", "a.mov", "a.avi", "a.png", "a.jpg", "a.webp"])
def test_files_that_hold_their_credentials(tmp_path: Path, signer: ClaimSigner, name: str) -> None:
    path = tmp_path / name
    make = picture if path.suffix in (".png", ".jpg", ".webp") else film
    unsigned, facts = make(path), facts_of(make(path))
    done = signing.sign(unsigned, tmp_path / ("signed-" + name), facts, signer)
    assert done.sidecar is None
    assert not done.stamped
    found = read(done.path, trusted=signer.anchor_pem)
    assert found.state == "trusted"
    assert found.intact
    assert found.facts == facts
    assert not found.reasons
    assert not found.uncovered
    assert not found.ingredients
    assert found.signer == certificates.name_of(signer.chain[0])
    assert found.serial == str(signer.chain[0].serial_number)
    assert (found.generator or "").startswith("Understudy ")
    overhead = done.path.stat().st_size - unsigned.stat().st_size
    assert done.size <= overhead < done.size + 100


@pytest.mark.parametrize("name", ["a.mkv", "a.tiff"])
def test_other_files_stay_as_they_are(tmp_path: Path, signer: ClaimSigner, name: str) -> None:
    unsigned = film(tmp_path / name) if name.endswith("mkv") else picture(tmp_path / name)
    done = signing.sign(unsigned, tmp_path / f"signed-{name}", facts_of(unsigned), signer)
    assert done.path.read_bytes() == unsigned.read_bytes()
    assert done.sidecar == sidecar_of(done.path) == tmp_path / f"signed-{name}.c2pa"
    found = read(done.path, trusted=signer.anchor_pem)
    assert (found.state, found.sidecar) == ("trusted", True)
    moved = done.sidecar.rename(tmp_path / "elsewhere")
    assert read(done.path, trusted=signer.anchor_pem).state == "none"
    assert read(done.path, moved, signer.anchor_pem) == found
    wrong = patched(done.path, 500, b"\0\1\2\3")
    assert read(wrong, moved, signer.anchor_pem).state == "tampered"
    moved.write_bytes(moved.read_bytes()[:-1])
    assert read(done.path, moved, signer.anchor_pem).state == "damaged"


def test_what_the_manifest_says(tmp_path: Path, signer: ClaimSigner) -> None:
    import c2pa

    source = film(tmp_path / "secret name.mp4", 1)
    path = signed(film(tmp_path / "ada.mp4"), signer, source)
    with c2pa.Reader(str(path)) as reader:
        text = reader.json()
    report = json.loads(text)
    active = report["manifests"][report["active_manifest"]]
    about = {one["label"]: one for one in active["assertions"]}
    actions = about["c2pa.actions.v2"]["data"]["actions"]
    names = ["c2pa.opened", "c2pa.edited", "c2pa.watermarked.unbound"]
    assert [one["action"] for one in actions] == names
    assert actions[1]["digitalSourceType"] == COMPOSITE
    assert actions[1]["when"] == NOW.isoformat()
    assert about["c2pa.ai-disclosure"]["data"]["modelIdentifier"] == "sha256:" + "a" * 64
    entries = about["cawg.training-mining"]["data"]["entries"]
    assert {one["use"] for one in entries.values()} == {"notAllowed"}
    assert all(one["created"] for one in about.values())
    assert about["org.understudy.record"]["data"]["facts"]["ledger"]["index"] == 3
    assert "secret" not in text
    assert "ada" not in text.replace("metadata", "")
    assert b"secret" not in path.read_bytes()


def test_a_picture_that_was_made_whole(tmp_path: Path, signer: ClaimSigner) -> None:
    path = picture(tmp_path / "a.png")
    signing.sign(path, path, facts_of(path), signer, composite=False)
    assert b"digitalsourcetype/trainedAlgorithmicMedia" in path.read_bytes()
    assert b"c2pa.created" in path.read_bytes()


def test_the_vocabulary_is_checked(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    record = Record(facts=facts_of(path))
    definition = manifest(record, True, True)
    check_vocabulary(definition)
    actions = definition["assertions"][0]["data"]["actions"]
    actions[1]["digitalSourceType"] = "nonsense"
    with pytest.raises(TrustError, match="nonsense"):
        check_vocabulary(definition)
    del actions[1]["digitalSourceType"]
    with pytest.raises(TrustError, match="missing"):
        check_vocabulary(definition)
    definition = manifest(record, True, True)
    definition["assertions"][0]["data"]["actions"][2]["action"] = "c2pa.watermarked.bound"
    with pytest.raises(TrustError, match="not registered"):
        check_vocabulary(definition)


def test_each_part_of_a_film_is_held(tmp_path: Path, signer: ClaimSigner) -> None:
    path = signed(film(tmp_path / "a.mp4"), signer)
    parts = boxes(path)
    assert set(parts) == {"ftyp", "uuid", "free", "mdat", "moov"}
    for kind, (start, end) in parts.items():
        spots = {start, start + 3, start + 4, start + 7, (start + end) // 2, end - 1}
        for spot in spots:
            value = bytes([path.read_bytes()[spot] ^ 4])
            found = read(patched(path, spot, value), trusted=signer.anchor_pem)
            assert not found.intact, (kind, spot - start)
            assert found.state in ("tampered", "damaged"), (kind, spot - start)
            assert found.reasons


def test_each_part_of_a_picture_is_held(tmp_path: Path, signer: ClaimSigner) -> None:
    path = signed(picture(tmp_path / "a.png"), signer)
    parts = chunks(path)
    assert set(parts) == {"signature", "IHDR", "caBX", "tEXt", "IDAT", "IEND"}
    for kind, (start, end) in parts.items():
        for spot in {start, start + 4, (start + end) // 2, end - 1}:
            value = bytes([path.read_bytes()[spot] ^ 1])
            found = read(patched(path, spot, value), trusted=signer.anchor_pem)
            assert found.state in ("tampered", "damaged"), (kind, spot - start)


def test_the_segments_of_a_jpeg_are_held(tmp_path: Path, signer: ClaimSigner) -> None:
    path = signed(picture(tmp_path / "a.jpg"), signer)
    start = path.read_bytes().index(b"\xff\xeb")
    for spot in range(start, start + 20):
        value = bytes([path.read_bytes()[spot] ^ 0x40])
        assert not read(patched(path, spot, value), trusted=signer.anchor_pem).intact


def test_bytes_that_the_standard_leaves_open_are_held(tmp_path: Path, signer: ClaimSigner) -> None:
    path = signed(film(tmp_path / "a.mp4"), signer)
    data = path.read_bytes()
    padding = data.index(b"cpad") + 500
    brand = data.index(b"isom")
    header = data.index(exclusions.MANIFEST_BOX) + 16
    description = data.index(b"\x03c2pa.assertions\0") + 2
    for spot, why in (
        (brand, "does not cover"),
        (header, "header of the box"),
        (padding, "padding"),
        (description, "description"),
    ):
        value = bytes([data[spot] ^ 4])
        found = read(patched(path, spot, value), trusted=signer.anchor_pem)
        assert found.state == "tampered", why
        assert any(why in reason for reason in found.reasons), found.reasons
    for extra in (b"\0\0\0\x08free", b"\0\0\0\x0cskip\0\0\0\0", b"\0\0\0\x08mdat"):
        copy = tmp_path / "longer.mp4"
        copy.write_bytes(data + extra)
        assert read(copy, trusted=signer.anchor_pem).state == "tampered"
    start, end = boxes(path)["uuid"]
    twice = tmp_path / "twice.mp4"
    twice.write_bytes(data + data[start:end])
    assert not read(twice, trusted=signer.anchor_pem).intact


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, signer: ClaimSigner) -> Path:
    """A signed film."""
    return signed(film(tmp_path_factory.mktemp("finished") / "a.mp4"), signer)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_change_anywhere_is_noticed(
    finished: Path, signer: ClaimSigner, data: st.DataObject
) -> None:
    whole = finished.read_bytes()
    start = data.draw(st.integers(0, len(whole) - 1))
    end = data.draw(st.integers(start, min(len(whole), start + 64)))
    other = data.draw(st.binary(max_size=64))
    changed = whole[:start] + other + whole[end:]
    copy = finished.with_name("changed.mp4")
    copy.write_bytes(changed)
    assert read(copy, trusted=signer.anchor_pem).intact == (changed == whole)


@settings(max_examples=300)
@given(data=st.data())
def test_faults_in_a_store_are_named(finished: Path, data: st.DataObject) -> None:
    store, around = exclusions.embedded_store(finished)
    assert not around
    assert not exclusions.store_faults(store, None)
    spot = data.draw(st.integers(0, len(store) - 1))
    damaged = store[:spot] + data.draw(st.binary(min_size=1, max_size=8)) + store[spot + 3 :]
    assert all(isinstance(fault, str) for fault in exclusions.store_faults(damaged, None))
    assert exclusions.store_faults(store + b"\0", None)
    assert exclusions.store_faults(b"", None)


def test_cut_short_cut_out_and_muxed_again(tmp_path: Path, signer: ClaimSigner) -> None:
    path = signed(film(tmp_path / "a.mp4"), signer)
    data = path.read_bytes()
    for length in (len(data) - 1, len(data) // 2, 3000, 100):
        cut = tmp_path / "cut.mp4"
        cut.write_bytes(data[:length])
        assert read(cut, trusted=signer.anchor_pem).state in ("tampered", "damaged")
    start, end = boxes(path)["uuid"]
    without = tmp_path / "without.mp4"
    without.write_bytes(data[:start] + data[end:])
    assert read(without, trusted=signer.anchor_pem) == Credentials("none")
    again = tmp_path / "again.mp4"
    with av.open(str(path)) as reading, av.open(str(again), "w") as writing:
        stream = writing.add_stream_from_template(reading.streams.video[0])
        for packet in reading.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                writing.mux(packet)
    assert read(again, trusted=signer.anchor_pem).state == "none"


@pytest.mark.parametrize("content", [b"", b"x", b"\0\0\0\x18ftypisom" + bytes(200), b"\x89PNG" * 9])
def test_files_without_credentials(tmp_path: Path, content: bytes) -> None:
    for name in ("a.mp4", "a.png", "a.mkv", "a"):
        path = tmp_path / name
        path.write_bytes(content)
        assert read(path) == Credentials("none")
    with pytest.raises(TrustError, match="cannot be read"):
        read(tmp_path / "missing.mp4")
    with pytest.raises(TrustError, match="cannot be read"):
        read(tmp_path)


def test_a_renamed_file_is_read_by_its_content(tmp_path: Path, signer: ClaimSigner) -> None:
    path = signed(film(tmp_path / "a.mp4"), signer)
    for name in ("a.png", "a.mkv", "a"):
        copy = tmp_path / name
        copy.write_bytes(path.read_bytes())
        assert read(copy, trusted=signer.anchor_pem).state == "trusted"


def test_another_installation_does_not_know_the_signer(
    tmp_path: Path, signer: ClaimSigner, other: ClaimSigner
) -> None:
    path = signed(film(tmp_path / "a.mp4"), signer)
    for trusted in ("", other.anchor_pem):
        found = read(path, trusted=trusted)
        assert found.state == "unknown signer"
        assert found.intact
        assert found.reasons == ("The signer is not on the trusted list.",)
        assert found.facts is not None
    assert read(path, trusted=other.anchor_pem + signer.anchor_pem).state == "trusted"


def test_an_expired_certificate_is_no_tampering(tmp_path: Path) -> None:
    chain, key = certificates.make_chain(datetime.now(UTC), years=1.5 / 365.25 / 86400)
    brief = ClaimSigner(chain, key, "ES256")
    path = signed(picture(tmp_path / "a.png"), brief)
    left = (chain[0].not_valid_after_utc - datetime.now(UTC)).total_seconds()
    threading.Event().wait(max(0.0, left) + 1)
    found = read(path, trusted=brief.anchor_pem)
    assert found.state == "unknown signer"
    assert len(found.reasons) == 1
    assert "is not valid today" in found.reasons[0]
    with pytest.raises(TrustError, match="expired on"):
        signed(picture(tmp_path / "b.png"), brief)


def test_the_sources_credentials_are_carried_over(
    tmp_path: Path, signer: ClaimSigner, other: ClaimSigner
) -> None:
    source = signed(film(tmp_path / "source.mp4", 1), signer)
    assert check_source(source, signer.anchor_pem).state == "trusted"
    path = signed(film(tmp_path / "a.mp4"), signer, source)
    found = read(path, trusted=signer.anchor_pem)
    assert found.state == "trusted"
    assert [(one.title, one.state) for one in found.ingredients] == [("source", "trusted")]
    carried = path.read_bytes().index(b"jumdc2ma") + 4
    assert read(patched(path, carried + 2, b"\1"), trusted=signer.anchor_pem).state != "trusted"
    earlier = read(source).facts
    assert earlier is not None
    assert found.ingredients[0].record == earlier.record
    foreign = signed(film(tmp_path / "b.mp4"), other, source)
    found = read(foreign, trusted=other.anchor_pem)
    assert found.state == "trusted"
    assert found.ingredients[0].state == "unknown signer"
    third = signed(film(tmp_path / "c.mp4"), signer, foreign)
    assert read(third, trusted=signer.anchor_pem).state == "trusted"


def test_a_source_that_was_tampered_with_is_found_out(tmp_path: Path, signer: ClaimSigner) -> None:
    source = signed(film(tmp_path / "source.mp4", 1), signer)
    start, end = boxes(source)["mdat"]
    changed = patched(source, (start + end) // 2, b"\x55\xaa\x55")
    assert check_source(changed, signer.anchor_pem).state == "tampered"
    path = signed(film(tmp_path / "a.mp4"), signer, changed)
    found = read(path, trusted=signer.anchor_pem)
    assert found.state == "trusted", "the output itself was not changed"
    assert found.ingredients[0].state == "tampered"
    judged = check_source(path, signer.anchor_pem)
    assert judged.state == "tampered"
    assert "An earlier version" in judged.reasons[0]
    plain = film(tmp_path / "plain.mp4")
    assert check_source(plain).state == "none"


def test_a_source_in_another_container(tmp_path: Path, signer: ClaimSigner) -> None:
    path = signed(film(tmp_path / "a.mp4"), signer, film(tmp_path / "source.mkv"))
    found = read(path, trusted=signer.anchor_pem)
    assert [one.state for one in found.ingredients] == ["none"]


def test_a_film_is_signed_once(tmp_path: Path, signer: ClaimSigner) -> None:
    path = signed(film(tmp_path / "a.mp4"), signer)
    before = path.read_bytes()
    with pytest.raises(TrustError, match="already has credentials"):
        signed(path, signer)
    assert path.read_bytes() == before


def test_another_film_than_the_record_was_made_for(tmp_path: Path, signer: ClaimSigner) -> None:
    facts = facts_of(film(tmp_path / "a.mp4"))
    other = film(tmp_path / "b.mp4", 9)
    with pytest.raises(TrustError, match="is not the file"):
        signing.sign(other, tmp_path / "c.mp4", facts, signer)
    assert not (tmp_path / "c.mp4").exists()


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("days", [-400, 4000])
def test_a_wrong_clock_leaves_nothing(tmp_path: Path, days: int) -> None:
    chain, key = certificates.make_chain(datetime.now(UTC) - timedelta(days=days))
    signer = ClaimSigner(chain, key, "ES256")
    path = film(tmp_path / "a.mp4")
    with pytest.raises(TrustError, match="clock"):
        signing.sign(path, tmp_path / "b.mp4", facts_of(path), signer)
    assert left_in(tmp_path) == {"a.mp4"}


def test_what_is_no_film_leaves_nothing(tmp_path: Path, signer: ClaimSigner) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no film")
    with pytest.raises(TrustError, match="cannot be signed"):
        signing.sign(path, tmp_path / "b.mp4", facts_of(path), signer)
    with pytest.raises(TrustError, match="cannot be read"):
        signing.sign(tmp_path / "no.mp4", tmp_path / "b.mp4", facts_of(path), signer)
    good = film(tmp_path / "good.mp4")
    with pytest.raises(TrustError, match=r"gone\.mp4 cannot be read"):
        signing.sign(good, tmp_path / "b.mp4", facts_of(good), signer, source=tmp_path / "gone.mp4")
    assert left_in(tmp_path) == {"a.mp4", "good.mp4"}


@contextmanager
def room(size: int) -> Iterator[None]:
    """No file may grow over `size` bytes; like a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("size", [0, 2000, 7000])
def test_a_full_disk_leaves_nothing(
    tmp_path: Path, signer: ClaimSigner, name: str, size: int
) -> None:
    path = film(tmp_path / name)
    assert path.stat().st_size > 7000
    facts = facts_of(path)
    with room(size), pytest.raises(StorageError, match="is full"):
        signing.sign(path, tmp_path / "out" / name, facts, signer)
    assert left_in(tmp_path / "out") == set()


def test_a_folder_that_cannot_be(tmp_path: Path, signer: ClaimSigner) -> None:
    path = film(tmp_path / "a.mp4")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="in the way"):
        signing.sign(path, tmp_path / "file" / "a.mp4", facts_of(path), signer)


def test_several_at_once(tmp_path: Path, signer: ClaimSigner) -> None:
    def one(number: int) -> str:
        path = signed(film(tmp_path / f"{number}.mp4", number), signer)
        return read(path, trusted=signer.anchor_pem).state

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(one, range(8))) == ["trusted"] * 8


def test_the_users_own_chain_without_its_root(tmp_path: Path) -> None:
    chain, key = certificates.make_chain(datetime.now(UTC))
    short = ClaimSigner(chain[:2], key, "ES256")
    path = signed(film(tmp_path / "a.mp4"), short)
    root = chain[2].public_bytes(Encoding.PEM).decode()
    assert read(path, trusted=root).state == "trusted"


def test_credentials_on_the_network_are_not_fetched(tmp_path: Path, signer: ClaimSigner) -> None:
    import c2pa

    with answering(lambda _: b"") as (address, asked):
        info = c2pa.C2paSignerInfo(
            c2pa.C2paSigningAlg.ES256, signer.chain_pem, signer.key_pem, None
        )
        record = Record(facts=facts_of(film(tmp_path / "a.mp4")))
        with c2pa.Builder(manifest(record, False, True)) as builder:
            builder.set_no_embed()
            builder.set_remote_url(f"{address}/a.c2pa")
            with c2pa.Signer.from_info(info) as key:
                builder.sign_file(tmp_path / "a.mp4", tmp_path / "b.mp4", key)
        found = read(tmp_path / "b.mp4", trusted=signer.anchor_pem)
    assert found.state == "none"
    assert "on the network" in found.reasons[0]
    assert not asked


@contextmanager
def answering(answer: Callable[[bytes], bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """An HTTP server on this machine; its address and what it was asked."""
    asked: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["Content-Length"])))
            reply = answer(asked[-1])
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("answered", [True, False])
def test_a_time_stamp_authority_that_fails(
    tmp_path: Path, signer: ClaimSigner, answered: bool
) -> None:
    path = film(tmp_path / "a.mp4")
    with answering(lambda _: b"nonsense") as (address, asked):
        address = address if answered else "http://127.0.0.1:9"
        target = tmp_path / "b.mp4"
        with pytest.raises(TrustError, match="sent no time-stamp"):
            signing.sign(path, target, facts_of(path), signer, time_stamps=address)
        assert left_in(tmp_path) == {"a.mp4"}
        done = signing.sign(
            path, target, facts_of(path), signer, time_stamps=address, without_time_stamp=True
        )
    assert not done.stamped
    assert len(asked) == (2 if answered else 0)
    assert read(target, trusted=signer.anchor_pem).state == "trusted"


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Address of a time-stamp authority on this machine, and its root as PEM."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not there to make time-stamps")
    folder = tmp_path / "authority"
    folder.mkdir()
    root = stamping_certificates(folder)
    (folder / "config").write_text(
        "[tsa]\ndefault_tsa=it\n[it]\n"
        f"serial={folder}/serial\nsigner_cert={folder}/leaf.pem\ncerts={folder}/root.pem\n"
        f"signer_key={folder}/key.pem\nsigner_digest=sha256\ndefault_policy=1.2.3.4\n"
        "digests=sha256,sha384,sha512\ness_cert_id_alg=sha256\n"
    )

    def answer(question: bytes) -> bytes:
        (folder / "question").write_bytes(question)
        names = ("-config", "config"), ("-queryfile", "question"), ("-out", "answer")
        words = [word for option, name in names for word in (option, str(folder / name))]
        subprocess.run([openssl, "ts", "-reply", *words], check=True, capture_output=True)
        return (folder / "answer").read_bytes()

    with answering(answer) as (address, _):
        yield address, root


def stamping_certificates(folder: Path) -> str:
    since = datetime.now(UTC) - timedelta(days=1)
    keys = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
    names = [
        x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Time"),
                x509.NameAttribute(NameOID.COMMON_NAME, f"Time {part}"),
            ]
        )
        for part in ("root", "leaf")
    ]
    usages = [[False] * 5 + [True] + [False] * 3, [True] + [False] * 8]
    made = []
    for place, key in enumerate(keys):
        builder = (
            x509.CertificateBuilder()
            .subject_name(names[place])
            .issuer_name(names[0])
            .public_key(key.public_key())
            .serial_number(place + 1)
            .not_valid_before(since)
            .not_valid_after(since + timedelta(days=99))
            .add_extension(x509.BasicConstraints(place == 0, None), critical=True)
            .add_extension(x509.KeyUsage(*usages[place]), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), False
            )
        )
        if place == 1:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
            builder = builder.add_extension(usage, critical=True)
        made.append(builder.sign(keys[0], hashes.SHA256()).public_bytes(Encoding.PEM))
    (folder / "root.pem").write_bytes(made[0])
    (folder / "leaf.pem").write_bytes(made[1])
    private = keys[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(private)
    return made[0].decode()


def test_a_time_stamp_outlives_the_certificate(tmp_path: Path, authority: tuple[str, str]) -> None:
    address, root = authority
    chain, key = certificates.make_chain(datetime.now(UTC), years=3 / 365.25 / 86400)
    brief = ClaimSigner(chain, key, "ES256")
    path, began = film(tmp_path / "a.mp4"), datetime.now(UTC)
    done = signing.sign(path, tmp_path / "b.mp4", facts_of(path), brief, time_stamps=address)
    assert done.stamped
    left = (chain[0].not_valid_after_utc - datetime.now(UTC)).total_seconds()
    threading.Event().wait(max(0.0, left) + 1)
    found = read(done.path, trusted=brief.anchor_pem + root)
    assert found.state == "trusted"
    assert found.signed_at is not None
    assert abs((found.signed_at - began).total_seconds()) < 60
    assert "time-stamp" in found.uncovered[0]
    found = read(done.path, trusted=brief.anchor_pem)
    assert (found.state, found.signed_at) == ("unknown signer", None)
    assert "its authority is not on the trusted list" in found.reasons[-1]


def test_a_time_stamp_cannot_be_taken_away(
    tmp_path: Path, signer: ClaimSigner, authority: tuple[str, str]
) -> None:
    address, root = authority
    path = film(tmp_path / "a.mp4")
    done = signing.sign(path, tmp_path / "b.mp4", facts_of(path), signer, time_stamps=address)
    trusted = signer.anchor_pem + root
    assert read(done.path, trusted=trusted).state == "trusted"
    for name in (b"sigTst2", b"tstTokens", b"cval"):
        spot = done.path.read_bytes().index(name)
        changed = patched(done.path, spot, name[:1] + b"x")
        assert read(changed, trusted=trusted).state == "tampered"


def test_nothing_reaches_the_terminal(tmp_path: Path, signer: ClaimSigner) -> None:
    path = signed(film(tmp_path / "a.mp4"), signer)
    data = path.read_bytes()
    for spot in range(40, 4500, 150):
        (tmp_path / f"{spot}.mp4").write_bytes(
            data[:spot] + bytes([data[spot] ^ 0x20]) + data[spot + 1 :]
        )
    words = (
        "import sys; from pathlib import Path\n"
        "from understudy.provenance.credentials.credentials import read\n"
        "for path in Path(sys.argv[1]).iterdir(): read(path)"
    )
    done = subprocess.run([sys.executable, "-c", words, tmp_path], capture_output=True, check=True)
    assert done.stdout == done.stderr == b""


def test_other_makers_exclusions_are_named(tmp_path: Path, signer: ClaimSigner) -> None:
    import c2pa

    path = film(tmp_path / "a.mp4")
    definition = manifest(Record(facts=facts_of(path)), False, True)
    definition["assertions"] = definition["assertions"][:1]
    info = c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, signer.chain_pem, signer.key_pem, None)
    with c2pa.Builder(definition) as builder, c2pa.Signer.from_info(info) as key:
        builder.sign_file(path, tmp_path / "b.mp4", key)
    found = read(tmp_path / "b.mp4", trusted=signer.anchor_pem)
    assert found.state == "trusted"
    assert found.facts is None
    assert "boxes ftyp, free and" in found.uncovered[0]
    longer = tmp_path / "c.mp4"
    longer.write_bytes((tmp_path / "b.mp4").read_bytes() + b"\0\0\0\x08free")
    assert read(longer, trusted=signer.anchor_pem).uncovered == found.uncovered


def test_large_carried_credentials_in_a_jpeg(tmp_path: Path, signer: ClaimSigner) -> None:
    source = film(tmp_path / "0.mp4")
    signed(source, signer)
    for number in range(1, 7):
        source = signed(film(tmp_path / f"{number}.mp4", number), signer, source)
    path = signed(picture(tmp_path / "a.jpg"), signer, source)
    assert path.read_bytes().count(b"\xff\xeb") > 1, "several segments"
    assert read(path, trusted=signer.anchor_pem).state == "trusted"


def test_facts_are_plain(tmp_path: Path) -> None:
    facts = facts_of(film(tmp_path / "a.mp4"))
    assert Facts.model_validate(json.loads(facts.model_dump_json())) == facts
    assert facts.tool.startswith("understudy ")
    with pytest.raises(ValueError, match="unsigned_sha256"):
        Facts(record="1", made_at=NOW, unsigned_sha256="short")
    assert replace(Credentials("none"), state="damaged").intact is False
