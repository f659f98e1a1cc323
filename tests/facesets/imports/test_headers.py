from __future__ import annotations

import contextlib
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.foreign_files import chunk, values
from understudy.errors import MediaError
from understudy.facesets.imports import faceswap, literal
from understudy.media.xmp import PNG


def picture() -> bytes:
    done, data = cv2.imencode(".png", np.full((40, 40, 3), 90, np.uint8))
    assert done
    return bytes(data.tobytes())


def with_itxt(text: bytes, flags: bytes = b"\0\0", keyword: bytes = b"faceswap") -> bytes:
    png = picture()
    return png[:33] + chunk(b"iTXt", keyword + b"\0" + flags + b"\0\0" + text) + png[33:]


def test_reads_what_faceswap_writes() -> None:
    found = faceswap.header(with_itxt(str(values()).encode()))
    assert found is not None
    assert found.film == ("clip", 123)
    assert found.source.face_index == 1
    assert found.alignments.landmarks_xy[67] == (67.0, 67.5)


def test_reads_compressed_text_and_passes_over_other_texts() -> None:
    packed = with_itxt(zlib.compress(str(values()).encode()), b"\1\0")
    found = faceswap.header(packed)
    assert found is not None
    assert found.alignments.w == 50
    assert faceswap.header(with_itxt(b"boo(", keyword=b"Comment")) is None
    assert faceswap.header(picture()) is None


@pytest.mark.parametrize(
    ("name", "film"),
    [
        ("clip_000123.png", ("clip", 123)),
        ("IMG0042.jpg", ("IMG", 42)),
        ("/home/me/holiday.mp4_000007.png", ("holiday.mp4", 7)),
        ("C:\\films\\b 12.png", ("b", 12)),
        ("portrait.png", ("portrait", 0)),
        ("0012.png", ("0012", 12)),
        ("..", ("..", 0)),
    ],
)
def test_film_and_frame(name: str, film: tuple[str, int]) -> None:
    said = values()
    said["source"]["source_filename"] = name
    assert faceswap.Header.model_validate(said).film == film


def _bomb() -> bytes:
    return with_itxt(zlib.compress(b"[" + b"0," * (8 << 20) + b"]"), b"\1\0")


def _wrong_crc() -> bytes:
    good = with_itxt(str(values()).encode())
    at = good.index(b"iTXt") + 40
    return good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]


def _changed(**changes: Any) -> bytes:
    said = values()
    said["alignments"] |= changes
    return with_itxt(str(said).encode())


HOSTILE = {
    "deep nesting": (with_itxt(b"[" * 100_000 + b"]" * 100_000), "nested"),
    "deep nesting of names": (with_itxt(b"{'a':" * 5_000), "nested"),
    "long chain of operators": (with_itxt(b"-" * 100_000 + b"1"), "not a value"),
    "chain of calls": (with_itxt(b"(0)" * 10_000), "follow each other"),
    "huge literal": (with_itxt(b"9" * 100_000), "digits"),
    "very many values": (with_itxt(b"[" + b"1," * 200_000 + b"]"), "parts"),
    "code": (with_itxt(b"__import__('os').system('touch /tmp/owned')"), "not a value"),
    "code inside": (with_itxt(b"{'alignments': open('/etc/passwd')}"), "not a value"),
    "f-string": (with_itxt(b"f'{1}'"), "not a value"),
    "comprehension": (with_itxt(b"[0 for _ in (1,)]"), "not a value"),
    "unhashable key": (with_itxt(b"{[]: 1}"), "TypeError"),
    "not UTF-8": (with_itxt(b"{'a': '\xff\xfe'}"), "UTF-8"),
    "null byte": (with_itxt(b"{'a': '\0'}"), "plain data"),
    "zip bomb": (_bomb(), "unpacks"),
    "packed badly": (with_itxt(b"not packed", b"\1\0"), "unpacked"),
    "unknown packing": (with_itxt(b"", b"\0\7"), "incomplete"),
    "wrong checksum": (_wrong_crc(), "checksum"),
    "truncated": (with_itxt(str(values()).encode())[:500], "cut short"),
    "no end": (picture()[:-12], "cut short"),
    "length beyond the file": (picture()[:33] + b"\x7f\xff\xff\xff" + picture()[37:], "cut short"),
    "not PNG": (b"GIF89a" + bytes(40), "PNG"),
    "wrong types": (_changed(x="10"), "alignments.x"),
    "float for a pixel": (_changed(w=1.5), "alignments.w"),
    "too few landmarks": (_changed(landmarks_xy=[]), "landmarks_xy"),
    "landmarks of three": (_changed(landmarks_xy=[[1.0, 2.0, 3.0]] * 68), "landmarks_xy"),
    "no number": (with_itxt(str(values()).replace("67.5", "1e999").encode()), "landmarks_xy"),
    "not a dict": (with_itxt(b"[1, 2]"), "header"),
    "empty": (with_itxt(b""), "plain data"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_headers_are_told(what: str) -> None:
    data, why = HOSTILE[what]
    with pytest.raises(MediaError, match=why) as caught:
        faceswap.header(data)
    assert len(str(caught.value)) < 600
    assert caught.value.remedy


@given(st.binary(max_size=400))
def test_no_bytes_do_anything_but_the_declared_error(data: bytes) -> None:
    for whole in (data, PNG + data, with_itxt(data), with_itxt(data, b"\1\0")):
        with contextlib.suppress(MediaError):
            faceswap.header(whole)


@given(st.text("[](){},:'\"\\ -+.eE0123456789bxTrueFalsNn\n\tjf_\0é", max_size=200))
def test_no_text_does_anything_but_the_declared_error(text: str) -> None:
    with contextlib.suppress(MediaError):
        literal.read(text)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(10**20), 10**20)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=20)
        | st.binary(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.tuples(inner, inner)
            | st.dictionaries(st.text(max_size=8), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_plain_data_comes_back(value: Any) -> None:
    depth, deepest = 0, 0
    for letter in "".join(_outline(value)):
        depth += 1 if letter == "(" else -1
        deepest = max(deepest, depth)
    if deepest <= literal.DEEPEST:
        assert literal.read(repr(value)) == value


def _outline(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + "".join(map(_outline, value.values())) + ")"
    if isinstance(value, list | tuple):
        return "(" + "".join(map(_outline, value)) + ")"
    return ""
