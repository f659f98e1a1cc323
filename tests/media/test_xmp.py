"""XMP packets: written into pictures, read again, and taken from anybody without harm."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.media import xmp
from understudy.media.images import decode_image, encode_image

PICTURE = np.random.default_rng(0).integers(0, 256, (16, 24, 3)).astype(np.uint8)
NOTE = xmp.Property("http://example.org/ns/1.0/", "ex", "Note")
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), min_size=1)


@given(WORDS, WORDS)
def test_what_is_said_is_read(description: str, words: str) -> None:
    assert xmp.value(xmp.packet(description, (NOTE, words)), NOTE) == words


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_a_picture_keeps_its_packet_and_its_pixels(suffix: str) -> None:
    packet = xmp.packet("a <b> & c", (NOTE, '{"a": "b"}'))
    data = encode_image(PICTURE, suffix, packet=packet)
    (found,) = xmp.packets(data)
    assert found == packet
    assert xmp.value(found, NOTE) == '{"a": "b"}'
    plain = encode_image(PICTURE, suffix)
    assert list(xmp.packets(plain)) == []
    if suffix == ".png":
        assert np.array_equal(decode_image(data), PICTURE)


def test_an_attribute_is_read_too() -> None:
    packet = (
        '<?xpacket begin="" id="x"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF xmlns:rdf="{xmp.RDF}"><rdf:Description xmlns:any="{NOTE.namespace}" '
        'any:Note="yes"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )
    assert xmp.value(packet.encode(), NOTE) == "yes"


def test_a_packed_text_of_a_png_is_read_and_never_too_long() -> None:
    packet = xmp.packet("x", (NOTE, "yes"))
    for text, found in ((packet, [packet]), (b" " * (xmp.LARGEST + 5), [b""])):
        body = xmp.KEYWORD + b"\0\1\0\0\0" + zlib.compress(text)
        chunk = len(body).to_bytes(4, "big") + b"iTXt" + body + bytes(4)
        assert list(xmp.packets(xmp.PNG + chunk)) == found


def test_a_document_type_is_refused() -> None:
    packet = b'<!DOCTYPE x [<!ENTITY a "b">]>' + xmp.packet("x", (NOTE, "yes"))
    assert xmp.value(packet, NOTE) is None


@given(st.sampled_from([xmp.PNG, b"\xff\xd8", b"RIFF\0\0\0\0WEBP", b""]), st.binary(max_size=200))
def test_what_is_damaged_harms_nobody(head: bytes, rest: bytes) -> None:
    for packet in xmp.packets(head + rest):
        xmp.value(packet, NOTE)


@given(st.sampled_from([".png", ".webp", ".jpg"]), st.data())
def test_a_file_that_is_cut_harms_nobody(suffix: str, data: st.DataObject) -> None:
    whole = encode_image(PICTURE, suffix, packet=xmp.packet("x", (NOTE, "yes")))
    cut = data.draw(st.integers(0, len(whole)))
    assert all(xmp.value(one, NOTE) in ("yes", None) for one in xmp.packets(whole[:cut]))
