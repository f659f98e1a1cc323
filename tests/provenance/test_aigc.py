"""The metadata tag of GB 45438-2025."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from hypothesis import given
from hypothesis import strategies as st

from understudy.media import xmp
from understudy.media.images import encode_image
from understudy.media.png_text import with_text
from understudy.provenance import aigc


def test_the_text_has_the_seven_fields_in_order() -> None:
    text = aigc.text("0000002a", "ab" * 32)
    assert text.isascii()
    assert json.loads(text) == {
        "Label": "1",
        "ContentProducer": "Understudy",
        "ProduceID": "0000002a",
        "ReservedCode1": "ab" * 32,
        "ContentPropagator": "",
        "PropagateID": "",
        "ReservedCode2": "",
    }
    assert list(json.loads(text))[:3] == ["Label", "ContentProducer", "ProduceID"]


@given(st.text(), st.text())
def test_what_is_written_is_read(record: str, producer: str) -> None:
    text = aigc.text(record, None, producer)
    tag = aigc.parse(text)
    assert tag is not None
    assert (tag.label, tag.produce_id, tag.content_producer) == ("1", record, producer)
    assert "\n" not in text
    assert aigc.parse(f'{{"AIGC": {text}}}') == tag


@pytest.mark.parametrize("text", ["", "{}", "[]", "1", '{"Label": 1}', "[" * 100_000, '{"Lab'])
def test_other_text_is_no_tag(text: str) -> None:
    assert aigc.parse(text) is None


def test_the_tag_lives_in_a_film(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    options = {"movflags": "use_metadata_tags"}
    with av.open(str(film), "w", options=options) as writing:
        writing.metadata[aigc.KEY] = aigc.text("0000002a")
        stream = writing.add_stream("mpeg4", rate=25)
        assert isinstance(stream, VideoStream)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        picture = np.zeros((32, 32, 3), np.uint8)
        writing.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        writing.mux(stream.encode(None))
    with av.open(str(film)) as reading:
        tag = aigc.parse(reading.metadata[aigc.KEY])
    assert tag is not None
    assert tag.produce_id == "0000002a"


# In pictures


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_the_tag_is_read_from_a_picture(suffix: str, tmp_path: Path) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (16, 24, 3)).astype(np.uint8)
    text = aigc.text("0000002a", "ab" * 32)
    path = tmp_path / f"picture{suffix}"
    packet = xmp.packet("made up", (aigc.PROPERTY, text))
    path.write_bytes(encode_image(picture, suffix, packet=packet))
    assert aigc.in_picture(path) == aigc.parse(text)
    path.write_bytes(encode_image(picture, suffix))
    assert aigc.in_picture(path) is None


def test_the_bare_text_that_others_write_is_read(tmp_path: Path) -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    text = '{"Label":"1","ContentProducer":"somebody"}'
    path = tmp_path / "picture.png"
    path.write_bytes(with_text(encode_image(picture, ".png"), {"Comment": "{}", "AIGC": text}))
    found = aigc.in_picture(path)
    assert found is not None
    assert (found.label, found.content_producer) == ("1", "somebody")


@given(st.binary(max_size=300))
def test_what_is_no_picture_has_no_tag(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "anything.png"
    path.write_bytes(xmp.PNG + data)
    assert aigc.in_picture(path) is None
    assert aigc.in_picture(path.with_name("nothing.png")) is None
